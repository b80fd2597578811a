"""What this machine itself shows: Python, packages, configuration, proxies, terminal."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Mapping

from devboxgpu import __version__
from devboxgpu.abilities import abilities_of
from devboxgpu.config_values import Values
from devboxgpu.configuration import configured_values
from devboxgpu.doctor.findings import Finding, Look, Report, failed, ok, warning
from devboxgpu.doctor.masks import without_credentials
from devboxgpu.errors import ConfigurationError
from devboxgpu.proxies import proxy_at

OLDEST_PYTHON = (3, 11)
PACKAGES = ("click", "rich", "websockets", "platformdirs", "jmespath", "azure-identity", "azure-identity-broker")
PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
NARROWEST = 40


def looks_here(endpoint: str | None, project: str | None) -> list[Look]:
    return [
        Look(("command",), lambda report: report(_command())),
        Look(("python",), lambda report: report(_python())),
        Look(("configuration",), lambda report: _configuration(report, endpoint, project)),
        Look(("proxy",), lambda report: report(proxies(os.environ))),
        Look(("terminal",), lambda report: report(_terminal())),
        Look(("installed",), lambda report: report(_installed())),
    ]


def _command() -> Finding:
    return ok("command", f"devboxgpu {__version__} on {platform.platform(terse=True)} ({platform.machine()})")


def _python() -> Finding:
    found = {name: version for name in PACKAGES if (version := _version(name)) is not None}
    said = f"Python {platform.python_version()}; " + ", ".join(f"{name} {found[name]}" for name in found)
    if sys.version_info < OLDEST_PYTHON:
        return failed("python", said, "devboxgpu needs Python 3.11 or newer: install it with one")
    if missing := [name for name in PACKAGES[:5] if name not in found]:
        return failed("python", f"{said}; missing: {', '.join(missing)}", "install devboxgpu again, with its packages")
    return ok("python", said)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _configuration(report: Report, endpoint: str | None, project: str | None) -> None:
    try:
        report(configuration_of(configured_values(), endpoint, project))
    except ConfigurationError as error:
        report(failed("configuration", str(error), "correct that file or value; 'devboxgpu config list' shows all"))


def configuration_of(values: Values, endpoint: str | None, project: str | None) -> Finding:
    """Every value with its origin. None of the keys holds a secret, but an address may have one in it."""
    given = {"endpoint": endpoint, "project": project}
    told = {name: f"{text} (a flag)" for name, text in given.items() if text}
    told |= {name: f"{value.text} ({value.origin})" for name, value in values.by_key.items() if name not in told}
    said = "; ".join(f"{name} = {without_credentials(text)}" for name, text in told.items()) or "nothing is configured"
    if missing := [name for name in ("endpoint", "project") if name not in told]:
        return failed("configuration", said, f"say what is missing: devboxgpu config set {missing[0]} VALUE")
    return ok("configuration", said)


def proxies(environ: Mapping[str, str]) -> Finding:
    """Names in either case count."""
    found = {name: text for name in PROXIES if (text := environ.get(name) or environ.get(name.lower()))}
    said = "; ".join(f"{name} = {without_credentials(text)}" for name, text in found.items()) or "none is set"
    try:
        if address := found.get("HTTPS_PROXY"):
            proxy_at(address)
    except ConfigurationError as error:
        return warning("proxy", said, str(error))
    return ok("proxy", said)


def _installed() -> Finding:
    from devboxgpu.doctor.installed import installed
    from devboxgpu.install.this_machine import this_machine

    return installed(this_machine())


def _terminal() -> Finding:
    streams = {"input": sys.stdin, "output": sys.stdout, "errors": sys.stderr}
    terminals = [name for name, stream in streams.items() if stream is not None and stream.isatty()]
    able = abilities_of(sys.stderr)
    size = shutil.get_terminal_size()
    shows = [name for name, can in (("title", able.title), ("progress", able.ring), ("colour", able.colour)) if can]
    parts = [
        f"terminal on {', '.join(terminals) or 'no stream'}",
        f"TERM={able.term or '(not set)'}",
        f"program {able.program}" if able.program else "",
        f"WT_SESSION {'set' if os.environ.get('WT_SESSION') else 'not set'}",
        f"{size.columns}x{size.lines}",
        f"encoding {sys.stdout.encoding}",
        f"shows {', '.join(shows) or 'text only'}",
    ]
    return judged_terminal("; ".join(part for part in parts if part), is_utf8=able.utf8, columns=size.columns)


def judged_terminal(said: str, *, is_utf8: bool, columns: int) -> Finding:
    if not is_utf8:
        do = "signs beyond ASCII are replaced: set LANG=C.UTF-8, or PYTHONUTF8=1 on Windows"
        return warning("terminal", said, do)
    if columns < NARROWEST:
        return warning("terminal", said, f"make the window {NARROWEST} columns wide or more")
    return ok("terminal", said)
