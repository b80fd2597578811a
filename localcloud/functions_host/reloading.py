"""`--reload`: keeps a host in a child process, and starts it anew whenever a file of the app has changed.

A new process is the one way that is sure to forget everything of the old code. The old one stops in good order; what it
had not finished, the journal and the timers' status hand on to the new one.
"""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from localcloud.functions_host.web_server import bind

_LOOK_S = 0.5
_SETTLE_S = 0.2  # an editor may write a file in two steps
_STOP_S = 15.0  # the host itself takes 10 s at most
_WATCHED_SUFFIX = ".py"
_WATCHED_NAMES = frozenset({"host.json", "local.settings.json"})
_NOT_ENTERED = frozenset({"node_modules", "__pycache__", "site-packages"})
_log = logging.getLogger("host.reload")

Snapshot = dict[str, tuple[int, int]]
"""Each watched file, relative to the app's folder, with its time of change and its size."""


class _Stopped(Exception):
    """Someone asked this process to end."""


def serve_with_reload(root: Path, arguments: Sequence[str], *, host: str, port: int) -> int:
    """Serve the app until SIGTERM or Ctrl-C; `arguments` are one host's, but for its port.

    Returns the exit code: 0, or that of a host that ended by itself, since one that is served stays up whatever the
    app does. Raises PortTaken.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    # The port is taken once, so that it stays the same where any free one was asked for.
    with bind(host, port) as taken:
        number = taken.getsockname()[1]
    # -B: Python takes what it compiled for the source of today where second and size are the same.
    command = [sys.executable, "-B", "-m", "localcloud.functions_host", str(root), *arguments, "--port", str(number)]
    try:
        while True:
            seen = snapshot(root)
            with subprocess.Popen(command) as child:
                try:
                    changed = _until_change(child, root, seen)
                finally:
                    code = _ended(child)
            if not changed:
                return code
            _log.info("%s changed: the app is loaded anew", ", ".join(sorted(changed)))
    except _Stopped:
        return 0


def snapshot(root: Path) -> Snapshot:
    """The files of an app whose change matters; hidden folders and installed packages are left out."""
    return dict(_watched(root))


def _watched(root: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _NOT_ENTERED]
        for name in files:
            path = Path(folder, name)
            if (path.suffix == _WATCHED_SUFFIX or name in _WATCHED_NAMES) and path.is_file():
                found = path.stat()
                yield str(path.relative_to(root)), (found.st_mtime_ns, found.st_size)


def _until_change(child: subprocess.Popen[bytes], root: Path, seen: Snapshot) -> set[str]:
    """Wait for files to change, and return them; or for the child to end by itself, and return none."""
    while not _ends_within(child, _LOOK_S):
        now = snapshot(root)
        if now != seen and not _ends_within(child, _SETTLE_S):
            return {name for name in seen.keys() | now.keys() if seen.get(name) != now.get(name)}
    return set()


def _ends_within(child: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _ended(child: subprocess.Popen[bytes]) -> int:
    """Have the child stop in good order; one that does not is killed."""
    child.terminate()
    if not _ends_within(child, _STOP_S):
        _log.warning("the old host did not end within %.0f s; it is killed", _STOP_S)
        child.kill()
    return child.wait()


def _stop(_number: int, _frame: object) -> None:
    raise _Stopped
