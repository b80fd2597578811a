"""What every ARM request passes before anything is done: faults, api-version, bearer token, throttle buckets."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from localcloud.container_apps.errors import ArmError
from localcloud.container_apps.faults import Faults, number
from localcloud.container_apps.ports import CheckToken, InvalidToken
from localcloud.container_apps.records import Caller
from localcloud.container_apps.registry import Registry

_API_VERSIONS = (
    "2026-07-01",
    "2026-01-01",
    "2025-07-01",
    "2025-01-01",
    "2024-03-01",
    "2023-05-01",
    "2025-10-02-preview",
    "2025-02-02-preview",
    "2023-11-02-preview",
)
_SHOWN_CLAIMS = ("aud", "iss", "oid", "appid", "azp", "idtyp", "preferred_username")


class HtmlOutage(Exception):
    """Answer 503 with a page instead of JSON, as the front door does on a bad day."""


@dataclass(slots=True)
class _Bucket:
    level: float
    at_s: float


class Gate:
    """Lets a request through as a Caller, or raises ArmError or HtmlOutage."""

    def __init__(self, *, registry: Registry, check_token: CheckToken) -> None:
        self._registry = registry
        self._check_token = check_token
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    async def admit(self, request: web.Request, app: str | None) -> tuple[Caller, dict[str, str]]:
        """Return who asks, and the throttle headers for the answer."""
        faults = self._registry.faults
        await _wait_out_latency(faults, app, request.method)
        if faults.hit("html_503", app, request.method) is not None:
            raise HtmlOutage
        _check_api_version(request)
        caller = await self._caller(request)
        if faults.hit("arm_403", app, request.method) is not None:
            raise authorization_failed(caller, request)
        headers = self._throttle(request, app, caller)
        if faults.hit("status_500", app, request.method) is not None:
            raise ArmError(
                500, "InternalServerError", "The server encountered an internal error. Please retry the request."
            )
        return caller, headers

    async def _caller(self, request: web.Request) -> Caller:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise ArmError(
                401,
                "AuthenticationFailed",
                "Authentication failed. The 'Authorization' header is missing.",
                headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        try:
            claims = await self._check_token(token.strip())
        except InvalidToken as refusal:
            raise ArmError(
                401,
                "InvalidAuthenticationToken",
                f"The access token is invalid: {refusal.reason}",
                headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
            ) from refusal
        return _caller_from(claims)

    def _throttle(self, request: web.Request, app: str | None, caller: Caller) -> dict[str, str]:
        kind = {"GET": "reads", "DELETE": "deletes"}.get(request.method, "writes")
        retry_after = self._registry.faults.hit("throttle", app, request.method)
        if retry_after is not None:
            raise _too_many(number(retry_after), kind, 0)
        size, refill = self._registry.capacity.bucket(kind)
        at_s = asyncio.get_running_loop().time()
        bucket = self._buckets.setdefault((caller.id, kind), _Bucket(size, at_s))
        bucket.level = min(size, bucket.level + (at_s - bucket.at_s) * refill)
        bucket.at_s = at_s
        if bucket.level < 1:
            raise _too_many((1 - bucket.level) / refill if refill else 60, kind, 0)
        bucket.level -= 1
        return {f"x-ms-ratelimit-remaining-subscription-{kind}": str(int(bucket.level))}


async def _wait_out_latency(faults: Faults, app: str | None, method: str) -> None:
    latency_s = faults.hit("latency_s", app, method)
    if latency_s is not None:
        await asyncio.sleep(number(latency_s))


def _check_api_version(request: web.Request) -> None:
    version = request.query.get("api-version")
    if not version:
        raise ArmError(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )
    if version.lower() not in _API_VERSIONS:
        raise ArmError(
            400,
            "NoRegisteredProviderFound",
            f"No registered resource provider found for API version '{version}' for type 'Microsoft.App'. "
            f"The supported api-versions are '{', '.join(_API_VERSIONS)}'.",
        )


def _caller_from(claims: Mapping[str, object]) -> Caller:
    application = claims.get("idtyp") == "app"
    names = ("appid", "azp", "oid") if application else ("preferred_username", "upn", "oid", "sub")
    found = next((str(claims[name]) for name in names if claims.get(name)), "unknown")
    shown = {name: str(claims[name]) for name in _SHOWN_CLAIMS if name in claims}
    return Caller(id=found, kind="Application" if application else "User", claims=shown)


def authorization_failed(caller: Caller, request: web.Request) -> ArmError:
    return ArmError(
        403,
        "AuthorizationFailed",
        f"The client '{caller.id}' does not have authorization to perform action '{request.method}' over scope "
        f"'{request.path}' or the scope is invalid. If access was recently granted, please refresh your credentials.",
    )


def _too_many(retry_after_s: float, kind: str, remaining: int) -> ArmError:
    return ArmError(
        429,
        "TooManyRequests",
        f"The request was throttled: too many {kind} for this subscription and principal.",
        headers={
            "Retry-After": str(max(1, math.ceil(retry_after_s))),
            f"x-ms-ratelimit-remaining-subscription-{kind}": str(remaining),
        },
    )
