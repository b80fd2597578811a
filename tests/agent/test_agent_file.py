"""The agent as a file that travels: the same everywhere, for old Pythons, and with nothing but the standard library."""

from __future__ import annotations

import ast
import hashlib
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import devboxgpu.agent
from devboxgpu.agent_file import agent_file

PACKAGE = Path(devboxgpu.agent.__file__).parent
MODULES = sorted(PACKAGE.glob("*.py"))


def test_it_is_named_by_what_is_in_it_and_made_the_same_in_another_process() -> None:
    code = "from devboxgpu.agent_file import agent_file; print(agent_file().name)"
    elsewhere = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(PACKAGE.parent.parent)},
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    ).stdout.strip()

    assert elsewhere == agent_file().name
    assert agent_file().name == f"agent-{hashlib.sha256(agent_file().data).hexdigest()[:16]}.pyz"


def test_it_holds_the_sources_and_nothing_of_this_machine() -> None:
    with zipfile.ZipFile(io.BytesIO(agent_file().data)) as archive:
        names = set(archive.namelist())
        times = {entry.date_time for entry in archive.infolist()}
        text = archive.read("devboxgpu_agent/link.py")

    assert names == {"__main__.py", *(f"devboxgpu_agent/{module.name}" for module in MODULES)}
    assert times == {(1980, 1, 1, 0, 0, 0)}
    assert text == (PACKAGE / "link.py").read_bytes()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_a_module_is_for_python_3_8_and_needs_the_standard_library_only(module: Path) -> None:
    tree = ast.parse(module.read_text(), feature_version=(3, 8))

    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {name.name.split(".")[0] for name in node.names} <= sys.stdlib_module_names
        if isinstance(node, ast.ImportFrom):
            assert node.level == 1 or (node.module or "").split(".")[0] in sys.stdlib_module_names


LATER_THAN_3_8 = {"removeprefix", "removesuffix", "waitstatus_to_exitcode", "pidfd_open", "pairwise", "bit_count"}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_a_module_uses_nothing_that_python_3_8_does_not_have(module: Path) -> None:
    """What a parser for 3.8 cannot see: newer names of the library, `X | Y` and `list[X]` where they are evaluated."""
    tree = ast.parse(module.read_text())
    postponed = {id(part) for node in ast.walk(tree) for note in annotations_of(node) for part in ast.walk(note)}

    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            assert node.attr not in LATER_THAN_3_8
        if isinstance(node, ast.Subscript) and id(node) not in postponed and isinstance(node.value, ast.Name):
            assert node.value.id not in {"list", "dict", "tuple", "set", "type", "frozenset", "deque"}, ast.dump(node)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr) and id(node) not in postponed:
            assert not (isinstance(node.right, ast.Constant) and node.right.value is None)


def annotations_of(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.FunctionDef):
        return [node.returns] if node.returns else []
    if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation:
        return [node.annotation]
    return []
