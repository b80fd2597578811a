"""The findings as lines for a person, and as a block to paste elsewhere, in which nobody is named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from devboxgpu.doctor.findings import Finding, Status
from devboxgpu.layout import fold
from devboxgpu.wording import printable

MARKS = {Status.OK: "✔", Status.WARNING: "!", Status.FAILED: "✘", Status.UNKNOWN: "?"}
COLOURS = {Status.OK: "green", Status.WARNING: "yellow", Status.FAILED: "red", Status.UNKNOWN: "cyan"}
MARK_WIDTH, CHECK_WIDTH = 2, 16


def lines(findings: Sequence[Finding], *, width: int, colour: bool, utf8: bool) -> Iterator[str]:
    import click

    for finding in findings:
        mark = MARKS[finding.status] if utf8 else finding.status[0]
        indent = " " * MARK_WIDTH
        shown = click.style(mark, fg=COLOURS[finding.status]) if colour else mark
        first, *others = _body(finding, width)
        yield f"{shown} {first}"
        yield from (indent + line for line in others)


def _body(finding: Finding, width: int) -> list[str]:
    """In two columns where they fit, else one below the other."""
    room = width - MARK_WIDTH
    what, do = printable(finding.said), f"-> {printable(finding.do)}" if finding.do else ""
    head = f"{finding.check}: " if finding.status is Status.OK else f"{finding.check} ({finding.status}): "
    if room < CHECK_WIDTH * 3:
        return [*fold(head + what, room), *fold(do, room)]
    said = f"{what} ({finding.status})" if finding.status is not Status.OK else what
    told = [*fold(said, room - CHECK_WIDTH), *fold(do, room - CHECK_WIDTH)] or [""]
    return [f"{finding.check:<{CHECK_WIDTH}}{told[0]}", *(" " * CHECK_WIDTH + line for line in told[1:])]


def summary(findings: Sequence[Finding]) -> str:
    counts = {status: sum(finding.status is status for finding in findings) for status in Status}
    if not counts[Status.FAILED]:
        return "nothing that was looked at stands between you and a GPU"
    things = "thing stands" if counts[Status.FAILED] == 1 else "things stand"
    return f"{counts[Status.FAILED]} {things} between you and a GPU"


def paste_block(findings: Sequence[Finding], at: str) -> str:
    """Plain text between marks of code, as issue trackers and chats show it unchanged."""
    told = [f"devboxgpu doctor, {at}"]
    for finding in findings:
        told.append(f"[{finding.status:<7}] {finding.check}: {printable(finding.said)}".replace("`", "'"))
    return "\n".join(["```", *told, "```"])


def as_data(findings: Sequence[Finding]) -> list[dict[str, str]]:
    return [{**asdict(finding), "status": str(finding.status)} for finding in findings]
