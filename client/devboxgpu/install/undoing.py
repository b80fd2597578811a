"""From what was recorded, and from the places that are known by name, to the steps that take it all away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from devboxgpu.install import line_block, settings_edit, vsix, windows_terminal
from devboxgpu.install.disk import unfinished_name
from devboxgpu.install.layout import Layout
from devboxgpu.install.machine import Machine
from devboxgpu.install.manifest import Record, digest, encoded
from devboxgpu.install.plan import Plan, extension_version, kept_copy, run_vscode
from devboxgpu.install.steps import TITLES, Part, RemoveFile, RemoveFolder, Step, WriteFile
from devboxgpu.install.text_file import NotUnderstoodError
from devboxgpu.install.wanted import Wanted, WantedBlock, WantedExtension, WantedFile


def plan_uninstall(
    machine: Machine, known: Wanted, layout: Layout, records: tuple[Record, ...], *, parts: Sequence[Part] = ()
) -> Plan:
    """The plan. `known` are the places where things of ours would be: they are looked at without a record too."""
    all_records = {record.key(): record for record in records}
    for record in _by_name(known):
        all_records.setdefault(record.key(), record)
    going = [record for record in all_records.values() if not parts or record.part in parts]
    undoer = _Undoer(machine, layout)
    for record in going:
        undoer.undo(record)
    staying = tuple(record for record in records if record not in going or (parts and record.kind == "folder"))
    ours = [*known.folders, *(record.path for record in all_records.values() if record.kind == "folder")]
    folders = sorted({*ours, layout.backups, layout.folder, layout.data}, key=lambda path: -len(path.parts))
    # The record goes as late as it can: a folder that is not known by its name is known by the record alone.
    around = [path for path in folders if layout.manifest.is_relative_to(path)]
    apart = [path for path in folders if path not in around]
    return Plan(
        steps=tuple(undoer.steps),
        last=(
            *_folder_steps(machine, apart),
            *_record_steps(machine, layout, staying),
            *_folder_steps(machine, around),
        ),
        problems=tuple(undoer.problems),
    )


def _by_name(known: Wanted) -> list[Record]:
    records: list[Record] = []
    for thing in known.things:
        match thing:
            case WantedFile() if thing.ours_by_name:
                hashes = (digest(thing.content),)
                records.append(Record(part=thing.part, kind="file", path=thing.path, hashes=hashes))
            case WantedBlock():
                records.append(Record(part=thing.part, kind="block", path=thing.path))
            case WantedExtension():
                records.append(Record(part=thing.part, kind="extension", path=Path(thing.program)))
    return records


def _record_steps(machine: Machine, layout: Layout, staying: tuple[Record, ...]) -> list[Step]:
    there = machine.disk.read(layout.manifest)
    steps: list[Step] = []
    if there is not None and not staying:
        steps.append(RemoveFile(part=Part.CONFIG, path=layout.manifest))
    elif there is not None and there != encoded(staying):
        steps.append(WriteFile(part=Part.CONFIG, path=layout.manifest, after=encoded(staying), before=there))
    if machine.disk.read(unfinished_name(layout.manifest)) is not None:
        steps.append(RemoveFile(part=Part.CONFIG, path=unfinished_name(layout.manifest)))
    return steps


def _folder_steps(machine: Machine, folders: Sequence[Path]) -> list[Step]:
    return [RemoveFolder(part=Part.CONFIG, path=path) for path in folders if machine.disk.is_folder(path)]


@dataclass(slots=True)
class _Undoer:
    machine: Machine
    layout: Layout
    steps: list[Step] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def undo(self, record: Record) -> None:
        if record.part is Part.TERMINAL and record.kind == "file" and self._is_anothers(record.path.parent):
            return
        match record.kind:
            case "file":
                self._file(record)
            case "block" if not self._block(record):
                return  # the copy of the file stays until the file can be mended
            case "extension":
                self._extension(record)
        if record.kind in {"file", "block"}:
            self._leftover(record.part, unfinished_name(record.path))
            if record.backup is not None:
                self._leftover(record.part, record.backup)
                self._leftover(record.part, unfinished_name(record.backup))

    def _is_anothers(self, folder: Path) -> bool:
        """Whether Windows and a WSL share the folder, and the other one's profiles are in it now."""
        owner = windows_terminal.distribution_of(self.machine.disk.read(folder / windows_terminal.FRAGMENT))
        return owner not in {None, self.machine.distribution}

    def _leftover(self, part: Part, path: Path) -> None:
        if self.machine.disk.read(path) is not None:
            self.steps.append(RemoveFile(part=part, path=path))

    def _file(self, record: Record) -> None:
        there = self.machine.disk.read(record.path)
        if there is None:
            return
        backup = self.machine.disk.read(record.backup) if record.backup else None
        if there == backup:
            return  # it was never overwritten, or is as it was again
        note = ""
        if digest(there) not in record.hashes:
            copy = kept_copy(self.layout, record.part, record.path.name, there)
            self.steps.append(copy)
            note = f"somebody had edited it: that version is kept as {copy.path}"
        if backup is not None:
            step = WriteFile(part=record.part, path=record.path, after=backup, before=there, note=note or "as it was")
            self.steps.append(step)
        else:
            self.steps.append(RemoveFile(part=record.part, path=record.path, note=note))

    def _block(self, record: Record) -> bool:
        """Whether the file can be put right."""
        there = self.machine.disk.read(record.path)
        if there is None:
            return True
        is_settings = record.part is Part.VSCODE_SETTINGS
        try:
            after = settings_edit.without_entry(there) if is_settings else line_block.without_lines(there)
        except NotUnderstoodError as fault:
            self.problems.append(f"{TITLES[record.part]}: {record.path} is left as it is: {fault}")
            return False
        empty = settings_edit.is_empty(after) if is_settings else not after.strip()
        if after != there and record.created and empty:
            self.steps.append(RemoveFile(part=record.part, path=record.path))
        elif after != there:
            self.steps.append(WriteFile(part=record.part, path=record.path, after=after, before=there))
        return True

    def _extension(self, record: Record) -> None:
        program = str(record.path)
        if self.machine.programs.find(program) is None:
            if where := self._extension_folders():
                self.problems.append(
                    f"{TITLES[record.part]}: {program} is not there any more, and the extension still is: "
                    f"take away {', '.join(map(str, where))}"
                )
            return
        # Where VS Code does not say what it has, it is told to take ours away all the same.
        if extension_version(self.machine, program, vsix.EXTENSION_ID) != "":
            self.steps.append(run_vscode(record.part, program, "--uninstall-extension", vsix.EXTENSION_ID))

    def _extension_folders(self) -> list[Path]:
        return [
            folder / name
            for folder in (
                self.machine.home / ".vscode" / "extensions",
                self.machine.home / ".vscode-insiders/extensions",
            )
            for name in self.machine.disk.names_in(folder)
            if name.startswith(f"{vsix.EXTENSION_ID}-")
        ]
