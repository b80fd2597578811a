from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pexpect
import pytest
from fake_control_plane import TOKEN, FakeControlPlane
from fake_exec import FakeExec
from linked_agent import LinkedAgent

from devboxgpu.main import run_command

COMMAND = [sys.executable, "-m", "devboxgpu"]
PATIENCE_S = 20


@dataclass
class Terminal:
    """The command under test, its environment pointing at the fakes."""

    plane: FakeControlPlane
    environment: dict[str, str]
    cwd: Path

    def run(self, *arguments: str, data: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*COMMAND, *arguments],
            input=data,
            capture_output=True,
            env={**self.environment, **environment},
            cwd=self.cwd,
            timeout=60,
            check=False,
        )

    def ask(self, *arguments: str, data: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
        """The same in this process: for the many tests of verbs that only ask and tell."""
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        given = io.BytesIO(data)
        given.name = "<stdin>"
        streams = {"stdin": io.TextIOWrapper(given, encoding="utf-8"), "stdout": out, "stderr": err}
        with (
            patch.dict(os.environ, {**self.environment, **environment}, clear=True),
            patch.multiple(sys, **streams),
            contextlib.chdir(self.cwd),
        ):
            code = run_command(list(arguments))
        return subprocess.CompletedProcess(arguments, code, out.buffer.getvalue(), err.buffer.getvalue())

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**self.environment, **environment},
            cwd=self.cwd,
        )

    def spawn(self, *arguments: str, **environment: str) -> pexpect.spawn:
        return pexpect.spawn(
            COMMAND[0],
            [*COMMAND[1:], *arguments],
            env={**self.environment, "TERM": "xterm-256color", **environment},
            cwd=str(self.cwd),
            dimensions=(30, 100),
            timeout=PATIENCE_S,
        )


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[FakeControlPlane]:
    home = tmp_path / "remote-home"
    home.mkdir()
    (home / ".bashrc").write_text("PS1='remote> '\n")  # over what the system's own file says
    with FakeExec(home).running() as exec_endpoint, FakeControlPlane(exec_endpoint).running() as control_plane:
        yield control_plane


@pytest.fixture
def terminal(plane: FakeControlPlane, tmp_path: Path) -> Terminal:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(Path(__file__).parents[2] / "client"),
        "LANG": "C.UTF-8",
        "DEVBOXGPU_ENDPOINT": f"http://127.0.0.1:{plane.port}/api",
        "DEVBOXGPU_PROJECT": "demo",
        "DEVBOXGPU_ACCESS_TOKEN": TOKEN,
        "DEVBOXGPU_STATE": str(tmp_path / "no-local-cloud"),
    }
    return Terminal(plane, environment, tmp_path)


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], None]:
    """Waits until something has become true; fails when it does not."""

    def wait(predicate: Callable[[], object]) -> None:
        give_up_at = time.monotonic() + PATIENCE_S
        while not predicate():
            assert time.monotonic() < give_up_at, "it did not come true"
            time.sleep(0.01)

    return wait


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LinkedAgent]:
    """The agent's own operations over a link, with a home of its own."""
    home = tmp_path / "there"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    with LinkedAgent(home).running() as linked:
        yield linked
