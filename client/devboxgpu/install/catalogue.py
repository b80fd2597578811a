"""What each part consists of on this machine; looks at the machine and changes nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from devboxgpu import __version__
from devboxgpu.config_keys import KEYS, checked
from devboxgpu.errors import DevBoxGpuError
from devboxgpu.install import completion, line_block, settings_edit, vsix, windows_terminal
from devboxgpu.install.disk import FOR_ALL
from devboxgpu.install.layout import Layout, layout_of
from devboxgpu.install.machine import Machine, System
from devboxgpu.install.machine_config import with_values
from devboxgpu.install.steps import TITLES, Part
from devboxgpu.install.text_file import NotUnderstoodError
from devboxgpu.install.wanted import Wanted, WantedBlock, WantedExtension, WantedFile

USUAL = {
    System.WINDOWS: (Part.TERMINAL, Part.VSCODE),
    System.WSL: (Part.TERMINAL, Part.COMPLETION),
    System.LINUX: (Part.VSCODE, Part.COMPLETION),
    System.MACOS: (Part.VSCODE, Part.COMPLETION),
}
"""What is installed where nothing is asked for. PowerShell's start-up file is edited only for who asks for it."""
EVERYBODYS = (Part.TERMINAL, Part.CONFIG)
PROFILE_SETTING = {
    System.WINDOWS: "terminal.integrated.profiles.windows",
    System.LINUX: "terminal.integrated.profiles.linux",
    System.MACOS: "terminal.integrated.profiles.osx",
}
VSCODE_COMMANDS = ("code", "code-insiders")


class NotHereError(DevBoxGpuError):
    """A part that was asked for cannot be on this machine; the text says why, and what can be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    parts: tuple[Part, ...] = ()
    """Empty: what is usual on the system."""
    with_completion: bool = False
    """Completion as well, where it is not usual."""
    for_everybody: bool = False
    gpu_types: tuple[str, ...] | None = None
    """The project's own first; None where they are not known."""
    values: Mapping[str, str] = field(default_factory=dict)
    """For the machine's configuration."""
    completion_script: Callable[[str], str] = lambda shell: ""


def wanted(machine: Machine, wishes: Wishes) -> Wanted:
    """Raises NotHereError for a part that was asked for by name and cannot be here."""
    layout = layout_of(machine, for_everybody=wishes.for_everybody)
    asked = bool(wishes.parts)
    parts = parts_of(machine, wishes)
    things: list[WantedFile | WantedBlock | WantedExtension] = []
    notes: list[str] = []
    for part in parts:
        try:
            things += _part(part, machine, wishes, layout)
        except NotHereError as missing:
            if asked:
                raise
            notes.append(f"{TITLES[part]}: left out, {missing}")
    return Wanted(things=tuple(things), folders=_folders(layout), notes=tuple(notes))


def parts_of(machine: Machine, wishes: Wishes) -> tuple[Part, ...]:
    """What is asked for, or what is usual here."""
    parts = wishes.parts or (EVERYBODYS if wishes.for_everybody else USUAL[machine.system])
    return parts if Part.COMPLETION in parts or not wishes.with_completion else (*parts, Part.COMPLETION)


def places_known_by_name(machine: Machine, wishes: Wishes) -> Wanted:
    """Where things of ours would be, whatever was asked for when they came."""
    layout = layout_of(machine, for_everybody=wishes.for_everybody)
    things: list[WantedFile | WantedBlock | WantedExtension] = []
    for part in wishes.parts or tuple(Part):
        with contextlib.suppress(NotHereError):
            things += _part(part, machine, wishes, layout)
    return Wanted(things=tuple(things), folders=_folders(layout))


def _folders(layout: Layout) -> tuple[Path, ...]:
    return (layout.folder, *([layout.fragments] if layout.fragments else []))


def _part(
    part: Part, machine: Machine, wishes: Wishes, layout: Layout
) -> Sequence[WantedFile | WantedBlock | WantedExtension]:
    if wishes.for_everybody and part not in EVERYBODYS:
        raise NotHereError(f"--machine installs {' and '.join(EVERYBODYS)}; each person installs {part} for themselves")
    match part:
        case Part.TERMINAL:
            return _terminal(machine, wishes, layout)
        case Part.VSCODE:
            return _vscode(machine, layout)
        case Part.VSCODE_SETTINGS:
            return [_vscode_settings(machine)]
        case Part.COMPLETION:
            return _completion(machine, wishes, layout)
        case Part.CONFIG:
            return _config(machine, wishes)


def _terminal(machine: Machine, wishes: Wishes, layout: Layout) -> list[WantedFile]:
    if layout.fragments is None:
        if machine.system is System.WSL and not wishes.for_everybody:
            raise NotHereError(
                "your folder on the Windows side was not found: is C: mounted, and is its AppData on the PATH? "
                "LOCALAPPDATA=/mnt/c/Users/NAME/AppData/Local says where it is"
            )
        raise NotHereError(f"Windows Terminal is not on {machine.system}")
    file, icon = layout.fragments / windows_terminal.FRAGMENT, layout.fragments / windows_terminal.ICON
    there = machine.disk.read(file)
    command = machine.command
    if machine.system is System.WSL:
        _refuse_anothers(machine, there)
        command = ("wsl.exe", "-d", machine.distribution, "--", *command)
    known = wishes.gpu_types if wishes.gpu_types is not None else tuple(windows_terminal.gpu_types_in(there))
    content = windows_terminal.fragment(command, known, icon=machine.windows_path(icon))
    picture = WantedFile(part=Part.TERMINAL, path=icon, content=vsix.file_of_extension("icon.png"))
    return [picture, WantedFile(part=Part.TERMINAL, path=file, content=content)]


def _refuse_anothers(machine: Machine, there: bytes | None) -> None:
    """Windows's own profiles are better than ours, and another distribution's are not ours to change."""
    if not machine.distribution:
        raise NotHereError("WSL_DISTRO_NAME does not say which distribution this is")
    owner = windows_terminal.distribution_of(there)
    if owner == "" or machine.programs.find("devboxgpu.exe"):
        raise NotHereError("Windows has its own devboxgpu: run 'devboxgpu install' there")
    if owner not in {None, machine.distribution}:
        raise NotHereError(f"the profiles start devboxgpu in {owner}: 'devboxgpu uninstall' there takes them away")


def _vscode(machine: Machine, layout: Layout) -> list[WantedFile | WantedExtension]:
    found = [path for name in VSCODE_COMMANDS if (path := machine.programs.find(name))]
    if not found:
        raise NotHereError("'code', VS Code's own command, is not on the PATH")
    package = layout.folder / vsix.FILE_NAME
    return [
        WantedFile(part=Part.VSCODE, path=package, content=vsix.vsix(machine.command)),
        *(
            WantedExtension(
                part=Part.VSCODE,
                program=program,
                identity=vsix.EXTENSION_ID,
                version=__version__,
                package=package,
            )
            for program in found
        ),
    ]


def _vscode_settings(machine: Machine) -> WantedBlock:
    if machine.system is System.WSL:
        raise NotHereError("VS Code keeps its settings on the Windows side: run 'devboxgpu install' there")
    match machine.system:
        case System.WINDOWS if machine.windows is not None:
            folder = machine.windows.roaming
        case System.MACOS:
            folder = machine.home / "Library" / "Application Support"
        case _:
            folder = machine.config_home()
    profile = {"path": machine.command[0], "args": [*machine.command[1:], "shell"], "icon": "vm"}
    setting = PROFILE_SETTING[machine.system]
    return WantedBlock(
        part=Part.VSCODE_SETTINGS,
        path=folder / "Code" / "User" / "settings.json",
        insert=lambda content: settings_edit.with_entry(content, setting, windows_terminal.PROFILE, profile),
        remove=settings_edit.without_entry,
        holds=settings_edit.has_entry,
        is_empty=settings_edit.is_empty,
    )


def _completion(machine: Machine, wishes: Wishes, layout: Layout) -> list[WantedFile | WantedBlock]:
    places = completion.places(machine, layout.completion)
    if not places:
        raise NotHereError("no shell was found that devboxgpu has completions for")
    things: list[WantedFile | WantedBlock] = []
    for script, shell in {place.script: place.name for place in places}.items():
        content = wishes.completion_script(shell).rstrip("\n") + "\n"
        things.append(WantedFile(part=Part.COMPLETION, path=script, content=content.encode()))
    return [*things, *(_start_up(place) for place in places if place.start_up is not None)]


def _start_up(place: completion.Place) -> WantedBlock:
    assert place.start_up is not None
    return WantedBlock(
        part=Part.COMPLETION,
        path=place.start_up,
        insert=partial(line_block.with_lines, lines=place.lines),
        remove=line_block.without_lines,
        holds=line_block.has_lines,
        is_empty=lambda content: not content.strip(),
    )


def _config(machine: Machine, wishes: Wishes) -> list[WantedFile]:
    if not wishes.values:
        raise NotHereError("nothing to configure was given (--endpoint, --project, --tenant, --client-id)")
    for name, value in wishes.values.items():
        checked(KEYS[name], value, where="not written")
    file = machine.machine_config
    try:
        content = with_values(machine.disk.read(file), wishes.values)
    except NotUnderstoodError as fault:
        raise NotHereError(f"{file} is there and is left as it is: {fault}") from None
    return [WantedFile(part=Part.CONFIG, path=file, content=content, ours_by_name=False, mode=FOR_ALL)]
