"""Which proxy stands between this machine and a host, as the environment and the system say."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from devboxgpu.errors import ConfigurationError

DEFAULT_PORT = 3128


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    host: str
    port: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What CONNECT says of who asks."""


def proxy_for(host: str) -> Proxy | None:
    """The proxy for https to this host; None where there is none or it is not to be used (NO_PROXY).

    Raises ConfigurationError for one that cannot be used.
    """
    import urllib.request  # takes its time, and most calls go to a connection that is there

    address = urllib.request.getproxies().get("https")
    if not address or urllib.request.proxy_bypass(host):
        return None
    return proxy_at(address)


def proxy_at(address: str) -> Proxy:
    """The proxy of an address as people write it, with or without its scheme. Raises ConfigurationError."""
    parts = urlsplit(address if "://" in address else f"http://{address}")
    try:
        port = parts.port or DEFAULT_PORT
    except ValueError:
        raise _unusable("its port is no number up to 65535") from None
    if parts.scheme != "http" or not parts.hostname:
        raise _unusable(f"its scheme is '{parts.scheme}'")
    return Proxy(host=parts.hostname, port=port, headers=_credentials(parts))


def _unusable(why: str) -> ConfigurationError:
    return ConfigurationError(
        f"the proxy for https (HTTPS_PROXY, or the system's) must be like http://HOST:PORT, and {why}: "
        "set another one, or put the control plane's host into NO_PROXY"
    )


def _credentials(parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Proxy-Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
