"""What stands between this machine and the control plane: names, way, clock, version, account, project, session."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from devboxgpu import __version__
from devboxgpu.api import ControlPlane
from devboxgpu.configuration import Configuration
from devboxgpu.doctor.findings import Finding, Look, Report, failed, ok, unknown, warning
from devboxgpu.errors import DevBoxGpuError, UnreachableError
from devboxgpu.exec_socket import BarredError, NotReadyError, open_socket
from devboxgpu.tokens import claims_of
from devboxgpu.transport import Response, Transport
from devboxgpu.wire import Json, count_of, number_of, text_of, texts_of
from devboxgpu.wording import duration

REACH: tuple[str, ...] = ("name", "control plane", "clock", "version")
ACCESS: tuple[str, ...] = ("sign-in", "project", "session socket")
PATIENCE_S = 2.0
SKEW_WORTH_A_WARNING_S = 60.0
SKEW_THAT_BREAKS_S = 300.0
"""Tokens are refused by a clock that is further off."""
SOCKET_S = 8.0


def reach_looks(endpoint: str) -> list[Look]:
    return [
        Look(REACH[:1], lambda report: report(name_of(endpoint))),
        Look(REACH[1:], lambda report: _reach(endpoint, report)),
    ]


def access_look(configuration: Configuration, remember: Callable[[str], None]) -> Look:
    """`remember` is given each name of the person that is met, so that it can be masked."""
    return Look(ACCESS, lambda report: _access(configuration, report, remember))


def name_of(endpoint: str) -> Finding:
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    try:
        found = socket.getaddrinfo(host, parts.port or 443, type=socket.SOCK_STREAM)
    except OSError as error:
        do = "check the endpoint's spelling, the network and the VPN: 'devboxgpu config list' shows where it comes from"
        return failed("name", f"{host} has no address: {error}", do)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    return ok("name", f"{host} is {', '.join(addresses[:3])}")


def _reach(endpoint: str, report: Report) -> None:
    asked_at, started = time.time(), time.monotonic()
    try:
        response = Transport(endpoint, timeout_s=5).send("GET", "/healthz", headers={}, patience_s=PATIENCE_S)
    except UnreachableError as error:
        report(failed("control plane", str(error), _how_to_reach(str(error))))
        for check in ("clock", "version"):
            report(unknown(check, "the control plane did not answer"))
        return
    elapsed_s = time.monotonic() - started
    health = response.json()
    report(health_of(response.status, health if isinstance(health, dict) else None, elapsed_s))
    report(clock_of(response, asked_at + elapsed_s / 2))
    report(version_of(text_of(health, "version") if isinstance(health, dict) else None))


def _how_to_reach(error: str) -> str:
    if "certificate" in error.lower():
        return "something in between opens TLS: put its certificate into a file and name that in SSL_CERT_FILE"
    if "refused" in error.lower():
        return "nothing listens there: check the endpoint; for the local cloud say 'devboxgpu local up'"
    return "check the network, the VPN, the firewall, and the proxy where one is set"


def health_of(status: int, health: Json | None, elapsed_s: float) -> Finding:
    check = "control plane"
    if status != 200 or health is None or text_of(health, "status") is None:
        return failed(check, f"the endpoint answers {status}, and not as a control plane does", "check the endpoint")
    said = f"answers in {elapsed_s * 1000:.0f} ms: {text_of(health, 'status')}"
    if troubled := texts_of(health, "unavailable"):
        do = "wait: new sessions may be refused until it is back; an operator may look"
        return warning(check, f"{said}; it has no answer from: {', '.join(troubled)}", do)
    return ok(check, said)


def clock_of(response: Response, here: float) -> Finding:
    """The clock of this machine beside the control plane's, which is told to the second."""
    there = response.answered_at()
    if there is None:
        return unknown("clock", "the control plane does not tell its time")
    skew_s = here - (there.timestamp() + 0.5)
    if abs(skew_s) < SKEW_WORTH_A_WARNING_S:
        return ok("clock", "within a second or two" if abs(skew_s) < 2 else f"{abs(skew_s):.0f} s off")
    said = f"this machine's clock is {duration(abs(skew_s))} {'fast' if skew_s > 0 else 'slow'}"
    do = "let the system set its clock (Windows: w32tm /resync; Linux: timedatectl set-ntp true)"
    return failed("clock", said, do) if abs(skew_s) >= SKEW_THAT_BREAKS_S else warning("clock", said, do)


def version_of(there: str | None) -> Finding:
    if there is None:
        return unknown("version", "the control plane does not tell its version")
    said = f"devboxgpu {__version__}, control plane {there}"
    mine, theirs = __version__.split(".")[:2], there.split(".")[:2]
    if mine == theirs:
        return ok("version", said)
    newer = "the control plane is newer: update devboxgpu" if _numbers(theirs) > _numbers(mine) else ""
    return warning("version", said, newer or "this command is newer: some of its verbs may not be known there")


def _numbers(parts: list[str]) -> list[int]:
    return [int(part) if part.isdigit() else 0 for part in parts]


def _access(configuration: Configuration, report: Report, remember: Callable[[str], None]) -> None:
    try:
        token = configuration.tokens.token()
    except DevBoxGpuError as error:
        report(failed("sign-in", str(error), "sign in: devboxgpu login"))
        for check in ACCESS[1:]:
            report(unknown(check, "not signed in"))
        return
    claims = claims_of(token)
    for claim in ("preferred_username", "upn", "name", "unique_name", "oid"):
        if isinstance(named := claims.get(claim), str):
            remember(named)
    api = configuration.control_plane()
    try:
        projects = api.list_projects()
    except DevBoxGpuError as error:
        report(_not_accepted(error, configuration.tokens.origin))
        for check in ACCESS[1:]:
            report(unknown(check, "the projects could not be listed"))
        return
    report(_signed_in(claims, configuration.tokens.origin))
    report(project_of(projects, configuration.project))
    report(_session_socket(api))


def _not_accepted(error: DevBoxGpuError, origin: str) -> Finding:
    if isinstance(error, UnreachableError):
        return unknown("sign-in", f"there is a token (from {origin}), and nobody who would take it: {error}")
    return failed("sign-in", f"the token (from {origin}) is not accepted: {error}", "sign in again: devboxgpu login")


def _signed_in(claims: Json, origin: str) -> Finding:
    expires, who = number_of(claims, "exp"), text_of(claims, "preferred_username") or "somebody"
    for_s = None if expires is None else expires - time.time()
    good = "" if for_s is None else f"; good for {duration(max(0.0, for_s))}, then renewed where its source can"
    return ok("sign-in", f"accepted, as {who}; token from {origin}{good}")


def project_of(projects: list[Json], project: str) -> Finding:
    names = [text_of(one, "id") or "" for one in projects]
    found = next((one for one in projects if (text_of(one, "id") or "").lower() == project.lower()), None)
    if not project:
        do = f"choose one: devboxgpu config set project {names[0]}" if names else "ask for a Dev Box in a project"
        return failed("project", f"none is configured; yours: {', '.join(names) or 'none'}", do)
    if found is None:
        said = f"{project} is not one of yours: {', '.join(names) or 'none'}"
        return failed("project", said, "name another project, or ask its administrator for a Dev Box in it")
    if found.get("enabled") is not True:
        said = f"GPU sessions are not enabled for {project}"
        return failed("project", said, "ask an administrator of the project to enable them")
    used, cap = count_of(found, "sessions"), count_of(found, "maxConcurrentSessions")
    yours, limit = count_of(found, "yourSessions"), count_of(found, "maxConcurrentSessionsPerUser")
    return ok("project", f"{project}: {_of(used, cap)} sessions in use, {_of(yours, limit)} of them yours")


def _of(used: int | None, limit: int | None) -> str:
    return f"{'?' if used is None else used} of {'?' if limit is None else limit}"


def _session_socket(api: ControlPlane) -> Finding:
    """Whether the way into a session opens: of a shell of the person's own that runs now, if there is one."""
    check = "session socket"
    try:
        running = [text_of(shell, "id") or "" for shell in api.list_shells() if text_of(shell, "state") == "Running"]
        if not running:
            return unknown(check, "no session of yours runs", "open a shell, and run this beside it")
        access = api.connect_shell(running[0])
    except DevBoxGpuError as error:
        return failed(check, f"no way in was given: {error}", "see the error's code in docs/troubleshooting.md")
    host = urlsplit(access.url).hostname or ""
    started = time.monotonic()

    async def upgrade() -> None:
        async with asyncio.timeout(SOCKET_S):
            await (await open_socket(access, "true")).close()

    try:
        asyncio.run(upgrade())
    except (TimeoutError, NotReadyError, BarredError, OSError) as error:
        do = f"let websockets (wss) to {host} through firewall and proxy"
        return failed(check, f"{host} did not open it: {type(error).__name__}: {error}", do)
    return ok(check, f"{host} opens it in {(time.monotonic() - started) * 1000:.0f} ms")
