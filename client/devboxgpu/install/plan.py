"""A plan: the steps in their order, what is recorded of them, and what a person is told beside them."""

from __future__ import annotations

from dataclasses import dataclass

from devboxgpu.install.disk import PRIVATE
from devboxgpu.install.layout import Layout
from devboxgpu.install.machine import Machine
from devboxgpu.install.manifest import Record, digest, encoded
from devboxgpu.install.steps import Part, RunProgram, Step, WriteFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    first: tuple[Step, ...] = ()
    """What comes before everything else: if it fails nothing is changed."""
    steps: tuple[Step, ...] = ()
    last: tuple[Step, ...] = ()
    """What comes when all steps were taken, and only then."""
    unchanged: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    """What cannot be done; the rest can."""

    def changes_nothing(self) -> bool:
        return not self.steps and not self.last


def kept_copy(layout: Layout, part: Part, step_path_name: str, content: bytes) -> WriteFile:
    """Keeps what somebody had made of our file. The same version is kept once, whenever it is met."""
    path = layout.kept / f"{digest(content)[:8]}-{step_path_name}"
    return WriteFile(part=part, path=path, after=content, mode=PRIVATE, note="your version, kept")


def manifest_step(layout: Layout, records: tuple[Record, ...], before: bytes | None) -> WriteFile:
    return WriteFile(part=Part.CONFIG, path=layout.manifest, after=encoded(records), before=before)


def extension_version(machine: Machine, program: str, identity: str) -> str | None:
    """The installed version, empty where it is not installed, None where VS Code did not say."""
    try:
        listed = machine.programs.run([program, "--list-extensions", "--show-versions"])
    except OSError:
        return None
    if listed.code != 0:
        return None
    for line in listed.out.splitlines():
        name, _, version = line.strip().partition("@")
        if name.lower() == identity:
            return version
    return ""


def run_vscode(part: Part, program: str, *words: str) -> RunProgram:
    return RunProgram(
        part=part,
        words=(program, *words),
        remedy="see that VS Code starts and repeat this command, or do it in VS Code's Extensions view",
    )
