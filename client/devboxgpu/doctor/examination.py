"""All looks together, with everything masked that names the person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from devboxgpu.configuration import configured_values, load
from devboxgpu.doctor.findings import Finding, Look, Report, failed, look_at_all, unknown
from devboxgpu.doctor.here import looks_here
from devboxgpu.doctor.masks import masked, names_here
from devboxgpu.doctor.there import ACCESS, REACH, access_look, reach_looks
from devboxgpu.errors import ConfigurationError
from devboxgpu.wording import printable

NO_ENDPOINT = "no control plane is configured"


def examine(*, endpoint: str | None, project: str | None, limit_s: float) -> list[Finding]:
    """A finding for every check, in the order of the way from here to a session."""
    names = names_here()
    looks = [*looks_here(endpoint, project), *_reach(endpoint), _access(endpoint, project, names)]
    found = look_at_all(looks, limit_s=limit_s)
    return [replace(one, said=masked(printable(one.said), names), do=masked(printable(one.do), names)) for one in found]


def _reach(endpoint: str | None) -> list[Look]:
    try:
        chosen = endpoint or configured_values().text("endpoint")
    except ConfigurationError as error:
        return [_skipped(REACH, str(error))]
    return reach_looks(chosen) if chosen else [_skipped(REACH, NO_ENDPOINT)]


def _access(endpoint: str | None, project: str | None, names: list[str]) -> Look:
    try:
        if not (endpoint or configured_values().text("endpoint")):
            return _skipped(ACCESS, NO_ENDPOINT)
        configuration = load(endpoint=endpoint, project=project, project_needed=False)
    except ConfigurationError as error:
        first = failed(ACCESS[0], str(error), "see there; then: devboxgpu login")
        return _skipped(ACCESS, "not signed in", first)
    return access_look(configuration, names.append)


def _skipped(checks: Sequence[str], because: str, *instead: Finding) -> Look:
    """Nothing can be looked at; `instead` is told of the first checks."""

    def report_all(report: Report) -> None:
        for finding in [*instead, *(unknown(check, because) for check in checks[len(instead) :])]:
            report(finding)

    return Look(tuple(checks), report_all)
