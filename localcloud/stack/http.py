"""Small requests to the local cloud's own addresses, without any proxy and with the standard library only."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from localcloud.stack.problem import StackProblemError

TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a service answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise StackProblemError(f"an answer of status {self.status} is not JSON: {self.text()}") from error

    def text(self) -> str:
        return self.body.decode(errors="replace").strip()


class NotAnsweringError(Exception):
    """Nobody answered, or not in HTTP, or not in time."""


def ask(
    method: str,
    url: str,
    *,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """Send one request and return the answer, whatever its status; raises NotAnsweringError."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    content = None if body is None else json.dumps(body)
    sent = {"Connection": "close", **(headers or {})}
    if content is not None:
        sent["Content-Type"] = "application/json"
    try:
        connection.request(method, f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}", content, sent)
        answer = connection.getresponse()
        lower = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(status=answer.status, headers=lower, body=answer.read())
    except (OSError, http.client.HTTPException) as error:
        raise NotAnsweringError(f"{method} {parts.scheme}://{parts.netloc}{parts.path}: {error}") from error
    finally:
        connection.close()
