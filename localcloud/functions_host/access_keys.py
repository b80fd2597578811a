"""The host's keys, where it checks any: who may call what, and the file that receives them."""

import hmac
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from localcloud.functions_host.app_settings import SettingsError
from localcloud.functions_host.url_text import read_query

MASTER = "master"
HOST_KEY = "host:default"
DURABLE_KEY = "durabletask_extension"
EVENT_GRID_KEY = "eventgrid_extension"
SYSTEM_KEYS = (DURABLE_KEY, EVENT_GRID_KEY)
_KEY_HEADER = "x-functions-key"


def given_key(headers: Mapping[str, str], query: str) -> str:
    """The key that came with a request, or nothing; the header wins over `code`, also where it is wrong."""
    return headers.get(_KEY_HEADER) or (read_query(query).get("code", "") if "code" in query else "")


def function_key_name(function: str) -> str:
    return f"function:{function}"


class AccessKeys:
    """All keys by name: `master`, `host:default`, the system keys, and `function:NAME` for each function."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._keys = dict(keys)

    @classmethod
    def kept_in(cls, path: Path, functions: Iterable[str]) -> "AccessKeys":
        """Take the keys from a file, make those that are missing, and write it, readable by its owner only.

        Keys stay the same over restarts. Raises SettingsError where the file cannot be used.
        """
        try:
            kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
            wanted = [MASTER, HOST_KEY, *SYSTEM_KEYS, *(function_key_name(name) for name in functions)]
            keys = {name: str(kept.get(name) or secrets.token_urlsafe(32)) for name in wanted}
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(path.name + ".new")
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                json.dump(keys, stream, indent=2)
            draft.replace(path)
        except (OSError, ValueError, AttributeError) as error:
            raise SettingsError(f"the key file {path} cannot be used: {error}; delete it, or name another") from error
        return cls(keys)

    def __getitem__(self, name: str) -> str:
        return self._keys[name]

    def get(self, name: str) -> str | None:
        return self._keys.get(name)

    def names(self) -> list[str]:
        return list(self._keys)

    def is_master(self, key: str) -> bool:
        return self._is(MASTER, key)

    def opens_function(self, function: str, key: str) -> bool:
        """Whether a key opens a function of level `function`: its own, a host key, or the master key."""
        return self._is(function_key_name(function), key) or self._is(HOST_KEY, key) or self.is_master(key)

    def opens_webhook(self, system_key: str, key: str) -> bool:
        return self._is(system_key, key) or self.is_master(key)

    def _is(self, name: str, key: str) -> bool:
        known = self._keys.get(name)
        return known is not None and hmac.compare_digest(known.encode(), key.encode())
