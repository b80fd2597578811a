"""The fragment for Windows Terminal, from Windows and from WSL, and Windows's folders."""

from __future__ import annotations

import ctypes
import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import pytest
from fake_machine import ON_WINDOWS, USER, FakePrograms, a_machine, install, uninstall
from jsonschema import Draft202012Validator

from devboxgpu.install import windows_terminal
from devboxgpu.install.catalogue import NotHereError
from devboxgpu.install.known_folders import LOCAL, PROGRAM_DATA, ask_windows, windows_folders
from devboxgpu.install.machine import Machine, System
from devboxgpu.install.steps import Part
from devboxgpu.install.this_machine import own_command
from devboxgpu.install.wsl import windows_side
from devboxgpu.wording import printable

SHARED = Path(os.environ.get("DEVBOXGPU_SHARED") or Path(__file__).resolve().parents[3] / "shared")
SCHEMA = SHARED / "schemas" / "windows-terminal-profiles.schema.json"
FRAGMENT = Path("Microsoft/Windows Terminal/Fragments/DevBoxGPU/devboxgpu.json")
KNOWN_FIELDS = {
    "guid",
    "name",
    "commandline",
    "icon",
    "tabColor",
    "startingDirectory",
    "closeOnExit",
    "suppressApplicationTitle",
    "hidden",
}
"""Those of the schema that we use: what is checked where the schema is not beside the repository."""


def profiles(machine: Machine) -> list[dict[str, object]]:
    return json.loads((machine.windows.local / FRAGMENT).read_bytes())["profiles"]


def names(machine: Machine) -> list[object]:
    return [profile["name"] for profile in profiles(machine)]


@pytest.mark.parametrize(
    ("app", "profile", "guid"),
    [
        ("Git", "Git Bash", "{2ece5bfe-50ed-5f3a-ab87-5cd4baafed2b}"),
        ("DevBoxGPU", "DevBoxGPU Shell", "{07d31820-9265-52e1-9453-9847c7d7cedc}"),
    ],
)
def test_a_guid_is_the_one_that_windows_terminal_makes(app: str, profile: str, guid: str) -> None:
    assert windows_terminal.profile_guid(app, profile) == guid


def test_a_guid_of_other_letters_is_a_guid_too() -> None:
    assert UUID(windows_terminal.profile_guid("DevBoxGPU", "Zoë 🚀")).version == 5


def test_every_profile_is_valid(tmp_path: Path) -> None:
    machine = a_machine(System.WINDOWS, tmp_path)
    install(machine, Part.TERMINAL, gpu_types=("T4", "A100"))

    written = profiles(machine)
    assert [set(profile) for profile in written] == [KNOWN_FIELDS] * 2
    if SCHEMA.exists():
        schema = json.loads(SCHEMA.read_bytes())
        judge = Draft202012Validator({"$defs": schema["$defs"], "$ref": "#/$defs/Profile"})
        assert [error.message for profile in written for error in judge.iter_errors(profile)] == []
        # The judge is awake.
        assert list(judge.iter_errors({**written[0], "closeOnExit": "sometimes"}))
        assert list(judge.iter_errors({**written[0], "shell": "x"}))


def test_a_profile_for_each_gpu_type_and_the_projects_own_first(tmp_path: Path) -> None:
    machine = a_machine(System.WINDOWS, tmp_path)
    install(machine, Part.TERMINAL, gpu_types=("T4", "A100"))

    assert [(one["name"], one["commandline"]) for one in profiles(machine)] == [
        ("DevBoxGPU Shell", f'"{ON_WINDOWS}" shell'),
        ("DevBoxGPU Shell (A100)", f'"{ON_WINDOWS}" shell --gpu A100'),
    ]
    assert len({one["guid"] for one in profiles(machine)}) == 2
    content = (machine.windows.local / FRAGMENT).read_bytes()
    assert content.startswith(b"{")
    assert "Zoë" in content.decode("utf-8")
    icon = Path(str(profiles(machine)[0]["icon"]))
    assert icon.is_absolute()
    assert icon.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_gpu_types_that_are_not_known_leave_the_profiles_that_there_are(tmp_path: Path) -> None:
    machine = a_machine(System.WINDOWS, tmp_path)
    install(machine, Part.TERMINAL, gpu_types=None)
    assert names(machine) == ["DevBoxGPU Shell"]
    install(machine, Part.TERMINAL, gpu_types=("T4", "A100", "H100"))

    install(machine, Part.TERMINAL, gpu_types=None)
    assert names(machine) == ["DevBoxGPU Shell", "DevBoxGPU Shell (A100)", "DevBoxGPU Shell (H100)"]

    install(machine, Part.TERMINAL, gpu_types=("T4",))
    assert names(machine) == ["DevBoxGPU Shell"]


@pytest.mark.parametrize("content", [b"", b"[]", b"no json", b'{"profiles": [1]}', b'{"profiles": [{"name": "x"}]}'])
def test_a_foreign_fragment_says_nothing_of_gpu_types(content: bytes) -> None:
    assert windows_terminal.gpu_types_in(content) == []
    assert windows_terminal.distribution_of(content) is None


def test_from_wsl_the_profile_starts_the_command_in_its_distribution(tmp_path: Path) -> None:
    machine = a_machine(System.WSL, tmp_path)

    assert install(machine, Part.TERMINAL, gpu_types=("T4", "A100")) == 0

    first, second = profiles(machine)
    command = f'"{machine.command[0]}"'
    assert first["commandline"] == f'"wsl.exe" -d Ubuntu-24.04 -- {command} shell'
    assert second["commandline"] == f'"wsl.exe" -d Ubuntu-24.04 -- {command} shell --gpu A100'
    folder = f"C:\\Users\\{USER}\\AppData\\Local\\Microsoft\\Windows Terminal\\Fragments\\DevBoxGPU"
    assert first["icon"] == f"{folder}\\devboxgpu.png"


def test_from_wsl_windowss_own_command_and_its_profile_are_left_alone(tmp_path: Path) -> None:
    machine = a_machine(System.WSL, tmp_path)
    with_command = replace(machine, programs=FakePrograms({"devboxgpu.exe"}))
    with pytest.raises(NotHereError, match="Windows has its own devboxgpu"):
        install(with_command, Part.TERMINAL)

    file = machine.windows.local / FRAGMENT
    file.parent.mkdir(parents=True)
    file.write_bytes(windows_terminal.fragment([ON_WINDOWS], ["T4"], icon="x"))
    with pytest.raises(NotHereError, match="Windows has its own devboxgpu"):
        install(machine, Part.TERMINAL)
    assert uninstall(machine) == 0
    assert file.exists()


def test_of_windows_and_a_wsl_each_takes_away_its_own_profiles_alone(tmp_path: Path) -> None:
    wsl = a_machine(System.WSL, tmp_path)
    windows = a_machine(System.WINDOWS, tmp_path, windows=wsl.windows, user_data=tmp_path / "on-windows")
    file = wsl.windows.local / FRAGMENT
    install(wsl, Part.TERMINAL)
    assert uninstall(windows) == 0
    assert file.exists()

    install(windows, Part.TERMINAL)
    assert uninstall(wsl) == 0
    assert file.with_name("devboxgpu.png").exists()
    assert windows_terminal.distribution_of(file.read_bytes()) == ""

    assert uninstall(windows) == 0
    assert not file.parent.exists()


def test_another_distributions_profiles_are_not_overwritten(tmp_path: Path) -> None:
    install(a_machine(System.WSL, tmp_path), Part.TERMINAL)
    other = a_machine(System.WSL, tmp_path, environ={"WSL_DISTRO_NAME": "My Debian"}, user_data=tmp_path / "debian")

    with pytest.raises(NotHereError, match=r"start devboxgpu in Ubuntu-24\.04"):
        install(other, Part.TERMINAL)
    uninstall(a_machine(System.WSL, tmp_path))
    assert install(other, Part.TERMINAL) == 0
    assert windows_terminal.distribution_of((other.windows.local / FRAGMENT).read_bytes()) == "My Debian"


def test_a_wsl_whose_windows_side_is_not_found_says_what_would_help(tmp_path: Path) -> None:
    machine = replace(a_machine(System.WSL, tmp_path), windows=None)

    with pytest.raises(NotHereError, match="LOCALAPPDATA=/mnt/c/Users/NAME/AppData/Local"):
        install(machine, Part.TERMINAL)


def test_the_windows_side_is_told_by_the_path_that_wsl_hands_on() -> None:
    path = f"/usr/bin:/mnt/c/Windows/system32:/mnt/c/Users/{USER}/AppData/Local/Microsoft/WindowsApps"

    found = windows_side({"PATH": path})

    assert found is not None
    assert found.local == Path(f"/mnt/c/Users/{USER}/AppData/Local")
    assert (found.roaming, found.program_data) == (
        Path(f"/mnt/c/Users/{USER}/AppData/Roaming"),
        Path("/mnt/c/ProgramData"),
    )


def test_without_that_path_the_only_person_is_meant_and_of_two_neither(tmp_path: Path) -> None:
    users = tmp_path / "c" / "Users"
    for name in ("Public", "Default", USER):
        (users / name / "AppData" / "Local").mkdir(parents=True)

    found = windows_side({"PATH": "/usr/bin"}, mounts=tmp_path)
    assert found is not None
    assert found.local == users / USER / "AppData" / "Local"

    (users / "bob" / "AppData" / "Local").mkdir(parents=True)
    assert windows_side({"PATH": "/usr/bin"}, mounts=tmp_path) is None
    assert windows_side({}, mounts=tmp_path / "nowhere") is None


class FakeWindows:
    """shell32 and ole32, as far as they are asked for folders."""

    def __init__(self, folders: dict[str, str]) -> None:
        self.folders, self.freed, self.kept = folders, 0, []
        self.shell32 = SimpleNamespace(SHGetKnownFolderPath=self.get)
        self.ole32 = SimpleNamespace(CoTaskMemFree=self.free)

    def get(self, identity, flags, token, answer) -> int:
        asked = str(UUID(bytes_le=bytes(identity._obj))).upper()
        if asked not in self.folders:
            return -2147024894  # HRESULT of "file not found"
        text = ctypes.create_unicode_buffer(self.folders[asked])
        self.kept.append(text)
        answer._obj.value = ctypes.addressof(text)
        return 0

    def free(self, answer) -> None:
        self.freed += 1


def test_windows_says_where_its_folders_are_and_the_environment_only_where_it_does_not() -> None:
    windows = FakeWindows({LOCAL: "D:\\Profile\\Zoë\\Local", PROGRAM_DATA: "E:\\PD"})

    found = windows_folders(
        lambda identity: ask_windows(identity, libraries=windows),
        {"LOCALAPPDATA": "C:\\wrong", "APPDATA": "C:\\right"},
        Path("/home"),
    )

    assert (str(found.local), str(found.program_data)) == ("D:\\Profile\\Zoë\\Local", "E:\\PD")
    assert (str(found.roaming), found.documents) == ("C:\\right", Path("/home/Documents"))
    assert windows.freed == 4


def test_the_own_command_is_an_absolute_path_or_pythons(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "devboxgpu"
    assert own_command("/x/pytest", str(tmp_path / "bin/python"), {"PATH": ""}) == (
        str(tmp_path / "bin/python"),
        "-m",
        "devboxgpu",
    )

    program.write_bytes(b"")
    assert own_command("/x/pytest", str(tmp_path / "bin/python"), {"PATH": ""}) == (str(program),)


def test_what_is_told_of_a_hostile_name_steers_no_terminal(tmp_path: Path, capsys) -> None:
    machine = a_machine(System.LINUX, tmp_path, programs=FakePrograms({"bash"}))
    machine = replace(machine, environ={"XDG_DATA_HOME": str(tmp_path / "a\x1b[31mred")})

    assert install(machine, Part.COMPLETION) == 0

    told = capsys.readouterr().err
    assert printable(told.replace("\n", " ")) == told.replace("\n", " ").strip()
