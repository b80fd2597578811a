"""The `devboxgpu` command as a person of the local cloud runs it: at a terminal, in a pipe, killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect

from tests.e2e.people import Person
from tests.e2e.running_stack import RunningStack
from tests.e2e.waiting import PATIENCE_S

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).parent / "devboxgpu"
ATTACHED = "Enter ~? for keys"


@dataclass(frozen=True)
class CommandLine:
    """Somebody's command line, pointing at one local cloud."""

    stack: RunningStack
    person: Person
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "DEVBOXGPU_ENDPOINT": self.stack.endpoints["api"],
            "DEVBOXGPU_PROJECT": "demo",
            "DEVBOXGPU_LOCAL_IDENTITY": self.stack.endpoints["identity"],
            "DEVBOXGPU_LOCAL_USER": self.person.name,
            "DEVBOXGPU_STATE": str(self.stack.state),
        }

    def run(self, *words: str, data: str = "") -> subprocess.CompletedProcess[str]:
        return self._run([str(COMMAND), *words], data)

    def data(self, *words: str) -> Any:
        """Run a command that writes JSON and must succeed."""
        done = self.run(*words, "-o", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def localcloud(self, *words: str, data: str = "") -> subprocess.CompletedProcess[str]:
        return self._run([sys.executable, "-m", "localcloud", *words, "--state", str(self.stack.state)], data)

    def _run(self, words: list[str], data: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, input=data, capture_output=True, text=True, cwd=ROOT, env=self.environment, check=False, timeout=200
        )

    def at_terminal(self, *words: str) -> pexpect.spawn:
        """Begin a command at a terminal."""
        return pexpect.spawn(
            str(COMMAND),
            list(words),
            env=self.environment,
            cwd=str(ROOT),
            dimensions=(30, 120),
            timeout=PATIENCE_S,
            encoding="utf-8",
        )

    def shell(self) -> pexpect.spawn:
        """Open a shell at a terminal and wait until it is attached."""
        screen = self.at_terminal("shell")
        screen.expect_exact(ATTACHED)
        return screen


def says(screen: pexpect.spawn, number: int) -> None:
    """Let the remote shell compute something, so that its answer is not the echo of the question."""
    screen.sendline(f"echo it-is-$(({number}+1))")
    screen.expect_exact(f"it-is-{number + 1}")


def exit_code(screen: pexpect.spawn) -> int | None:
    screen.expect(pexpect.EOF)
    screen.close()
    code: int | None = screen.exitstatus
    return code
