"""The public keys of the token issuer: kept in memory, asked for anew each hour and when a token names an unknown one.

Anyone can send tokens with made-up key ids, so these set off one question in 30 seconds at most, answered or not. Who
has a token with a known key never waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock

import jwt
from jwt import PyJWK, PyJWKClient

from shared.ports.clock import elapsed_s

FRESH_S = 3600.0
USABLE_S = 24 * 3600.0
"""While the issuer does not answer, known keys are believed for a day: Entra announces a change of keys before it."""
AGAIN_S = 30.0
AGAIN_WITHOUT_KEYS_S = 2.0
TIMEOUT_S = 5.0


class KeysUnavailable(Exception):
    """The issuer's keys could not be had: the caller is asked to come back, not told that the token is bad."""


class SigningKeys:
    """Keys by id, in this process's memory."""

    def __init__(self, fetch: Callable[[], Mapping[str, PyJWK]]) -> None:
        self._fetch = fetch
        self._keys: Mapping[str, PyJWK] = {}
        self._got_at: float | None = None
        self._asked_at: float | None = None
        self._failed: str | None = None
        self._asking = Lock()

    @property
    def trouble(self) -> str | None:
        """Return why the issuer's last answer could not be used, None where it could."""
        return self._failed

    def find(self, key_id: str) -> PyJWK | None:
        """Return the key, None where the issuer has none of this id; raise KeysUnavailable where that is not known."""
        known = self._keys.get(key_id)
        if known is not None and self._is_younger(FRESH_S):
            return known
        if self._asking.acquire(blocking=known is None):
            try:
                self._ask_if_due()
            finally:
                self._asking.release()
        found = self._keys.get(key_id)
        if (found is None and self._failed) or not self._is_younger(USABLE_S):
            raise KeysUnavailable(f"the token issuer's keys could not be fetched: {self._failed or 'no answer'}")
        return found

    def _ask_if_due(self) -> None:
        """Ask, unless somebody just has. An answer that cannot be used leaves the known keys as they are."""
        pause_s = AGAIN_S if self._keys else AGAIN_WITHOUT_KEYS_S
        if self._asked_at is not None and elapsed_s() - self._asked_at < pause_s:
            return
        try:
            self._keys, self._failed = self._fetch(), None
            self._got_at = elapsed_s()
        except KeysUnavailable as failure:
            self._failed = str(failure)
        finally:
            self._asked_at = elapsed_s()

    def _is_younger(self, age_s: float) -> bool:
        return self._got_at is not None and elapsed_s() - self._got_at < age_s


def keys_at(url: str) -> Callable[[], Mapping[str, PyJWK]]:
    """Return the question to a JWKS address. Only RSA keys for signatures are taken; raises KeysUnavailable."""
    client = PyJWKClient(url, cache_jwk_set=False, timeout=TIMEOUT_S)

    def fetch() -> Mapping[str, PyJWK]:
        try:
            keys = client.get_signing_keys()
        except (jwt.PyJWTError, ValueError, OSError) as error:
            raise KeysUnavailable(str(error)) from error
        return {str(key.key_id): key for key in keys if key.key_type == "RSA"}

    return fetch
