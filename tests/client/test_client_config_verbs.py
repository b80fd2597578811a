"""`devboxgpu config` as a person uses it, and what it changes in the other verbs."""

from __future__ import annotations

import json

import pytest
from conftest import Terminal


@pytest.fixture
def own(terminal: Terminal) -> Terminal:
    """With a folder for the user's file, and nothing configured by variables but the control plane."""
    terminal.environment["XDG_CONFIG_HOME"] = str(terminal.cwd / "config")
    return terminal


def test_a_key_is_set_shown_with_its_origin_and_taken_away(own: Terminal) -> None:
    file = own.cwd / "config" / "devboxgpu" / "config.toml"

    done = own.run("config", "set", "gpu", "A100")
    assert (done.stdout, done.stderr.decode()) == (b"", f"devboxgpu: gpu is set in {file}\n")
    assert own.run("config", "get", "gpu").stdout == b"A100\n"

    listed = json.loads(own.run("config", "list", "-o", "json").stdout)
    by_key = {row["key"]: (row["value"], row["from"]) for row in listed}
    assert by_key["gpu"] == ("A100", str(file))
    assert by_key["project"] == ("demo", "DEVBOXGPU_PROJECT")
    assert by_key["image"] == (None, None)

    assert own.run("config", "unset", "gpu").returncode == 0
    absent = own.run("config", "get", "gpu")
    assert (absent.returncode, absent.stdout) == (3, b"")
    assert b"devboxgpu config set gpu VALUE" in absent.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("config", "set", "gpus", "T4"), b"unknown key 'gpus'. Known keys: endpoint, project"),
        (("config", "set", "region", "West US 3"), b"region = 'West US 3' is no region: such as westus3"),
        (("config", "set", "--folder", "endpoint", "https://x.example"), b"decides who gets your token"),
        (("config", "get", "nonsense"), b"unknown key"),
    ],
)
def test_what_cannot_be_configured_is_refused_with_what_can(own: Terminal, words: tuple[str, ...], told: bytes) -> None:
    done = own.run(*words)

    assert done.returncode in {1, 2}
    assert told in done.stderr
    assert not (own.cwd / "config").exists()


def test_a_value_that_stays_without_effect_is_said_so(own: Terminal) -> None:
    done = own.run("config", "set", "project", "another")

    assert b"note: project = demo from DEVBOXGPU_PROJECT is what holds" in done.stderr


def test_a_folders_file_chooses_what_is_asked_for_and_how_it_is_shown(own: Terminal) -> None:
    assert own.run("config", "set", "--folder", "gpu", "A100").returncode == 0
    own.run("config", "set", "--folder", "output", "json")
    below = own.cwd / "below"
    below.mkdir()
    own.cwd = below

    assert own.run("shell", data=b"exit 0\n").returncode == 0
    opened = own.plane.made("PUT", "")[0]
    assert opened.body["gpuType"] == "A100"
    assert json.loads(own.run("gpus").stdout) == []
    assert own.run("gpus", "-o", "tsv").stdout == b""


def test_the_files_are_listed_with_whether_they_are_there(own: Terminal) -> None:
    own.run("config", "set", "gpu", "T4")

    rows = json.loads(own.run("config", "path", "-o", "json").stdout)

    file = str(own.cwd / "config" / "devboxgpu" / "config.toml")
    assert rows[0] == {"which": "user", "path": file, "exists": True}
