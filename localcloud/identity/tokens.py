"""Makes tokens, good ones and ones that are wrong in exactly one way, and checks those that other stand-ins receive.

Claims follow Microsoft Entra access tokens of version 2.0; which of them the app must check is in
`reference/reliability.md` section 4.1.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import jwt

from localcloud.identity import people
from localcloud.identity.keys import SigningKey, new_key
from localcloud.identity.people import Person

APP_AUDIENCE = "api://devboxgpu"
SCOPE = "Gpu.Use"
DEFAULT_LIFETIME = timedelta(hours=1)
CLOCK_SKEW = timedelta(minutes=1)
FAR_FROM_NOW = timedelta(minutes=30)


class TokenKind(StrEnum):
    """What `kind=` of the token handle asks for: a good token, or one that is wrong in just the way it says."""

    GOOD = "good"
    EXPIRED = "expired"
    NOT_YET = "not-yet"
    WRONG_AUDIENCE = "wrong-audience"
    WRONG_ISSUER = "wrong-issuer"
    FORGED = "forged"
    NONE = "none"


class InvalidToken(Exception):
    """A token that must not be accepted; `reason` says why, without repeating the token."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TokenMint:
    """Signs tokens in the name of the stand-in's one tenant."""

    def __init__(self, *, key: SigningKey, origin: str, now: Callable[[], datetime]) -> None:
        self._key = key
        self._forger: SigningKey | None = None
        self._now = now
        self.issuer = issuer_of(origin, people.TENANT)
        self._foreign_issuer = issuer_of(origin, people.OTHER_TENANT)

    def for_person(
        self,
        person: Person,
        *,
        audience: str = APP_AUDIENCE,
        lifetime: timedelta = DEFAULT_LIFETIME,
        roles: Collection[str] | None = None,
        kind: TokenKind = TokenKind.GOOD,
    ) -> str:
        """Return a delegated token, as the command gets after a sign-in."""
        claims = self._claims(person.object_id, audience, lifetime) | {
            "name": person.name.capitalize(),
            "preferred_username": f"{person.name}@demo.example",
            "scp": SCOPE,
            "azp": people.COMMAND_CLIENT_ID,
            "idtyp": "user",
        }
        if held := list(person.roles if roles is None else roles):
            claims["roles"] = held
        return self._signed(self._spoiled(claims, kind), kind)

    def for_control_plane(self, *, resource: str, lifetime: timedelta = DEFAULT_LIFETIME) -> str:
        """Return an application's token, as a managed identity gets it for `resource`."""
        claims = self._claims(people.CONTROL_PLANE_ID, resource, lifetime) | {
            "azp": people.CONTROL_PLANE_CLIENT_ID,
            "appid": people.CONTROL_PLANE_CLIENT_ID,
            "idtyp": "app",
        }
        return self._signed(claims, TokenKind.GOOD)

    def _claims(self, object_id: str, audience: str, lifetime: timedelta) -> dict[str, Any]:
        now = self._now()
        return {
            "ver": "2.0",
            "iss": self.issuer,
            "tid": people.TENANT,
            "aud": audience,
            "oid": object_id,
            "sub": object_id,
            "uti": uuid.uuid4().hex,
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
        }

    def _spoiled(self, claims: dict[str, Any], kind: TokenKind) -> dict[str, Any]:
        now = self._now()
        match kind:
            case TokenKind.EXPIRED:
                long_ago = now - FAR_FROM_NOW - DEFAULT_LIFETIME
                return claims | {"iat": long_ago, "nbf": long_ago, "exp": now - FAR_FROM_NOW}
            case TokenKind.NOT_YET:
                return claims | {"nbf": now + FAR_FROM_NOW, "exp": now + FAR_FROM_NOW + DEFAULT_LIFETIME}
            case TokenKind.WRONG_AUDIENCE:
                return claims | {"aud": "api://somebody-else"}
            case TokenKind.WRONG_ISSUER:
                return claims | {"iss": self._foreign_issuer}
            case TokenKind.GOOD | TokenKind.FORGED | TokenKind.NONE:
                return claims

    def _signed(self, claims: dict[str, Any], kind: TokenKind) -> str:
        headers = {"kid": self._key.key_id}
        if kind is TokenKind.NONE:
            return jwt.encode(claims, key="", algorithm="none", headers=headers)
        key = self._key
        if kind is TokenKind.FORGED:
            key = self._forger = self._forger or new_key()
        return jwt.encode(claims, key.private, algorithm="RS256", headers=headers)


class TokenCheck:
    """Checks a bearer token for one of the stand-ins, by the same rules as the service it stands for."""

    def __init__(self, *, key: SigningKey, origin: str, audiences: Collection[str]) -> None:
        self._public = key.private.public_key()
        self._issuer = issuer_of(origin, people.TENANT)
        self._audiences = [
            form for audience in audiences for form in (audience.rstrip("/"), audience.rstrip("/") + "/")
        ]

    async def __call__(self, token: str) -> Mapping[str, object]:
        """Return the token's claims, or raise InvalidToken."""
        try:
            claims: dict[str, object] = jwt.decode(
                token,
                self._public,
                algorithms=["RS256"],
                audience=self._audiences,
                issuer=self._issuer,
                leeway=CLOCK_SKEW,
                options={"require": ["exp", "iat", "nbf", "aud", "iss"]},
            )
        except jwt.InvalidAudienceError as error:
            raise InvalidToken(f"the token is not meant for {self._audiences[0]}") from error
        except jwt.PyJWTError as error:
            raise InvalidToken(f"the token was refused: {error}") from error
        return claims


def issuer_of(origin: str, tenant: str) -> str:
    return f"{origin}/{tenant}/v2.0"
