"""What the API tells of itself."""

from __future__ import annotations

from api.call import Call, Reply
from api.wire import HealthView

VERSION = "0.1.0"


def get_health(_: Call) -> Reply:
    return Reply(status=200, body=HealthView(status="ok", version=VERSION))


def get_openapi(_: Call) -> Reply:
    from api.openapi import document

    return Reply(status=200, body=document())
