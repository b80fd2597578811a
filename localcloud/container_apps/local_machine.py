"""Runs replicas as process trees of this machine, each in a directory of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Container, Iterable, Mapping
from pathlib import Path

from localcloud.container_apps.child_process import as_shell_code, start_child, watch_exit
from localcloud.container_apps.ports import ContainerPlan, ProcessMark
from localcloud.container_apps.process_table import ProcessTable, owned_processes, started_ticks
from localcloud.container_apps.simulated_gpu import install_nvidia_smi
from localcloud.container_apps.terminal import LocalTerminal

_POLL_S = 0.01
_KILLED_WITHIN_S = 1.0
_NAME_FILE = "replica"
_NO_PYTHON = "#!/bin/sh\necho 'python3: not found' >&2\nexit 127\n"


class LocalMachine:
    """The real thing behind the Machine port. Needs Linux: it finds processes through /proc and waits by descriptor."""

    def __init__(self) -> None:
        if not sys.platform.startswith("linux"):
            raise RuntimeError("The local cloud's containers need Linux (/proc and pidfd); on Windows use WSL.")
        self._table = ProcessTable()
        self._exits: dict[ProcessMark, asyncio.Future[int | None]] = {}

    def start_container(self, plan: ContainerPlan) -> ProcessMark:
        _furnish(plan)
        with (plan.directory / "console.log").open("ab") as console:
            child = start_child(
                plan.command,
                directory=plan.directory / "home",
                environment=plan.environment,
                stdin=subprocess.DEVNULL,
                output=console.fileno(),
            )
        mark = ProcessMark(pid=child.pid, started_ticks=started_ticks(child.pid) or 0)
        exited: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._exits[mark] = exited
        watch_exit(child.pid, lambda: exited.set_result(as_shell_code(child.wait())))
        return mark

    def is_alive(self, mark: ProcessMark) -> bool:
        return mark.started_ticks != 0 and started_ticks(mark.pid) == mark.started_ticks

    async def wait(self, mark: ProcessMark) -> int | None:
        if mark not in self._exits:
            self._exits[mark] = self._adopt(mark)
        try:
            return await asyncio.shield(self._exits[mark])
        finally:
            if mark in self._exits and self._exits[mark].done():
                del self._exits[mark]

    def _adopt(self, mark: ProcessMark) -> asyncio.Future[int | None]:
        exited: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        try:
            watch_exit(mark.pid, lambda: exited.set_result(None))
        except ProcessLookupError:
            exited.set_result(None)
            return exited
        # The descriptor was opened by number: only now can it be told whether it is still the process that we mean.
        if not self.is_alive(mark) and not exited.done():
            return _already_over()
        return exited

    async def processes(self) -> Mapping[str, tuple[int, ...]]:
        return await self._table.fresh()

    async def end(self, replica: str, directory: Path, *, main: ProcessMark | None = None, grace_s: float) -> None:
        if main is not None and grace_s and self.is_alive(main):
            _signal([main.pid], signal.SIGTERM)
            await _until_gone([main.pid], within_s=grace_s)
        while pids := (await self._table.fresh()).get(replica, ()):
            _signal(pids, signal.SIGKILL)
            await _until_gone(pids, within_s=_KILLED_WITHIN_S)
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)

    async def clear(self, directory: Path) -> None:
        name = directory / _NAME_FILE
        await self.end(name.read_text(encoding="utf-8") if name.exists() else "", directory, grace_s=0)

    def open_terminal(self, plan: ContainerPlan) -> LocalTerminal:
        return LocalTerminal(plan)


def end_replicas(root: Path) -> int:
    """End every process of every replica below `root` and remove the directories: for use when the cloud is dead.

    Returns how many processes were ended. Blocks until none is left.
    """
    names = {path.read_text(encoding="utf-8"): path.parent for path in root.glob(f"*/{_NAME_FILE}")}
    ended: set[ProcessMark] = set()
    living = _owned_by(names, {})
    while living:
        _signal((mark.pid for mark in living), signal.SIGKILL)
        ended.update(living)
        living = _owned_by(names, living)
    for directory in names.values():
        shutil.rmtree(directory, ignore_errors=True)
    return len(ended)


def _owned_by(replicas: Container[str], known: Mapping[ProcessMark, str]) -> dict[ProcessMark, str]:
    return {mark: replica for mark, replica in owned_processes(known).items() if replica in replicas}


def _furnish(plan: ContainerPlan) -> None:
    for name in ("bin", "home", "tmp"):
        (plan.directory / name).mkdir(parents=True, exist_ok=True)
    (plan.directory / _NAME_FILE).write_text(plan.replica, encoding="utf-8")
    python = plan.directory / "bin" / "python3"
    python.unlink(missing_ok=True)
    if plan.has_python:
        python.symlink_to(Path(sys.executable).resolve())
    else:
        python.write_text(_NO_PYTHON, encoding="utf-8")
        python.chmod(0o755)
    if plan.gpu is not None:
        install_nvidia_smi(plan.gpu, plan.directory)


def _already_over() -> asyncio.Future[int | None]:
    over: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
    over.set_result(None)
    return over


def _signal(pids: Iterable[int], *signals: signal.Signals) -> None:
    for pid in pids:
        for number in signals:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)


async def _until_gone(pids: Iterable[int], *, within_s: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    # Nothing tells of the end of other people's children, except a descriptor for each: looking is cheaper.
    while any(started_ticks(pid) is not None for pid in pids) and loop.time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(_POLL_S)
