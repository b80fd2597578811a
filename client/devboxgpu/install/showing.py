"""A plan in words: what is written where, with its content or its difference, what is run, what is taken away."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterator

from devboxgpu.install.plan import Plan
from devboxgpu.install.steps import TITLES, RemoveFile, RemoveFolder, RunProgram, Step, WriteFile
from devboxgpu.install.text_file import TextFile
from devboxgpu.wording import printable

NEW, CHANGED, GONE, RUN = "new", "changed", "removed", "run"


def outline(plan: Plan) -> list[str]:
    """A line for each step, under the title of its part; then what stays and what cannot be."""
    return list(_told(plan, with_content=False))


def details(plan: Plan) -> list[str]:
    """The same with every content and every difference."""
    return list(_told(plan, with_content=True))


def line_of(step: Step) -> str:
    match step:
        case WriteFile():
            verb = NEW if step.before is None else CHANGED
            size = f"{len(step.after):,} bytes" if step.before is None else ""
            return _line(verb, str(step.path), size, step.note)
        case RemoveFile():
            return _line(GONE, str(step.path), step.note)
        case RemoveFolder():
            return _line(GONE, str(step.path), "the folder, if it is empty")
        case RunProgram():
            return _line(RUN, shlex.join(step.words), f"in {step.folder}" if step.folder else "")


def _line(verb: str, what: str, *more: str) -> str:
    told = "; ".join(part for part in more if part)
    return printable(f"{verb:<9} {what}" + (f"  ({told})" if told else ""))


def _told(plan: Plan, *, with_content: bool) -> Iterator[str]:
    title = None
    for step in plan.steps:
        if TITLES[step.part] != title:
            title = TITLES[step.part]
            yield title
        yield f"  {line_of(step)}"
        if with_content:
            yield from (f"    | {printable_line(line)}" for line in _content(step))
    for step in plan.last if with_content else ():
        yield f"  {line_of(step)}"
    yield from (f"unchanged   {printable(what)}" for what in plan.unchanged)
    yield from (printable(note) for note in plan.notes)
    yield from (f"not done    {printable(problem)}" for problem in plan.problems)


def _content(step: Step) -> Iterator[str]:
    if not isinstance(step, WriteFile):
        return
    if b"\x00" in step.after and not TextFile.read(step.after).bom:
        yield f"binary, {len(step.after):,} bytes"
        return
    after = TextFile.read(step.after).text.splitlines()
    if step.before is None:
        yield from after
        return
    before = TextFile.read(step.before).text.splitlines()
    yield from list(difflib.unified_diff(before, after, lineterm="", n=2))[2:]


def printable_line(line: str) -> str:
    """With its indentation, which `printable` would take."""
    return "".join(sign if sign.isprintable() else " " for sign in line).rstrip()
