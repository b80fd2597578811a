"""What an app folder says about itself: host.json, local.settings.json, and %SETTING% in bindings."""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from localcloud.functions_host import relaxed_json
from localcloud.functions_host.time_spans import parse_time_span

_SETTING = re.compile(r"%([^%\s]+)%")
_DEFAULT_ROUTE_PREFIX = "api"
_DEFAULT_TIMEOUT = timedelta(minutes=30)  # what every plan but Consumption has (reference/functions-host.md 4.6)
_LEAST_TIMEOUT = timedelta(seconds=1)


_DEFAULT: Mapping[str, Any] = {"version": "2.0"}
_log = logging.getLogger("host")


class SettingsError(ValueError):
    """A file of the app cannot be used; the text names the file, what is wrong, and what it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostJson:
    """The parts of host.json that the host itself uses; `document` is all of it."""

    document: Mapping[str, object] = field(default_factory=dict)
    route_prefix: str = _DEFAULT_ROUTE_PREFIX
    log_levels: Mapping[str, str] = field(default_factory=dict)
    function_timeout: timedelta | None = _DEFAULT_TIMEOUT
    """How long a call may run; None: for ever."""
    only_functions: frozenset[str] = frozenset()
    """The functions that are served, in lower case; none: all of them."""
    custom_headers: Mapping[str, str] = field(default_factory=dict)
    """What each answer outside /admin carries besides its own headers."""

    def serves(self, function: str) -> bool:
        """Whether a function is one of those to be served."""
        return not self.only_functions or function.lower() in self.only_functions


def read_host_json(root: Path) -> HostJson:
    """Read ROOT/host.json; one that is missing or empty counts as the default one. Raises SettingsError."""
    path = root / "host.json"
    document = _read_object(path, hint='the least that it may hold is {"version": "2.0"}')
    if not document:
        _log.warning("%s is %s: the default is used, %s", path, "missing" if document is None else "empty", _DEFAULT)
        document = dict(_DEFAULT)
    if document.get("version") != "2.0":
        raise SettingsError(f'{path}: version is {document.get("version")!r}; it must be "2.0"')
    http = _section(path, _section(path, document, "extensions"), "http")
    prefix = http.get("routePrefix", _DEFAULT_ROUTE_PREFIX)
    if isinstance(prefix, dict | list):
        raise SettingsError(f'{path}: extensions.http.routePrefix is {prefix!r}; it must be a text such as "api"')
    headers = _section(path, http, "customHeaders")
    levels = _section(path, _section(path, document, "logging"), "logLevel")
    return HostJson(
        document=document,
        route_prefix="" if prefix is None else str(prefix).strip("/"),
        log_levels={name: str(level) for name, level in levels.items()},
        function_timeout=_timeout(path, document),
        only_functions=_only_functions(path, document),
        custom_headers={name: str(value) for name, value in headers.items()},
    )


def read_local_settings(root: Path) -> dict[str, str]:
    """Return the Values of ROOT/local.settings.json, none where there is no such file; raises SettingsError."""
    path = root / "local.settings.json"
    document = _read_object(path, hint="it needs an object under Values")
    if document is None:
        return {}
    if document.get("IsEncrypted") is True:
        raise SettingsError(f"{path} is encrypted; decrypt it, or set IsEncrypted to false and write plain values")
    values = _section(path, document, "Values")
    wrong = sorted(name for name, value in values.items() if isinstance(value, dict | list))
    if wrong:
        raise SettingsError(f"{path}: Values must be texts, and these are not: {', '.join(wrong)}")
    return {name: _as_text(value) for name, value in values.items() if value is not None}


def resolve(text: str, environ: Mapping[str, str]) -> str:
    """Replace each %NAME% by that setting; raises SettingsError naming one that is not set."""

    def value_of(match: re.Match[str]) -> str:
        name = match[1]
        if name not in environ:
            raise SettingsError(f"'%{name}%' names a setting that is not set; add {name} to local.settings.json")
        return environ[name]

    return _SETTING.sub(value_of, text)


def _timeout(path: Path, document: Mapping[str, object]) -> timedelta | None:
    text = document.get("functionTimeout")
    if text is None:
        return _DEFAULT_TIMEOUT
    if str(text) == "-1":
        return None
    limit = parse_time_span(str(text))
    if limit is None or limit < _LEAST_TIMEOUT:
        raise SettingsError(
            f'{path}: functionTimeout is {text!r}; it must be a time span of a second or more such as "00:05:00", '
            'or "-1" for none'
        )
    return limit


def _only_functions(path: Path, document: Mapping[str, object]) -> frozenset[str]:
    names = document.get("functions") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SettingsError(f"{path}: functions is {names!r}; it must be a list of the functions to serve")
    return frozenset(name.lower() for name in names)


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _read_object(path: Path, *, hint: str) -> dict[str, Any] | None:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    try:
        document = relaxed_json.loads(text)
    except ValueError as error:
        raise SettingsError(f"{path} is not JSON: {error}; {hint}") from error
    if not isinstance(document, dict):
        raise SettingsError(f"{path} holds {type(document).__name__} and must hold an object; {hint}")
    return document


def _section(path: Path, parent: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = parent.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise SettingsError(f"{path}: {name} is {value!r}; it must be an object")
    return value
