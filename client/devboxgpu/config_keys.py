"""What can be configured: each key, what its value may be, and who may set it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from devboxgpu.errors import ConfigurationError

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
OUTPUTS = ("table", "json", "tsv")
SIGN_INS = ("auto", "silent", "environment", "broker", "browser", "device-code")
"""`auto`: the first link of the chain that works; `silent`: the same, and never a question; or one link alone."""

Check = Callable[[str], str | None]
"""What is wrong with a value, as the end of a sentence that begins with it; None where it is good."""


class Key(NamedTuple):
    name: str
    meaning: str
    check: Check
    in_project_file: bool = False
    """Whether a file found in the current folder may set it: never what decides where tokens go."""

    @property
    def variable(self) -> str:
        return f"DEVBOXGPU_{self.name.upper()}"


def origin_fault(text: str) -> str | None:
    """What is wrong with the address of a control plane."""
    try:
        parts = urlsplit(text)
        known = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known:
        return "is no address of a control plane: http(s)://host[:port][/path]"
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        return "would send your token unencrypted: use https"
    return None


def _like(pattern: str, what: str) -> Check:
    compiled = re.compile(pattern)
    return lambda text: None if compiled.fullmatch(text) else f"is no {what}"


def _one_of(words: tuple[str, ...]) -> Check:
    return lambda text: None if text in words else f"is none of {', '.join(words)}"


GUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
KEYS = {
    key.name: key
    for key in (
        Key("endpoint", "the control plane's address", origin_fault),
        Key(
            "project",
            "the Dev Center project",
            _like(r"[A-Za-z0-9-]{3,63}", "project: 3 to 63 letters, digits and hyphens"),
            True,
        ),
        Key(
            "tenant_id",
            "the Entra tenant to sign in to",
            _like(rf"{GUID}|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", "tenant: its id (a GUID) or its domain, contoso.com"),
        ),
        Key("client_id", "this command's app registration in Entra", _like(GUID, "id of an app registration: a GUID")),
        Key(
            "scope",
            "what a token is asked for; default: api://CLIENT_ID/.default",
            _like(r"\S+/\S+", "scope: such as api://CLIENT_ID/.default"),
        ),
        Key("gpu", "the GPU type to ask for", _like(r"[A-Za-z0-9][A-Za-z0-9-]{0,31}", "GPU type: such as T4"), True),
        Key("region", "the Azure region to ask for", _like(r"[a-z0-9]{3,40}", "region: such as westus3"), True),
        Key("image", "the container image", _like(r"[^\s\x00-\x1f]{1,512}", "image: no spaces"), True),
        Key("output", "how data is written", _one_of(OUTPUTS), True),
        Key("sign_in", "which way of signing in is used", _one_of(SIGN_INS)),
    )
}


def key_named(name: str) -> Key:
    """Raises ConfigurationError, with the keys there are, for another name."""
    if (key := KEYS.get(name)) is None:
        raise ConfigurationError(f"unknown key '{name}'. Known keys: {', '.join(KEYS)}")
    return key


def checked(key: Key, value: object, *, where: str) -> str:
    """The value as it may be used. `where` it was found is told when it may not."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{where}: '{key.name}' is no text: write {key.name} = \"...\"")
    if (fault := key.check(value)) is not None:
        raise ConfigurationError(f"{where}: {key.name} = '{value}' {fault}")
    return value
