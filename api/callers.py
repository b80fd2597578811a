"""Who calls: an access token, validated here on every call, or a sign-in that the platform vouches for."""

from __future__ import annotations

import azure.functions as func

from shared.domain.access import Caller
from shared.domain.claims import TokenRefused, caller_of_principal
from shared.domain.errors import ErrorCode, Refused
from shared.ports.world import World

PRINCIPAL = "x-ms-client-principal"
SIGN_IN = "Sign in: send an access token as 'Authorization: Bearer ...'."


def caller_of(request: func.HttpRequest, world: World) -> Caller:
    """Return who calls; raise Refused or KeysUnavailable. A token that is given decides, whatever else is there."""
    try:
        if "authorization" in request.headers:
            return world.tokens.caller(_bearer(request.headers["authorization"]))
        if world.settings.platform_signs_in and PRINCIPAL in request.headers:
            return _signed_in_by_platform(request, world)
    except TokenRefused as refused:
        raise Refused(401, ErrorCode.UNAUTHENTICATED, f"Sign in again: {refused}.") from refused
    raise Refused(401, ErrorCode.UNAUTHENTICATED, SIGN_IN)


def _bearer(header: str) -> str:
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refused(401, ErrorCode.UNAUTHENTICATED, SIGN_IN)
    return token.strip()


def _signed_in_by_platform(request: func.HttpRequest, world: World) -> Caller:
    """Return whom App Service Authentication signed in.

    Its session is a cookie, which a browser also sends with what a foreign page makes it ask: that changes nothing.
    """
    if request.method != "GET" and request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        message = "Another site's page asked for this with your sign-in. Use this service's own page, or the command."
        raise Refused(403, ErrorCode.FORBIDDEN, message)
    return caller_of_principal(
        request.headers[PRINCIPAL], tenants=world.settings.tenant_ids, audiences=world.settings.token_audiences
    )
