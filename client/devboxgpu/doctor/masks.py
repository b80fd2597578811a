"""What must not be in a text that people paste elsewhere: tokens, credentials in addresses, names of users."""

from __future__ import annotations

import re
from collections.abc import Iterable

SHORTEST_NAME = 2
TOKEN = re.compile(r"\b[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}")
LONG_SECRET = re.compile(r"(?i)\b(bearer\s+|token[=: ]+|password[=: ]+|secret[=: ]+)\S{8,}")
USER_INFO = re.compile(r"(?<=//)[^/@\s]+@")
HOME = re.compile(r"((?:/home|/Users|[A-Za-z]:\\Users)[/\\])[^/\\\s;,:)]+")
MAIL = re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+")


def without_credentials(text: str) -> str:
    """An address without the user and password in it."""
    return USER_INFO.sub("***@", text)


def masked(text: str, names: Iterable[str]) -> str:
    """The text for others: `names` are the person's, their machine's and their account's."""
    text = LONG_SECRET.sub(r"\1***", TOKEN.sub("***", without_credentials(text)))
    text = MAIL.sub("***", HOME.sub(r"\1***", text))
    for name in sorted({name for name in names if len(name) >= SHORTEST_NAME}, key=len, reverse=True):
        text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", "***", text, flags=re.IGNORECASE)
    return text


def names_here() -> list[str]:
    """How the person and the machine are called here; the empty list where the system does not say."""
    import getpass
    import platform

    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = ""
    host = platform.node()
    return [name for name in (user, host, host.partition(".")[0]) if name]
