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
from tests.e2e.terminal import Terminal
from tests.e2e.waiting import PATIENCE_S, until

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

    def run_bytes(self, *words: str, data: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command with these bytes as its input, and neither of its outputs a terminal."""
        return subprocess.run(
            [str(COMMAND), *words],
            input=data,
            capture_output=True,
            cwd=ROOT,
            env=self.environment | environment,
            check=False,
            timeout=200,
        )

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

    def terminal(self, *words: str, size: tuple[int, int] = (120, 30), **environment: str) -> Terminal:
        """Begin a command at a terminal whose screen can be looked at."""
        columns, rows = size
        return Terminal([str(COMMAND), *words], self.environment | environment, columns=columns, rows=rows)

    def shell_on_screen(self, *words: str, **environment: str) -> Terminal:
        """Open a shell at such a terminal, with a prompt that can be told from its echo, and wait for both."""
        terminal = self.terminal("shell", *words, **environment)
        terminal.expect(ATTACHED)
        terminal.enter("PS1='rea''dy> '")
        terminal.expect("ready> ")
        return terminal

    def session(self, state: str = "Running") -> dict[str, Any]:
        """Wait until the person has a session in this state, and return the newest."""
        return until(lambda: self.person.sessions(state=state), f"a session to be {state}")[0]

    def shell(self) -> pexpect.spawn:
        """Open a shell at a terminal and wait until it is attached."""
        screen = self.at_terminal("shell")
        screen.expect_exact(ATTACHED)
        return screen


def says(screen: pexpect.spawn, number: int) -> None:
    """Let the remote shell compute something, so that its answer is not the echo of the question."""
    screen.sendline(f"echo it-is-$(({number}+1))")
    screen.expect_exact(f"it-is-{number + 1}")


def says_on(terminal: Terminal, number: int) -> None:
    """The same, at a terminal whose screen can be looked at."""
    terminal.enter(f"echo it-is-$(({number}+1))")
    terminal.expect(f"it-is-{number + 1}")


def exit_code(screen: pexpect.spawn) -> int | None:
    screen.expect(pexpect.EOF)
    screen.close()
    code: int | None = screen.exitstatus
    return code
