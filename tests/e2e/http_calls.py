"""Plain HTTP to the local cloud, with raw bodies where a test wants them, past whatever proxy this machine names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

TIMEOUT_S = 30.0


class NobodyAnswered(Exception):
    """The connection was refused or broke off: what was asked may or may not have happened."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names are looked up without regard to case."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def error_code(self) -> str:
        """The error's code, which body and header must agree on."""
        code = self.json["error"]["code"]
        assert self.headers["x-ms-error-code"] == code
        return str(code)


def send(method: str, url: str, body: object = None, headers: Mapping[str, str] | None = None) -> Answer:
    """Send a request; a body that is not bytes goes as JSON. Raise NobodyAnswered."""
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json"} if body is not None else {}
    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.request(method, url, data=data, headers={**sent, **(headers or {})}, timeout=TIMEOUT_S)
        except requests.RequestException as error:
            raise NobodyAnswered(f"{method} {url}: {error}") from error
        return Answer(answer.status_code, answer.headers, answer.text)
