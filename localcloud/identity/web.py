"""The identity stand-in's HTTP side: tokens on request, keys, discovery, and the managed identity endpoint.

The managed identity speaks the App Service protocol (IDENTITY_ENDPOINT, IDENTITY_HEADER, version 2019-08-01), which
azure-identity's ManagedIdentityCredential uses in a function app.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from aiohttp import web
from aiohttp.typedefs import Handler

from localcloud.identity import people
from localcloud.identity.keys import SigningKey
from localcloud.identity.tokens import APP_AUDIENCE, DEFAULT_LIFETIME, SCOPE, TokenKind, TokenMint, issuer_of

MSI_API_VERSION = "2019-08-01"
LONGEST_LIFETIME_S = 7 * 24 * 3600
TOKEN_PARAMETERS = {"user", "audience", "expires_in", "roles", "kind"}


class BadQuestionError(Exception):
    """A request that asks for something this service cannot mean."""


class IdentityService:
    """Answers for the local cloud's directory at `origin`."""

    def __init__(
        self,
        *,
        key: SigningKey,
        origin: str,
        identity_header: str,
        now: Callable[[], datetime],
    ) -> None:
        self._key = key
        self._origin = origin
        self._identity_header = identity_header
        self._now = now
        self._mint = TokenMint(key=key, origin=origin, now=now)

    def app(self) -> web.Application:
        app = web.Application(middlewares=[_explain_bad_questions])
        app.router.add_get("/token", self._token)
        app.router.add_get("/msi/token", self._managed_identity_token)
        app.router.add_get(f"/{people.TENANT}/discovery/v2.0/keys", self._keys)
        app.router.add_get(f"/{people.TENANT}/v2.0/.well-known/openid-configuration", self._discovery)
        return app

    async def _token(self, request: web.Request) -> web.Response:
        query = request.query
        if unknown := set(query) - TOKEN_PARAMETERS:
            raise BadQuestionError(
                f"unknown parameter {sorted(unknown)[0]}; known are {', '.join(sorted(TOKEN_PARAMETERS))}"
            )
        name = query.get("user", "")
        person = people.find_person(name)
        if person is None:
            known = ", ".join(people.NAMED)
            return _refusal(
                404, "unknown_user", f"nobody here is called {name!r}; there are {known}, load-1 to load-9999"
            )
        lifetime = _lifetime(query)
        token = self._mint.for_person(
            person,
            audience=query.get("audience", APP_AUDIENCE),
            lifetime=lifetime,
            roles=_roles(query),
            kind=_kind(query),
        )
        return web.json_response(
            {"access_token": token, "expires_in": int(lifetime.total_seconds()), "token_type": "Bearer"},
            headers={"Cache-Control": "no-store"},
        )

    async def _managed_identity_token(self, request: web.Request) -> web.Response:
        shown = request.headers.get("X-IDENTITY-HEADER", "")
        if not hmac.compare_digest(shown.encode(), self._identity_header.encode()):
            return _msi_refusal(401, "the X-IDENTITY-HEADER header is missing or is not the one of this app")
        if request.query.get("api-version") != MSI_API_VERSION:
            return _msi_refusal(400, f"api-version must be {MSI_API_VERSION}")
        resource = request.query.get("resource", "")
        if not resource:
            return _msi_refusal(400, "the parameter resource is missing")
        client_id = request.query.get("client_id", people.CONTROL_PLANE_CLIENT_ID)
        if client_id.lower() != people.CONTROL_PLANE_CLIENT_ID:
            return _msi_refusal(400, "no managed identity with this client_id is assigned to the app")
        expires_on = int((self._now() + DEFAULT_LIFETIME).timestamp())
        return web.json_response(
            {
                "access_token": self._mint.for_control_plane(resource=resource),
                "expires_on": str(expires_on),
                "resource": resource,
                "token_type": "Bearer",
                "client_id": people.CONTROL_PLANE_CLIENT_ID,
            },
            headers={"Cache-Control": "no-store"},
        )

    async def _keys(self, _request: web.Request) -> web.Response:
        return web.json_response({"keys": [self._key.public_jwk()]})

    async def _discovery(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": issuer_of(self._origin, people.TENANT),
                "jwks_uri": keys_url(self._origin),
                "id_token_signing_alg_values_supported": ["RS256"],
                "subject_types_supported": ["pairwise"],
                "response_types_supported": ["token"],
                "scopes_supported": [SCOPE],
            }
        )


def keys_url(origin: str) -> str:
    return f"{origin}/{people.TENANT}/discovery/v2.0/keys"


@web.middleware
async def _explain_bad_questions(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except BadQuestionError as error:
        return _refusal(400, "invalid_request", str(error))


def _lifetime(query: Mapping[str, str]) -> timedelta:
    text = query.get("expires_in", "")
    if not text:
        return DEFAULT_LIFETIME
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= LONGEST_LIFETIME_S:
        raise BadQuestionError(f"expires_in is in seconds, 1 to {LONGEST_LIFETIME_S}")
    return timedelta(seconds=int(text))


def _roles(query: Mapping[str, str]) -> list[str] | None:
    if "roles" not in query:
        return None
    return [role for role in query["roles"].split(",") if role]


def _kind(query: Mapping[str, str]) -> TokenKind:
    text = query.get("kind", TokenKind.GOOD)
    try:
        return TokenKind(text)
    except ValueError as error:
        raise BadQuestionError(f"kind is one of {', '.join(TokenKind)}") from error


def _refusal(status: int, error: str, description: str) -> web.Response:
    return web.json_response({"error": error, "error_description": description}, status=status)


def _msi_refusal(status: int, message: str) -> web.Response:
    return web.json_response({"statusCode": status, "message": message}, status=status)
