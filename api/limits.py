"""What a request may be and how many may come: sizes of its head, rates by user and by project."""

from __future__ import annotations

from math import ceil

import azure.functions as func

from api.call import Call
from api.operations import Operation
from api.shell_count import openings_of
from shared.domain.access import Caller
from shared.domain.errors import ErrorCode, Refused
from shared.domain.rate import Limit
from shared.ports.world import World

LARGEST_HEAD = 24 * 1024
"""Bytes of all header names and values: below what the vendor's host takes (32 KiB), above what sign-in adds."""
LONGEST_URL = 4096
OPENING = "OpenShell"


def check_head(request: func.HttpRequest) -> None:
    """Refuse a request with too long an address or too large headers, before anything in it is looked at."""
    if len(request.url) > LONGEST_URL:
        message = f"The address may have {LONGEST_URL} characters; it has {len(request.url)}."
        raise Refused(414, ErrorCode.URL_TOO_LONG, message)
    size = sum(len(name) + len(value) for name, value in request.headers.items())
    if size > LARGEST_HEAD:
        raise Refused(431, ErrorCode.HEADERS_TOO_LARGE, f"The headers may have {LARGEST_HEAD} bytes; they have {size}.")


def check_user_rate(operation: Operation, world: World, caller: Caller) -> None:
    """Draw the call from its user's bucket, before anybody else is asked anything because of it."""
    settings = world.settings
    _take(world, f"user/{caller.user}", Limit(settings.user_requests_per_minute), operation.cost, "you")
    if operation.name == OPENING:
        _take(world, openings_of(caller), Limit(settings.user_openings_per_minute), 1, "shells that you open")


def check_project_rate(operation: Operation, call: Call) -> None:
    """Draw the call from its project's bucket, once its caller is known to belong there: strangers empty none."""
    if call.project_or_none is not None:
        limit = Limit(call.world.settings.project_requests_per_minute)
        _take(call.world, f"project/{call.project}", limit, operation.cost, "this project")


def _take(world: World, name: str, limit: Limit, cost: float, whose: str) -> None:
    wait_s = world.throttle.take(name, limit, world.now(), cost)
    if wait_s > 0:
        message = f"Too many requests: {limit.per_minute:g} a minute are the limit for {whose}. Wait and try again."
        raise Refused(429, ErrorCode.TOO_MANY_REQUESTS, message, retry_after_s=ceil(wait_s))
