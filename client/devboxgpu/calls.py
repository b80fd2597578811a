"""One call of the control plane: the token, the version, pages, and a "no" made into an error."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from devboxgpu.errors import RefusedError
from devboxgpu.tokens import TokenSource
from devboxgpu.transport import Response, Transport
from devboxgpu.wire import Json, Problem, items_of, mapping_of, text_of

API_VERSION = "2026-12-01-preview"
MOST_PAGES = 1000
USUAL_PATIENCE_S = 5.0


class Calls:
    """Blocking and thread-safe. Raises RefusedError for a "no" and UnreachableError for silence."""

    def __init__(self, transport: Transport, tokens: TokenSource) -> None:
        self._transport = transport
        self._tokens = tokens

    def pages(self, path: str, query: Mapping[str, str] | None = None, *, limit: int | None = None) -> list[Json]:
        """The whole list, however many pages it has; or no more of it than is asked for."""
        return list(islice(self._pages(path, query or {}), limit))

    def _pages(self, path: str, query: Mapping[str, str]) -> Iterator[Json]:
        for _ in range(MOST_PAGES):
            page = object_in(self.call("GET", path, query=query))
            yield from items_of(page, "value")
            next_link = text_of(page, "nextLink")
            if next_link is None:
                return
            # Only the link's query is taken: the token goes to the configured service and nowhere else.
            query = {name: value for name, value in parse_qsl(urlsplit(next_link).query) if name != "api-version"}
        raise RefusedError(f"the list does not end after {MOST_PAGES} pages", code="BadAnswer")

    def call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        patience_s: float = USUAL_PATIENCE_S,
    ) -> Response:
        """The answer, which is a good one."""
        content = None if body is None else json.dumps(body).encode()
        target = f"{path}?{urlencode({'api-version': API_VERSION, **(query or {})})}"
        response = self._send(method, target, content, headers or {}, patience_s)
        if response.status == 401 and self._tokens.forget():
            response = self._send(method, target, content, headers or {}, patience_s)
        if not 200 <= response.status < 300:
            raise _refusal(response)
        return response

    def _send(
        self, method: str, target: str, content: bytes | None, headers: Mapping[str, str], patience_s: float
    ) -> Response:
        own = {"Authorization": f"Bearer {self._tokens.token()}"}
        if content is not None:
            own["Content-Type"] = "application/merge-patch+json" if method == "PATCH" else "application/json"
        return self._transport.send(method, target, headers={**own, **headers}, body=content, patience_s=patience_s)


def segment(text: str) -> str:
    """Text from a person as one segment of a path."""
    return quote(text, safe="")


def object_in(response: Response) -> Json:
    data = response.json()
    if not isinstance(data, dict):
        raise RefusedError(
            "the answer is not the JSON object expected: is the endpoint right?",
            status=response.status,
            code="BadAnswer",
        )
    return data


def _refusal(response: Response) -> RefusedError:
    data = response.json()
    problem = Problem.read(mapping_of(data, "error")) if isinstance(data, dict) else None
    if problem is None:
        code = response.headers.get("x-ms-error-code") or f"HTTP {response.status}"
        problem = Problem(code=code, message="the service refused without saying why")
    return RefusedError(
        problem.message,
        status=response.status,
        code=problem.code,
        request_id=response.headers.get("x-ms-request-id", ""),
        target=problem.target,
        details=problem.details,
        retry_after_s=response.retry_after_s(),
    )
