"""From what is wanted to the steps of an installation: what is there already is left alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from devboxgpu.install.disk import PRIVATE
from devboxgpu.install.layout import Layout
from devboxgpu.install.machine import Machine
from devboxgpu.install.manifest import Record, digest, merged
from devboxgpu.install.plan import Plan, extension_version, kept_copy, manifest_step, run_vscode
from devboxgpu.install.steps import TITLES, Part, Step, WriteFile
from devboxgpu.install.text_file import NotUnderstoodError
from devboxgpu.install.wanted import Wanted, WantedBlock, WantedExtension, WantedFile

EDITED = "somebody had edited it: that version is kept as {kept}"


def plan_install(machine: Machine, wanted: Wanted, layout: Layout, records: tuple[Record, ...]) -> Plan:
    """The plan; a second one, after the first was carried out, changes nothing."""
    planner = _Planner(machine, layout, {record.key(): record for record in records})
    for thing in wanted.things:
        match thing:
            case WantedFile():
                planner.file(thing)
            case WantedBlock():
                planner.block(thing)
            case WantedExtension():
                planner.extension(thing)
    recorded = merged(records, [*planner.new_folders(), *planner.records])
    there = machine.disk.read(layout.manifest)
    record = manifest_step(layout, recorded, there)
    return Plan(
        first=(record,) if planner.steps and record.after != there else (),
        steps=tuple(planner.steps),
        unchanged=tuple(planner.unchanged),
        notes=wanted.notes,
        problems=tuple(planner.problems),
    )


@dataclass(slots=True)
class _Planner:
    machine: Machine
    layout: Layout
    known: dict[tuple[str, str], Record]
    steps: list[Step] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def file(self, thing: WantedFile) -> None:
        there = self.machine.disk.read(thing.path)
        record = Record(part=thing.part, kind="file", path=thing.path, hashes=(digest(thing.content),))
        known = self.known.get(record.key())
        if there == thing.content:
            self.unchanged.append(str(thing.path))
            if known is not None or thing.ours_by_name:
                self.records.append(record)
            return
        note = ""
        if there is not None and (known is None or digest(there) not in known.hashes):
            if known is None and not thing.ours_by_name:
                record = replace(record, backup=self._backup(thing.part, thing.path, there))
            else:
                copy = kept_copy(self.layout, thing.part, thing.path.name, there)
                self.steps.append(copy)
                note = EDITED.format(kept=copy.path)
        self.records.append(record)
        write = WriteFile(
            part=thing.part, path=thing.path, after=thing.content, before=there, mode=thing.mode, note=note
        )
        self.steps.append(write)

    def block(self, thing: WantedBlock) -> None:
        there = self.machine.disk.read(thing.path)
        try:
            after = thing.insert(there if there is not None else thing.new)
        except NotUnderstoodError as fault:
            self.problems.append(f"{TITLES[thing.part]}: {thing.path} is left as it is: {fault}")
            return
        record = Record(part=thing.part, kind="block", path=thing.path, created=there is None)
        if after == there:
            self.unchanged.append(str(thing.path))
            if not thing.holds(after):
                return  # the person has written the same themselves: it stays theirs
        else:
            if there is not None and not thing.holds(there):
                record = replace(record, backup=self._backup(thing.part, thing.path, there))
            self.steps.append(WriteFile(part=thing.part, path=thing.path, after=after, before=there))
        self.records.append(record)

    def extension(self, thing: WantedExtension) -> None:
        record = Record(part=thing.part, kind="extension", path=Path(thing.program))
        self.records.append(record)
        is_new = any(isinstance(step, WriteFile) and step.path == thing.package for step in self.steps)
        has = extension_version(self.machine, thing.program, thing.identity)
        if has == thing.version and not is_new and record.key() in self.known:
            self.unchanged.append(f"{thing.identity} {has} in {thing.program}")
            return
        # In the package's own folder, so that no word of the command holds a person's name: `code` is a batch file on
        # Windows, and what cmd makes of such words cannot be quoted away.
        step = run_vscode(thing.part, thing.program, "--install-extension", thing.package.name, "--force")
        self.steps.append(replace(step, folder=thing.package.parent))

    def _backup(self, part: Part, path: Path, there: bytes) -> Path:
        copy = self.layout.backups / f"{digest(str(path).encode())[:8]}-{path.name}"
        self.steps.append(
            WriteFile(part=part, path=copy, after=there, mode=PRIVATE, note="as it was, for the way back")
        )
        return copy

    def new_folders(self) -> list[Record]:
        """The folders that the steps will make, so that they can go again."""
        missing: dict[Path, Part] = {}
        for step in self.steps:
            if isinstance(step, WriteFile):
                for folder in step.path.parents:
                    if not self.machine.disk.is_folder(folder):
                        missing.setdefault(folder, step.part)
        return [Record(part=part, kind="folder", path=folder) for folder, part in missing.items()]
