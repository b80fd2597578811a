"""What the API tells of itself."""

from __future__ import annotations

from api.call import Call, Reply
from api.wire import HealthView

VERSION = "0.1.0"


def get_health(call: Call) -> Reply:
    """Tell that the API answers, and which service did not answer when this process last asked it.

    That is 200 all the same: a process that is started anew would find the same.
    """
    troubled = ["entitlement"] if call.world.entitlement.trouble is not None else []
    status = "degraded" if troubled else "ok"
    return Reply(status=200, body=HealthView(status=status, version=VERSION, unavailable=troubled))


def get_openapi(_: Call) -> Reply:
    from api.openapi import document

    return Reply(status=200, body=document())
