"""Who is asking: a bearer token, given ready-made or fetched from the local cloud's identity stand-in."""

from __future__ import annotations

import base64
import binascii
import json
import threading
import time
from typing import Protocol
from urllib.parse import urlencode

from devboxgpu.errors import ConfigurationError, UnreachableError
from devboxgpu.transport import Transport
from devboxgpu.wire import number_of, text_of

RENEW_BEFORE_S = 120.0


class TokenSource(Protocol):
    @property
    def origin(self) -> str:
        """Where the token comes from, for people."""
        ...

    def token(self) -> str: ...

    def forget(self) -> bool:
        """The token was not accepted. Whether asking again may give another one."""
        ...


class FixedToken:
    """A token given by the environment; it cannot be renewed."""

    def __init__(self, token: str, *, origin: str) -> None:
        self._token = token
        self.origin = origin

    def token(self) -> str:
        return self._token

    def forget(self) -> bool:
        return False


class LocalIdentityToken:
    """Asks the local cloud for a made-up user's token, and for a new one before the old one expires."""

    def __init__(self, identity: str, user: str) -> None:
        self._transport = Transport(identity)
        self._user = user
        self._lock = threading.Lock()
        self._token = ""
        self._good_until = 0.0
        self.origin = f"the local cloud's identity, as {user}"

    def token(self) -> str:
        with self._lock:
            if time.monotonic() >= self._good_until:
                self._fetch()
            return self._token

    def forget(self) -> bool:
        with self._lock:
            self._good_until = 0.0
        return True

    def _fetch(self) -> None:
        path = "/token?" + urlencode({"user": self._user})
        try:
            response = self._transport.send("GET", path, headers={}, patience_s=5)
        except UnreachableError as error:
            # Without a token nothing was asked of the control plane.
            raise UnreachableError(
                f"no token: {error}. Is the local cloud up? 'devboxgpu local up'", may_have_taken_hold=False
            ) from None
        data = response.json()
        token = text_of(data, "access_token") if isinstance(data, dict) else None
        if response.status != 200 or token is None or not isinstance(data, dict):
            raise ConfigurationError(
                f"the local identity gives no token for '{self._user}' (status {response.status}): "
                "check DEVBOXGPU_LOCAL_USER"
            )
        lifetime_s = number_of(data, "expires_in") or 0.0
        self._good_until = time.monotonic() + max(lifetime_s - RENEW_BEFORE_S, lifetime_s / 2)
        self._token = token


def claims_of(token: str) -> dict[str, object]:
    """What a token says of its bearer, unverified: for showing, never for deciding. Empty for an opaque token."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, binascii.Error):
        return {}
    return claims if isinstance(claims, dict) else {}
