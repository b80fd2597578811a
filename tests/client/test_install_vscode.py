"""The VS Code extension: its package, what it does in a VS Code that is played, and how it is installed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tomllib
import zipfile
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from xml.etree import ElementTree

import pytest
from fake_machine import FakePrograms, a_machine, install, tree, uninstall

from devboxgpu import __version__
from devboxgpu.install import vsix as packing
from devboxgpu.install.layout import layout_of
from devboxgpu.install.machine import System
from devboxgpu.install.steps import Part
from localcloud.stack.azurite import find_node
from scripts import draw_icon

HERE = Path(__file__).parent
CLIENT = HERE.parents[1] / "client"
COMMAND = ["/home/Zoë van der Ünal/.local/bin/devboxgpu"]
SCHEMA = "{http://schemas.microsoft.com/developer/vsx-schema/2011}"


@pytest.fixture(scope="module")
def package() -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(packing.vsix(COMMAND)))


def test_the_package_holds_what_vs_code_reads(package: zipfile.ZipFile) -> None:
    assert package.testzip() is None
    assert sorted(package.namelist()) == [
        "[Content_Types].xml",
        "extension.vsixmanifest",
        "extension/LICENSE.txt",
        "extension/README.md",
        "extension/command.json",
        "extension/extension.js",
        "extension/icon.png",
        "extension/package.json",
        "extension/sessions.js",
    ]
    assert json.loads(package.read("extension/command.json")) == {"command": COMMAND}
    assert json.loads(package.read("extension/package.json"))["version"] == __version__


def test_the_manifest_says_what_package_json_says(package: zipfile.ZipFile) -> None:
    manifest = ElementTree.fromstring(package.read("extension.vsixmanifest"))
    said = json.loads(package.read("extension/package.json"))

    identity = manifest.find(f"{SCHEMA}Metadata/{SCHEMA}Identity")
    assert identity is not None
    assert (identity.get("Id"), identity.get("Publisher"), identity.get("Version")) == (
        said["name"],
        said["publisher"],
        __version__,
    )
    assert f"{said['publisher']}.{said['name']}" == packing.EXTENSION_ID
    properties = {one.get("Id"): one.get("Value") for one in manifest.iter(f"{SCHEMA}Property")}
    assert properties["Microsoft.VisualStudio.Code.Engine"] == said["engines"]["vscode"]
    assert properties["Microsoft.VisualStudio.Code.ExtensionKind"] == "ui"
    for asset in manifest.iter(f"{SCHEMA}Asset"):
        assert asset.get("Path") in package.namelist()


def test_every_file_has_a_content_type(package: zipfile.ZipFile) -> None:
    types = ElementTree.fromstring(package.read("[Content_Types].xml"))

    known = {one.get("Extension") for one in types}
    assert {Path(name).suffix for name in package.namelist() if not name.startswith("[")} <= known


def test_the_package_is_the_same_every_time() -> None:
    assert packing.vsix(COMMAND) == packing.vsix(COMMAND)
    assert packing.vsix(COMMAND) != packing.vsix(["/elsewhere"])


def test_the_wheel_takes_every_file_of_the_extension_along() -> None:
    patterns = tomllib.loads((CLIENT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["devboxgpu"]
    files = [path.name for path in (CLIENT / "devboxgpu" / "vscode").iterdir()]

    assert sorted(files) == sorted(packing.FILES)
    assert all(any(fnmatch(f"vscode/{name}", pattern) for pattern in patterns) for name in files)


def test_the_icon_is_the_one_that_is_drawn() -> None:
    kept = packing.file_of_extension("icon.png")

    assert pixels_of(kept) == [[value for pixel in row for value in pixel] for row in draw_icon.pixels()]


def pixels_of(png: bytes) -> list[list[int]]:
    """The rows of a picture that is written without filters, as ours is."""
    import struct
    import zlib

    width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
    assert (width, height, depth, kind) == (128, 128, 8, 6)
    at = png.index(b"IDAT")
    (length,) = struct.unpack(">I", png[at - 4 : at])
    raw = zlib.decompress(png[at + 4 : at + 4 + length])
    rows = [raw[row * (width * 4 + 1) :][: width * 4 + 1] for row in range(height)]
    assert all(row[0] == 0 for row in rows)
    return [list(row[1:]) for row in rows]


def test_the_extension_does_in_vs_code_what_it_says(tmp_path: Path) -> None:
    zipfile.ZipFile(io.BytesIO(packing.vsix(COMMAND))).extractall(tmp_path)

    done = subprocess.run(
        [find_node(os.environ), "--test", "--test-reporter=tap", str(HERE / "vscode" / "extension.test.js")],
        env={**os.environ, "EXTENSION": str(tmp_path / "extension")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "# fail 0" in done.stdout
    assert "# pass 2" in done.stdout  # twenty and some, not none


def test_no_word_of_a_person_is_handed_to_code(tmp_path: Path) -> None:
    """`code` is a batch file on Windows: what cmd makes of its words cannot be quoted away."""
    machine = a_machine(System.WINDOWS, tmp_path)
    install(machine)
    uninstall(machine)

    changes = [(words[1:], folder) for words, folder in machine.programs.ran if "--list-extensions" not in words]
    assert changes == [
        (("--install-extension", "devboxgpu.vsix", "--force"), layout_of(machine, for_everybody=False).folder),
        (("--uninstall-extension", "devboxgpu.devboxgpu"), None),
    ]


def test_another_version_of_the_command_brings_its_extension(tmp_path: Path) -> None:
    machine = a_machine(System.LINUX, tmp_path)
    install(machine, Part.VSCODE)
    machine.programs.extensions["devboxgpu.devboxgpu"] = "0.0.9"
    machine.programs.ran.clear()

    install(machine, Part.VSCODE)
    assert machine.programs.extensions["devboxgpu.devboxgpu"] == "0.1.0"

    moved = replace(machine, command=("/elsewhere/devboxgpu",))
    machine.programs.ran.clear()
    install(moved, Part.VSCODE)
    assert any("--install-extension" in words for words, _ in machine.programs.ran)


def test_both_editions_of_vs_code_get_it(tmp_path: Path) -> None:
    machine = a_machine(System.LINUX, tmp_path, programs=FakePrograms({"code", "code-insiders"}))

    install(machine, Part.VSCODE)

    assert {words[0] for words, _ in machine.programs.ran} == {"/programs/code", "/programs/code-insiders"}


@pytest.mark.parametrize("text", [b"{ broken", b"[]", b'{"terminal.integrated.profiles.linux": 7}'])
def test_settings_that_are_not_understood_are_left_and_said(text: bytes, tmp_path: Path, capsys) -> None:
    machine = a_machine(System.LINUX, tmp_path)
    file = machine.home / ".config" / "Code" / "User" / "settings.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(text)
    before = tree(tmp_path)

    assert install(machine, Part.VSCODE_SETTINGS) == 1

    assert tree(tmp_path) == before
    assert "is left as it is" in capsys.readouterr().err


def test_settings_are_backed_up_before_they_are_edited(tmp_path: Path) -> None:
    machine = a_machine(System.LINUX, tmp_path)
    file = machine.home / ".config" / "Code" / "User" / "settings.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(b'{"a": 1}')

    install(machine, Part.VSCODE_SETTINGS)

    (copy,) = layout_of(machine, for_everybody=False).backups.iterdir()
    assert copy.read_bytes() == b'{"a": 1}'
