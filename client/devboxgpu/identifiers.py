"""Ids that the client chooses, so that a request that is repeated is known again."""

from __future__ import annotations

import base64
import os


def new_shell_id() -> str:
    return "sh-" + base64.b32encode(os.urandom(15)).decode().lower()
