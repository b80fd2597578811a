"""The ways of getting a token without asking anybody, one after the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from devboxgpu.errors import SignInError

RENEW_BEFORE_S = 300.0


class Token(NamedTuple):
    text: str
    expires_at: float
    """Seconds since 1970."""

    def __repr__(self) -> str:
        return f"Token(expires_at={self.expires_at})"  # the text must not get into a log


class LinkUnavailableError(Exception):
    """The link has no token to give, and says why; the next one may."""


class Link(Protocol):
    @property
    def name(self) -> str:
        """As in the configuration's `sign_in`."""
        ...

    @property
    def origin(self) -> str:
        """Where its tokens come from, for people."""
        ...

    def is_set_up(self) -> bool:
        """Whether it may have a token. Quick: nothing is asked of anybody."""
        ...

    def token(self, *, fresh: bool) -> Token:
        """A token; `fresh` where a remembered one was not accepted. Never asks the person.

        Raises LinkUnavailableError; SignInError where it was set up and failed; UnreachableError where the answer is
        unknown.
        """
        ...


class ChainToken:
    """The first link that gives a token is used from then on: in one process, one person asks."""

    def __init__(self, links: Sequence[Link], *, now: Callable[[], float] = time.time) -> None:
        self._links = list(links)
        self._now = now
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._fresh = False
        self._used: Link | None = None

    @property
    def origin(self) -> str:
        return self._used.origin if self._used is not None else "nowhere yet: not signed in"

    def is_set_up(self) -> bool:
        return any(link.is_set_up() for link in self._links)

    def token(self) -> str:
        """Raises SignInError, saying what to do, where no link has a token."""
        with self._lock:
            held = self._token
            if held is not None and self._now() < held.expires_at - RENEW_BEFORE_S:
                return held.text
            self._token = self._from_links()
            self._fresh = False
            return self._token.text

    def forget(self) -> bool:
        with self._lock:
            self._token, self._fresh = None, True
        return True

    def _from_links(self) -> Token:
        why = []
        for link in [self._used] if self._used is not None else self._links:
            try:
                token = link.token(fresh=self._fresh)
            except LinkUnavailableError as error:
                why.append(f"{link.name}: {error}")
            else:
                self._used = link
                return token
        raise SignInError(
            "you are not signed in: run 'devboxgpu login', or 'devboxgpu login --device-code' where there is no "
            f"browser; programs give DEVBOXGPU_ACCESS_TOKEN. Tried: {'; '.join(why)}"
        )
