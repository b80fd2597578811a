"""HTTP requests and answers as plain values, and their way to and from the SDK's converters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.cookies import Morsel
from typing import Any
from urllib.parse import quote

from azure.functions.meta import Datum

from localcloud.functions_host.url_text import encode_path, read_query

TEXT = "text/plain; charset=utf-8"
_COOKIE_ATTRIBUTES = (("expires", "expires"), ("max-age", "max-age"), ("domain", "domain"), ("path", "path"))
_ALWAYS_WRITTEN = ("domain", "path")
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCall:
    """A request: `path` decoded with its leading slash, `query` as it came, header names in lower case."""

    method: str
    path: str
    raw_path: str
    query: str
    has_query: bool
    headers: Mapping[str, str]
    body: bytes
    origin: str

    @property
    def url(self) -> str:
        """The URL put together again, as a function sees it."""
        return f"{self.origin}{encode_path(self.path)}{'?' if self.has_query else ''}{self.query}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """An answer; headers are pairs, for Set-Cookie may come more than once."""

    status: int
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = field(default=b"", repr=False)


def text_answer(status: int, text: str) -> HttpAnswer:
    return HttpAnswer(status=status, headers=(("Content-Type", TEXT),), body=text.encode())


def request_datum(call: HttpCall, route_values: Mapping[str, str]) -> Datum:
    """What the SDK's converter makes an HttpRequest of."""
    return Datum(
        {
            "method": Datum(call.method, "string"),
            "url": Datum(call.url, "string"),
            "headers": {name: Datum(value, "string") for name, value in call.headers.items()},
            "query": {name: Datum(value, "string") for name, value in read_query(call.query).items()},
            "params": {name: Datum(value, "string") for name, value in route_values.items()},
            "body": Datum(call.body, "bytes"),
        },
        "http",
    )


def answer_from(datum: Datum) -> HttpAnswer:
    """What the SDK's converter made of a function's return value, as an answer."""
    if datum.type == "string":
        return text_answer(200, datum.value)
    value: Mapping[str, Any] = datum.value
    headers = [(name, str(header.value)) for name, header in value["headers"].items() if name.lower() not in _FRAMING]
    for jar in value["cookies"] or ():
        headers += [("Set-Cookie", _cookie_line(name, morsel)) for name, morsel in jar.items()]
    return HttpAnswer(status=int(value["status_code"].value), headers=headers, body=value["body"].value)


def _cookie_line(name: str, morsel: "Morsel[str]") -> str:
    """A cookie as the vendor's host writes it: all lower case, domain and path always there, and nothing unknown."""
    parts = [f"{name}={quote(morsel.value, safe='-_.~')}"]
    for attribute, written in _COOKIE_ATTRIBUTES:
        if morsel[attribute] or attribute in _ALWAYS_WRITTEN:
            parts.append(f"{written}={morsel[attribute]}")
    if morsel["secure"]:
        parts.append("secure")
    if morsel["samesite"]:
        parts.append(f"samesite={str(morsel['samesite']).lower()}")
    if morsel["httponly"]:
        parts.append("httponly")
    return "; ".join(parts)
