"""The address that a request came from, as the platform's header tells it."""

from __future__ import annotations

from ipaddress import ip_address


def source_in(value: str) -> str:
    """Return the last address of a forwarding header, without its port; empty where that is no address.

    Each proxy appends what it saw, so only the last entry is the platform's own word: those before it are whatever the
    caller sent.
    """
    last = value.rpartition(",")[2].strip()
    if last.startswith("["):
        last = last[1:].partition("]")[0]
    elif last.count(":") == 1:
        last = last.partition(":")[0]
    try:
        return str(ip_address(last.partition("%")[0]))
    except ValueError:
        return ""
