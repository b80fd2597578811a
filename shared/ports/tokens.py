"""Entra ID access tokens: validated here, in the app, on every call. There is no switch that turns this off."""

from __future__ import annotations

from typing import Protocol

import jwt

from shared.domain.access import Caller
from shared.domain.claims import TokenRefused, caller_of_token, issuer_of
from shared.ports.signing_keys import KeysUnavailable, SigningKeys

ALGORITHM = "RS256"
SKEW_S = 60
_REQUIRED = ["exp", "iat", "nbf", "aud", "iss", "oid", "tid"]

__all__ = ["EntraTokens", "KeysUnavailable", "TokenRefused", "Tokens"]


class Tokens(Protocol):
    """Who a token stands for."""

    def caller(self, token: str) -> Caller:
        """Return the caller; raise TokenRefused or KeysUnavailable."""


class EntraTokens:
    """Tokens of one issuer, or one for each tenant (`{tenantid}` in it), for our audiences (reliability.md 4.1)."""

    def __init__(self, *, issuer: str, audiences: frozenset[str], tenants: frozenset[str], keys: SigningKeys) -> None:
        self._issuer = issuer
        self._issuers = sorted({issuer_of(issuer, tenant) for tenant in tenants})
        self._audiences = sorted(audiences)
        self._tenants = tenants
        self._keys = keys

    def caller(self, token: str) -> Caller:
        try:
            header = jwt.get_unverified_header(token)
            key_id = header.get("kid")
            if header.get("alg") != ALGORITHM or not isinstance(key_id, str):
                raise TokenRefused(f"the token is not signed with {ALGORITHM} and a named key")
            key = self._keys.find(key_id)
            if key is None:
                raise TokenRefused("the token is signed with a key that the issuer does not have")
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=self._audiences,
                issuer=self._issuers,
                leeway=SKEW_S,
                options={"require": _REQUIRED},
            )
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise TokenRefused(_why(error)) from error
        return caller_of_token(claims, tenants=self._tenants, issuer=self._issuer)


def _why(error: Exception) -> str:
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
