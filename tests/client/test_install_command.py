"""The verbs `install` and `uninstall` as they are typed."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from conftest import Terminal
from fake_machine import USER, tree

from devboxgpu.install.asking import NoGpuTypeError, named_gpu_types, own_first

OFFERS = [{"gpuType": "A100"}, {"gpuType": "T4", "default": True}, {"gpuType": 'x" & calc'}]


@pytest.fixture
def home(terminal: Terminal, tmp_path: Path) -> Path:
    """A Linux home with nothing in it; no program but a bash is on the PATH."""
    folder = tmp_path / "home" / USER
    (folder / ".local" / "share").mkdir(parents=True)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "bash").symlink_to(shutil.which("bash") or "/bin/bash")
    terminal.environment |= {"HOME": str(folder), "PATH": str(programs), "WSL_DISTRO_NAME": ""}
    return folder


def as_wsl(terminal: Terminal, tmp_path: Path) -> Path:
    local = tmp_path / "mnt" / "c" / "Users" / USER / "AppData" / "Local"
    local.mkdir(parents=True)
    terminal.environment |= {"WSL_DISTRO_NAME": "Ubuntu", "LOCALAPPDATA": str(local)}
    return local


def test_install_and_uninstall_from_the_command_line(terminal: Terminal, home: Path) -> None:
    before = tree(home)

    installed = terminal.run("install", "--yes")
    assert (installed.returncode, installed.stdout) == (0, b"")
    script = home / ".local" / "share" / "bash-completion" / "completions" / "devboxgpu"
    assert script.read_bytes().rstrip() == terminal.run("completion", "bash").stdout.rstrip() != b""
    again = terminal.run("install", "--yes")
    assert again.returncode == 0
    assert again.stderr.decode().startswith("unchanged")

    assert terminal.run("uninstall", "--yes").returncode == 0
    assert tree(home) == before


def test_without_a_terminal_it_changes_nothing_unless_told_yes(terminal: Terminal, home: Path) -> None:
    before = tree(home)

    done = terminal.run("install")

    assert (done.returncode, done.stdout) == (1, b"")
    assert b"nothing was changed; there is no terminal to ask on: give --yes" in done.stderr
    assert tree(home) == before


def test_on_a_terminal_it_asks(terminal: Terminal, home: Path) -> None:
    before = tree(home)
    child = terminal.spawn("install")
    child.expect_exact("Do this? [Y/n]:")
    child.sendline("n")
    child.expect_exact("nothing was changed")
    child.wait()

    assert child.exitstatus == 1
    assert tree(home) == before


def test_a_dry_run_is_data_on_standard_output(terminal: Terminal, home: Path) -> None:
    before = tree(home)

    done = terminal.run("install", "--dry-run")

    assert done.returncode == 0
    assert f"new       {home}/.local/share/bash-completion/completions/devboxgpu" in done.stdout.decode()
    assert "| _devboxgpu_completion() {" in done.stdout.decode()
    assert tree(home) == before


def test_in_wsl_the_profiles_are_those_that_the_project_offers(terminal: Terminal, home: Path, tmp_path: Path) -> None:
    local = as_wsl(terminal, tmp_path)
    terminal.plane.offers = OFFERS

    done = terminal.run("install", "--only", "terminal", "--yes")

    assert done.returncode == 0, done.stderr
    written = json.loads((local / "Microsoft/Windows Terminal/Fragments/DevBoxGPU/devboxgpu.json").read_bytes())
    assert [profile["name"] for profile in written["profiles"]] == ["DevBoxGPU Shell", "DevBoxGPU Shell (A100)"]
    assert written["profiles"][0]["commandline"].startswith('"wsl.exe" -d Ubuntu -- ')
    assert terminal.run("uninstall", "--yes").returncode == 0
    assert list(local.iterdir()) == []


def test_a_control_plane_that_does_not_answer_costs_no_profile(terminal: Terminal, home: Path, tmp_path: Path) -> None:
    local = as_wsl(terminal, tmp_path)
    fragment = local / "Microsoft/Windows Terminal/Fragments/DevBoxGPU/devboxgpu.json"
    assert terminal.run("install", "--only", "terminal", "--yes", "--gpu-types", "T4,A100").returncode == 0
    written = fragment.read_bytes()

    done = terminal.run("install", "--only", "terminal", "--yes", "--endpoint", "http://127.0.0.1:9/api")

    assert done.returncode == 0
    assert b"the project's GPU types are not known now" in done.stderr
    assert fragment.read_bytes() == written


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--only", "nonsense"], 2, "unknown: nonsense. Give some of terminal, vscode"),
        (["--only", ""], 2, "Give some of"),
        (["--only", "terminal"], 1, "Windows Terminal is not on Linux"),
        (["--only", "vscode"], 1, "'code', VS Code's own command, is not on the PATH"),
        (["--tenant", "x"], 2, "--tenant is for the machine's configuration: add --machine"),
        (["--gpu-types", "T4;rm"], 1, "--gpu-types takes names such as T4,A100, and not T4;rm"),
        (["--machine", "--only", "vscode", "--dry-run"], 1, "each person installs vscode for themselves"),
        (["--machine", "--only", "config", "--dry-run"], 1, "nothing to configure was given"),
        (["--print", "emacs"], 2, "visual-studio"),
        (["now"], 2, "unexpected extra argument"),
    ],
)
def test_wrong_words_say_what_is_wrong(terminal: Terminal, home: Path, words, code: int, said: str) -> None:
    done = terminal.run("install", *words)

    assert done.returncode == code
    assert said in " ".join(done.stderr.decode().split())


def test_the_values_for_visual_studio_are_printed(terminal: Terminal, home: Path) -> None:
    done = terminal.run("install", "--print", "visual-studio")

    lines = dict(line.split(":", 1) for line in done.stdout.decode().splitlines()[1:])
    assert done.returncode == 0
    assert lines["Name"].strip() == "DevBoxGPU Shell"
    assert Path(lines["Shell location"].strip()).is_absolute()
    assert lines["Arguments"].strip().endswith("shell")


def test_the_commands_that_are_written_start_this_command(terminal: Terminal, home: Path) -> None:
    done = terminal.run("install", "--print", "visual-studio")
    lines = dict(line.split(":", 1) for line in done.stdout.decode().splitlines()[1:])

    words = [lines["Shell location"].strip(), *lines["Arguments"].split()[:-1], "--version"]
    version = subprocess.run(words, env=terminal.environment, capture_output=True, check=True).stdout
    assert version.startswith(b"devboxgpu")


@pytest.mark.parametrize(
    ("offers", "types"),
    [
        (OFFERS, ("T4", "A100")),
        ([{"gpuType": "A100"}, {"gpuType": "H100"}], ("", "A100", "H100")),
        ([], ("",)),
        ([{"gpuType": None}, {"default": False}], ("",)),
    ],
)
def test_the_projects_own_type_is_first_and_none_is_lost(offers, types: tuple[str, ...]) -> None:
    assert own_first(offers) == types


def test_gpu_types_are_named_once() -> None:
    assert named_gpu_types(" T4, A100,T4,") == ("T4", "A100")
    with pytest.raises(NoGpuTypeError, match="nothing"):
        named_gpu_types(" , ")


def test_a_program_is_run_without_a_shell_and_its_failure_is_told(
    terminal: Terminal, home: Path, tmp_path: Path
) -> None:
    code = tmp_path / "programs" / "code"
    code.write_text("#!/bin/bash\necho 'no display' >&2\nexit 7\n")
    code.chmod(code.stat().st_mode | stat.S_IXUSR)

    done = terminal.run("install", "--only", "vscode", "--yes")

    assert done.returncode == 1
    assert "failed with exit code 7 (no display)" in done.stderr.decode()
