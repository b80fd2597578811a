"""HTTP to one origin: kept-alive connections, time limits, retries, ids that tie our calls to the service's logs.

Nearly every call of the control plane's API may be repeated (ids are chosen by the client), so every call is retried
alike; one that may not be is made without patience.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from devboxgpu import __version__
from devboxgpu.config_keys import origin_fault
from devboxgpu.errors import ConfigurationError, UnreachableError
from devboxgpu.proxies import proxy_for

log = logging.getLogger(__name__)

RETRIED_STATUSES = frozenset({429, 502, 503, 504})
NEVER_RECEIVED = (ConnectionRefusedError, socket.gaierror)
FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 5.0
HTTPS_PORT = 443


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    status: int
    headers: Mapping[str, str]
    """Keys in lower case."""
    body: bytes = field(repr=False)

    def json(self) -> object:
        """The body as JSON; None when it is not (an error page of something in between)."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def answered_at(self) -> datetime | None:
        """The service's clock, to the second; None where it does not tell it."""
        try:
            at = parsedate_to_datetime(self.headers.get("date", ""))
        except ValueError:
            return None
        return at if at.tzinfo else None

    def retry_after_s(self) -> float | None:
        """How long the service asks us to wait: `Retry-After-Ms` first, then `Retry-After` in seconds."""
        for header, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
            try:
                return max(0.0, float(self.headers[header]) * unit)
            except (KeyError, ValueError):
                continue
        return None


class Transport:
    """Thread-safe: each call has a connection of its own while it lasts, taken from the idle ones."""

    def __init__(
        self,
        origin: str,
        *,
        timeout_s: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if (fault := origin_fault(origin)) is not None:
            raise ConfigurationError(f"'{origin}' {fault}")
        parts = urlsplit(origin)
        assert parts.hostname is not None
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        self._timeout_s = timeout_s
        self._sleep, self._monotonic = sleep, monotonic
        self._idle: list[http.client.HTTPConnection] = []
        self._idle_lock = threading.Lock()
        self._trace_id = os.urandom(16).hex()

    def send(
        self, method: str, path: str, *, headers: Mapping[str, str], body: bytes | None = None, patience_s: float = 10.0
    ) -> Response:
        """One call, repeated for up to `patience_s` while the service is busy or does not answer.

        Raises UnreachableError when no answer came; an answer that is still a refusal to serve is returned.
        """
        give_up_at = self._monotonic() + patience_s
        backoff_s = FIRST_BACKOFF_S
        may_have_taken_hold = False
        while True:
            outcome = self._attempt(method, path, headers, body)
            if isinstance(outcome, Response) and outcome.status not in RETRIED_STATUSES:
                return outcome
            may_have_taken_hold = may_have_taken_hold or not isinstance(outcome, NEVER_RECEIVED)
            asked_s = outcome.retry_after_s() if isinstance(outcome, Response) else None
            wait_s = asked_s if asked_s is not None else backoff_s * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
            if self._monotonic() + wait_s > give_up_at:
                if isinstance(outcome, Response):
                    return outcome
                where = self._host if self._port is None else f"{self._host}:{self._port}"
                raise UnreachableError(
                    f"the control plane at {where} does not answer ({type(outcome).__name__}: {outcome})",
                    may_have_taken_hold=may_have_taken_hold,
                )
            log.debug("%s %s again in %.2f s after %r", method, path, wait_s, outcome)
            self._sleep(wait_s)
            backoff_s = min(backoff_s * 2, LONGEST_BACKOFF_S)

    def _attempt(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Response | OSError | http.client.HTTPException:
        """The answer, or why there is none."""
        connection, kept = self._take()
        try:
            try:
                return self._exchange(connection, method, path, headers, body)
            except (OSError, http.client.HTTPException):
                if not kept:
                    raise
            # A kept connection may have been closed by the other side since: that says nothing about the service.
            return self._exchange(self._connect(), method, path, headers, body)
        except (OSError, http.client.HTTPException) as error:
            return error

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> Response:
        started = self._monotonic()
        try:
            connection.request(method, self._prefix + path, body=body, headers={**self._own_headers(), **headers})
            raw = connection.getresponse()
            content = raw.read()
        except BaseException:
            connection.close()
            raise
        response = Response(
            status=raw.status, headers={name.lower(): value for name, value in raw.getheaders()}, body=content
        )
        elapsed_ms = (self._monotonic() - started) * 1000
        request_id = response.headers.get("x-ms-request-id", "-")
        log.debug("%s %s -> %d in %.0f ms, request %s", method, path, raw.status, elapsed_ms, request_id)
        if raw.will_close:
            connection.close()
        else:
            with self._idle_lock:
                self._idle.append(connection)
        return response

    def _own_headers(self) -> dict[str, str]:
        return {
            "Accept": "application/json",
            "User-Agent": f"devboxgpu/{__version__}",
            "traceparent": f"00-{self._trace_id}-{os.urandom(8).hex()}-01",
            "x-ms-client-request-id": os.urandom(16).hex(),
        }

    def _take(self) -> tuple[http.client.HTTPConnection, bool]:
        with self._idle_lock:
            if self._idle:
                return self._idle.pop(), True
        return self._connect(), False

    def _connect(self) -> http.client.HTTPConnection:
        if not self._secure:  # only this machine is called so
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        proxy = proxy_for(self._host)
        if proxy is None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout_s)
        connection = http.client.HTTPSConnection(proxy.host, proxy.port, timeout=self._timeout_s)
        connection.set_tunnel(self._host, self._port or HTTPS_PORT, headers=dict(proxy.headers))
        return connection
