"""Serves a copy of a recorded app with this project's host, as a person would: by its command line."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[2]
_LISTENING = re.compile(r"listening on (http://\S+)")
_STOP_S = 20.0
_LAST_LINES = 5


class HostFailed(RuntimeError):
    """The host did not come up; the text holds the end of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedApp:
    """An app that is being served; `keys_file` where keys are checked."""

    base_url: str
    keys_file: Path | None
    log: Path


@contextmanager
def serve(app: Path, *, work: Path, with_keys: bool = False) -> Iterator[ServedApp]:
    """Serve a copy of the folder `app` made in `work`, until the block ends; raises HostFailed."""
    root = work / "app"
    shutil.copytree(app, root)
    sample = root / "local.settings.sample.json"
    if sample.is_file():
        sample.rename(root / "local.settings.json")
    keys_file = work / "keys.json" if with_keys else None
    command = [sys.executable, "-m", "localcloud.functions_host", str(root), "--port", "0"]
    command += ["--state", str(work / "state"), *(["--keys", str(keys_file)] if keys_file else [])]
    log = work / "host.log"
    environ = {**os.environ, "CONFORMANCE_DIR": str(work / "recordings")}
    with (
        log.open("wb") as errors,
        subprocess.Popen(command, cwd=_REPOSITORY, env=environ, stdout=subprocess.PIPE, stderr=errors) as host,
    ):
        try:
            yield ServedApp(base_url=_base_url(host, log), keys_file=keys_file, log=log)
        finally:
            _end(host)


def _base_url(host: subprocess.Popen[bytes], log: Path) -> str:
    assert host.stdout is not None, "it was asked for"
    for line in host.stdout:
        if found := _LISTENING.search(line.decode(errors="replace")):
            return found[1]
    last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
    raise HostFailed(f"the host ended with {host.wait()} before it listened; its log ends:\n" + "\n".join(last))


def _end(host: subprocess.Popen[bytes]) -> None:
    if host.poll() is None:
        host.send_signal(signal.SIGTERM)
        try:
            host.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            host.kill()
