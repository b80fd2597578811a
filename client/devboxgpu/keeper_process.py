"""A keeper as a process of its own, which outlives the terminal, and the command that started it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time

from devboxgpu.detached_store import DetachedShell, DetachedStore
from devboxgpu.errors import DevBoxGpuError
from devboxgpu.wording import printable

PATIENCE_S = 25.0
LOOK_EVERY_S = 0.05
MOST_SHOWN = 300
if sys.platform == "win32":
    APART = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
else:
    APART = 0


class NotKeptError(DevBoxGpuError):
    """No keeper holds the shell's lease, so it must not be left alone."""


async def have_kept(store: DetachedStore, record: DetachedShell) -> None:
    """Returns once a keeper of the shell holds its lease, or has seen its end. Raises NotKeptError where none does."""
    if store.lock(record.shell).is_held():
        return
    asked_at = time.time()
    process = await asyncio.to_thread(_start, store, record)
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        now = store.get(record.shell)
        if now is not None and (now.is_over or (now.kept_since or 0.0) >= asked_at):
            return
        if process.poll() is not None and store.get(record.shell) == now:
            raise NotKeptError(f"it cannot be kept in the background: {_last_words(store, record.shell)}")
        if time.monotonic() > give_up_at:
            process.kill()
            raise NotKeptError(f"it cannot be kept in the background: no lease within {PATIENCE_S:.0f} s")
        await asyncio.sleep(LOOK_EVERY_S)


def _start(store: DetachedStore, record: DetachedShell) -> subprocess.Popen[bytes]:
    where = ["--endpoint", record.endpoint, "--project", record.project]
    command = [sys.executable, "-m", "devboxgpu", "keep", record.shell, *where]
    environment = dict(os.environ)
    if state := environment.get("DEVBOXGPU_STATE"):
        environment["DEVBOXGPU_STATE"] = os.path.abspath(state)  # it is read in another folder
    with open(os.open(store.keeper_log(record.shell), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=store.folder,
            env=environment,
            creationflags=APART,
            start_new_session=sys.platform != "win32",
        )


def _last_words(store: DetachedStore, shell: str) -> str:
    try:
        said = store.keeper_log(shell).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        said = ""
    return printable(said[-MOST_SHOWN:].rpartition("\n")[2]) or "its keeper ended without a word"
