"""The container's main process under the shells that images have, told to end as Azure tells it: by SIGTERM alone."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shared.ports.main_process import GRACE_S, HOOK_LIMIT_S, LAST_WORDS_S, MAIN_PROCESS, SHOWN_S

SHELLS = [
    [path, *more]
    for name, more in (("dash", []), ("bash", ["--posix"]), ("busybox", ["sh"]))
    if (path := shutil.which(name)) is not None
]
SOON_S = 20


class Main:
    """A main process that has said who it is, in a home and a place of its own."""

    def __init__(
        self, shell: list[str], folder: Path, *, hook: str | None, limit_s: float = HOOK_LIMIT_S, shown_s: int = SHOWN_S
    ) -> None:
        self.home, self.place = folder / "home", folder / "run" / f"devboxgpu-{os.getuid()}"
        self.hook = self.home / ".devboxgpu" / "on-stop"
        self.hook.parent.mkdir(parents=True)
        if hook is not None:
            self.hook.write_text(f"#!/bin/sh\n{hook}\n")
            self.hook.chmod(0o700)
        script = MAIN_PROCESS.replace(f"sleep {HOOK_LIMIT_S};", f"sleep {limit_s:g};")
        assert script != MAIN_PROCESS or limit_s == HOOK_LIMIT_S
        script = script.replace(f"sleep {SHOWN_S} && break", f"sleep {shown_s} && break")
        environment = {"HOME": str(self.home), "XDG_RUNTIME_DIR": str(folder / "run"), "PATH": os.environ["PATH"]}
        self.process = subprocess.Popen([*shell, "-c", script], env=environment, start_new_session=True)
        self.read(self.place / "main.pid")

    def read(self, path: Path) -> str:
        """What is in a file, once something is."""
        until = time.monotonic() + SOON_S
        while not (path.exists() and path.read_text()):
            assert time.monotonic() < until, f"{path} has not come"
            assert self.process.poll() is None, "the main process has ended"
            time.sleep(0.01)
        return path.read_text()

    def end(self) -> int:
        """Tell it to end, as Azure does; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=SOON_S)

    @property
    def children(self) -> list[int]:
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    @property
    def log(self) -> str:
        path = self.hook.with_name("on-stop.log")
        return path.read_text() if path.exists() else ""


def command_of(pid: int) -> bytes:
    """Empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def end_all_of(main: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(main.pid, signal.SIGKILL)
    main.wait()


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


@pytest.fixture(params=SHELLS, ids=lambda shell: Path(shell[0]).name)
def main(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Main]]:
    made: list[Main] = []

    def make(*, hook: str | None = None, **more: float) -> Main:
        made.append(Main(request.param, tmp_path, hook=hook, **more))
        return made[-1]

    yield make
    for one in made:  # what it has started ends with it, as in a container
        end_all_of(one.process)


def test_it_says_who_it_is_in_a_directory_of_the_users_own_and_ends_at_once_without_a_hook(main):
    one = main()
    pid, ticks = one.read(one.place / "main.pid").split()
    fields = Path(f"/proc/{one.process.pid}/stat").read_text().rpartition(") ")[2].split()

    assert (int(pid), ticks) == (one.process.pid, fields[19])
    assert stat.S_IMODE(one.place.stat().st_mode) == 0o700
    assert one.end() == 0
    assert one.log == ""


def test_it_runs_the_hook_in_the_users_home_and_keeps_its_output(main):
    one = main(hook='pwd; echo to stderr >&2; cat; touch "$HOME/saved"')

    assert one.end() == 0
    assert one.log == f"{one.home}\nto stderr\n"
    assert (one.home / "saved").exists()


def test_a_hook_that_fails_ends_it_all_the_same_and_its_code_is_kept(main):
    one = main(hook="echo half; exit 3")

    assert one.end() == 0
    assert one.log == "half\ndevboxgpu: on-stop ended with 3\n"


@pytest.mark.parametrize("stubborn", ["", "trap '' TERM"])
def test_a_hook_that_hangs_is_ended_in_time(main, stubborn):
    one = main(hook=f"{stubborn}\necho begun\nwhile :; do sleep 0.1; done", limit_s=0.3)

    assert one.end() == 0
    assert one.log == f"begun\ndevboxgpu: on-stop ended with {128 + (signal.SIGKILL if stubborn else signal.SIGTERM)}\n"


def test_a_second_sigterm_does_not_cut_the_hook_short(main):
    one = main(hook='echo begun; while [ ! -e "$HOME/go" ]; do sleep 0.05; done; echo done')
    one.process.send_signal(signal.SIGTERM)
    one.read(one.hook.with_name("on-stop.log"))
    one.process.send_signal(signal.SIGTERM)
    (one.home / "go").touch()

    assert one.process.wait(timeout=SOON_S) == 0
    assert one.log == "begun\ndone\n"


@pytest.mark.parametrize(("minutes_ago", "runs"), [(0, False), (1.5, False), (3, True)])
def test_it_does_not_run_what_the_agent_has_just_run(main, minutes_ago, runs):
    one = main(hook="echo again")
    marker = one.place / "hook-ran"
    marker.touch()
    then = time.time() - minutes_ago * 60
    os.utime(marker, (then, then))

    assert one.end() == 0
    assert one.log == ("again\n" if runs else "")


def started(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[19]


def test_it_waits_for_the_agent_that_runs_the_hook_and_does_not_run_it_again(main):
    one = main(hook="echo again")
    agent = subprocess.Popen(["sleep", "600"])
    claim = one.place / "hook-runs"
    claim.symlink_to(f"{agent.pid} {started(agent.pid)}")

    one.process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        one.process.wait(timeout=0.5)
    (one.place / "hook-ran").touch()
    claim.unlink()

    assert one.process.wait(timeout=SOON_S) == 0
    assert one.log == ""
    kill(agent)


@pytest.mark.parametrize("ticks_off_by", [0, 1])
def test_an_agent_that_died_while_it_ran_the_hook_is_not_waited_for(main, ticks_off_by):
    one = main(hook="echo saved")
    agent = subprocess.Popen(["sleep", "600"])
    (one.place / "hook-runs").symlink_to(f"{agent.pid} {int(started(agent.pid)) + ticks_off_by}")
    if not ticks_off_by:  # else its number went to another process
        kill(agent)

    assert one.end() == 0
    assert one.log == "saved\n"
    kill(agent)


def test_while_it_runs_the_hook_it_says_so(main):
    one = main(hook='readlink "$XDG_RUNTIME_DIR/devboxgpu-$(id -u)/hook-runs"')
    named = one.read(one.place / "main.pid")

    assert one.end() == 0
    assert one.log == named


def test_its_end_is_noted_and_an_agent_has_a_moment_to_show_it(main):
    one = main(hook="exit 3", shown_s=599)
    named = one.read(one.place / "main.pid").strip()
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(one.place / "agent.sock"))

        one.process.send_signal(signal.SIGTERM)

        assert one.read(one.place / "hook-ran") == f"{named} 3\n"
        until = time.monotonic() + SOON_S
        while not (waiting := [pid for pid in one.children if command_of(pid) == b"sleep\x00599\x00"]):
            assert time.monotonic() < until, "it does not wait for the agent"
            time.sleep(0.01)
        assert not (one.place / "hook-runs").is_symlink()
        os.kill(waiting[0], signal.SIGTERM)
        assert one.process.wait(timeout=SOON_S) == 0


def test_a_hook_that_may_not_be_executed_is_none(main):
    one = main(hook="echo no")
    one.hook.chmod(0o600)

    assert (one.end(), one.log) == (0, "")


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: Path(shell[0]).name)
def test_it_waits_and_ends_in_order_although_it_can_write_nowhere_and_knows_no_home(shell):
    environment = {"XDG_RUNTIME_DIR": "/proc/nowhere", "PATH": os.environ["PATH"]}
    process = subprocess.Popen([*shell, "-c", MAIN_PROCESS], env=environment, start_new_session=True)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    until = time.monotonic() + SOON_S
    while not children.read_text():
        assert time.monotonic() < until, "it does not wait"
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)

    try:
        assert process.wait(timeout=SOON_S) == 0
    finally:
        end_all_of(process)


def test_the_hook_and_its_last_words_fit_into_what_azure_is_asked_for():
    assert HOOK_LIMIT_S + LAST_WORDS_S + SHOWN_S < GRACE_S
