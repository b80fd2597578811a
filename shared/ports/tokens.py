"""Entra ID access tokens: validated here, in the app, on every call. There is no switch that turns this off."""

from __future__ import annotations

from typing import Any, Protocol

import jwt
from jwt import PyJWKClient
from jwt.exceptions import PyJWKClientConnectionError, PyJWKClientError

from shared.domain.access import Caller
from shared.domain.names import user_id

SKEW_S = 60
KEYS_KEPT_S = 3600


class TokenRefused(Exception):
    """The token does not prove who calls. The text says why, for the log and the caller; it never holds the token."""


class KeysUnavailable(Exception):
    """The issuer's keys could not be had: the caller is asked to come back, not told that the token is bad."""


class Tokens(Protocol):
    """Who a token stands for."""

    def caller(self, token: str) -> Caller:
        """Return the caller; raise TokenRefused or KeysUnavailable."""


class EntraTokens:
    """Tokens of one issuer for one audience (reliability.md 4.1)."""

    def __init__(self, *, issuer: str, audience: str, jwks_url: str, tenants: frozenset[str]) -> None:
        self._issuer = issuer
        self._audience = audience
        self._tenants = tenants
        self._keys = PyJWKClient(jwks_url, cache_jwk_set=True, lifespan=KEYS_KEPT_S, timeout=5)

    def caller(self, token: str) -> Caller:
        try:
            key = self._keys.get_signing_key_from_jwt(token)
            claims = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=self._audience,
                issuer=self._issuer,
                leeway=SKEW_S,
                options={"require": ["exp", "iat", "nbf", "aud", "iss", "oid", "tid"]},
            )
        except PyJWKClientConnectionError as error:
            raise KeysUnavailable("the token issuer's keys could not be fetched") from error
        except PyJWKClientError as error:
            raise TokenRefused("the token is signed with a key that the issuer does not have") from error
        except jwt.PyJWTError as error:
            raise TokenRefused(_why(error)) from error
        return self._of(claims)

    def _of(self, claims: dict[str, Any]) -> Caller:
        tenant, roles = claims["tid"], claims.get("roles") or []
        if not isinstance(tenant, str) or tenant not in self._tenants:
            raise TokenRefused("the token is of another tenant")
        if claims.get("ver") != "2.0":
            raise TokenRefused("the token is not a version 2.0 access token")
        user = user_id(str(claims["oid"]))
        if user is None or not claims.get("scp"):
            raise TokenRefused("the token is not a user's access token for this API")
        if not isinstance(roles, list):
            raise TokenRefused("the token's roles are no list")
        return Caller(
            user=user,
            tenant=tenant,
            name=str(claims.get("preferred_username") or claims.get("name") or user),
            roles=frozenset(str(role) for role in roles),
        )


def _why(error: jwt.PyJWTError) -> str:
    match error:
        case jwt.ExpiredSignatureError():
            return "the token has expired"
        case jwt.InvalidAudienceError():
            return "the token is for another audience"
        case jwt.InvalidIssuerError():
            return "the token is from another issuer"
        case jwt.ImmatureSignatureError():
            return "the token is not valid yet"
        case jwt.MissingRequiredClaimError():
            return f"the token lacks the claim '{error.claim}'"
        case _:
            return "the token is malformed or its signature is wrong"
