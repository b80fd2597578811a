"""Requests and answers of the engine's HTTP as plain values, whoever serves them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

PUBLIC_PREFIX = "/runtime/webhooks/durabletask/"
RPC_PREFIX = "/durabletask/"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRequest:
    """A request below one of the two prefixes.

    `raw_path` is what follows the prefix and `query` what follows the question mark, both still percent-encoded;
    header names are in lower case; whoever serves need not set `prefix`; `origin` is such as "http://127.0.0.1:7071".
    """

    method: str
    raw_path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    origin: str = ""
    prefix: str = PUBLIC_PREFIX


@dataclass(frozen=True, slots=True, kw_only=True)
class WebResponse:
    """An answer; `headers` holds what is to be sent beside the length."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableAddresses:
    """Where the APIs are served: origins without a trailing slash, and the system key where keys are checked."""

    public_origin: str
    rpc_origin: str
    system_key: str | None = None
