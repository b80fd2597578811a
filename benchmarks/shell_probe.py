"""The command on a terminal of its own, and the bare exec socket beside it, typed at and timed from outside."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote_plus

from websockets.sync.client import ClientConnection, connect

from localcloud.stack import LocalCloud

ROOT = Path(__file__).resolve().parent.parent
COMMAND = Path(sys.executable).parent / "devboxgpu"
API_VERSION = "2026-12-01-preview"
USER, PROJECT = "alice", "demo"
PATIENCE_S = 120.0
RAW = "sh -c stty${IFS}raw${IFS}-echo;exec${IFS}"
READ_SIZE = 1 << 20
COUNTS = """
import os
size = len(os.read(0, 1))
os.write(1, b"F")
while data := os.read(0, 1 << 20):
    size += len(data)
os.write(1, b" %d" % size)
"""
"""Says when the first byte has come, and how many there were."""


class CommandLine:
    """Somebody's command line, pointing at a local cloud."""

    def __init__(self, cloud: LocalCloud, folder: Path) -> None:
        self.cloud, self.folder = cloud, folder
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "DEVBOXGPU_ENDPOINT": cloud.endpoints["api"],
            "DEVBOXGPU_PROJECT": PROJECT,
            "DEVBOXGPU_LOCAL_IDENTITY": cloud.endpoints["identity"],
            "DEVBOXGPU_LOCAL_USER": USER,
        }

    def call(self, method: str, path: str, body: Any = None, *, user: str = USER) -> Any:
        """Call the API; the answer."""
        url = f"{self.cloud.endpoints['api']}/projects/{PROJECT}/{path}?api-version={API_VERSION}"
        headers = {"Authorization": f"Bearer {self.cloud.token(user)}", "If-Match": "*"}
        data = None if body is None else json.dumps(body).encode()
        headers["Content-Type"] = "application/merge-patch+json" if method == "PATCH" else "application/json"
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method)) as answer:
            return json.load(answer)

    def allow(self, sessions: int) -> None:
        """Let the user have so many sessions at once."""
        caps = {
            "serverlessGpuSessionsSettings": {"maxConcurrentSessionsPerProject": sessions},
            "maxConcurrentSessionsPerUser": sessions,
            "gpuTypes": [{"type": "T4", "maxConcurrent": sessions}],
        }
        self.call("PATCH", "gpuSettings", caps, user="olga")

    def fault(self, name: str, value: object) -> None:
        request = urllib.request.Request(
            f"{self.cloud.endpoints['arm']}/_faults", json.dumps({name: value}).encode(), method="PUT"
        )
        urllib.request.urlopen(request).close()

    def received(self, megabytes: int) -> float:
        """MB/s of output, from the first byte at our end to the last."""
        source = self.folder / "random"
        source.write_bytes(os.urandom(megabytes << 20))
        with self._piped("run", "--", "cat", str(source)) as run:
            assert run.stdout is not None
            size = len(os.read(run.stdout.fileno(), READ_SIZE))
            begun = time.perf_counter()
            while data := os.read(run.stdout.fileno(), READ_SIZE):
                size += len(data)
            seconds = time.perf_counter() - begun
        if size != megabytes << 20:
            raise RuntimeError(f"{size} bytes came of {megabytes} MiB")
        return size / seconds / 1e6

    def sent(self, data: bytes, megabytes: int) -> float:
        """MB/s of input, from the first byte at the container's end to the last."""
        with self._piped("run", "--", "python3", "-c", COUNTS) as run:
            assert run.stdin is not None
            assert run.stdout is not None
            run.stdin.write(data[:1])
            run.stdin.flush()
            run.stdout.read(1)
            begun = time.perf_counter()
            for _ in range(megabytes):
                run.stdin.write(data)
            run.stdin.close()
            size = int(run.stdout.read())
            seconds = time.perf_counter() - begun
        if size != megabytes * len(data) + 1:
            raise RuntimeError(f"{size} bytes arrived of {megabytes} times {len(data)}")
        return size / seconds / 1e6

    def _piped(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [str(COMMAND), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self.environment,
            cwd=ROOT,
        )


class Typist:
    """The command at a terminal, and somebody who types. Ends its shell on leaving."""

    def __init__(self, line: CommandLine, *words: str) -> None:
        self._line = line
        master, slave = pty.openpty()
        self._master = master
        self.process = subprocess.Popen(
            [str(COMMAND), *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=line.environment,
            cwd=ROOT,
            start_new_session=True,
        )
        os.close(slave)
        self._seen = b""
        self.session = ""
        self.shell = ""

    def attached(self) -> None:
        """Wait until the session runs and the program in it takes keys."""
        self.session = self._until(rb"session ([a-z2-7]{26})").decode()
        shells = self._line.call("GET", "users/me/shells")["value"]
        self.shell = next(shell["id"] for shell in shells if shell.get("session") == self.session)
        self._until(rb"(~\?)")
        time.sleep(1.0)
        self._drain()

    def echo(self, key: bytes) -> float:
        """Type; the seconds until it is on the screen."""
        begun = time.perf_counter()
        os.write(self._master, key)
        self._seen = b""
        while key not in self._seen:
            self._read()
        return time.perf_counter() - begun

    def __enter__(self) -> Self:
        self.attached()
        return self

    def __exit__(self, *_: object) -> None:
        os.write(self._master, b"\x15\x04")
        while self.process.poll() is None:
            self._drain()
        os.close(self._master)

    def _until(self, pattern: bytes) -> bytes:
        while (found := re.search(pattern, self._seen)) is None:
            self._read()
        return found.group(1)

    def _read(self) -> None:
        if not select.select([self._master], [], [], PATIENCE_S)[0]:
            raise TimeoutError(f"nothing more came after {self._seen[-200:]!r}")
        self._seen += os.read(self._master, READ_SIZE)

    def _drain(self) -> None:
        while select.select([self._master], [], [], 0.05)[0]:
            try:
                if not os.read(self._master, READ_SIZE):
                    return
            except OSError:
                return


class BareSocket:
    """The exec socket itself, with a raw terminal: what the service gives without anything of ours."""

    def __init__(self, line: CommandLine, session: str, program: str) -> None:
        self._closing = ExitStack()
        self._socket = self._closing.enter_context(_opened(line, session, RAW + program))
        time.sleep(0.5)

    def echo(self, key: bytes) -> float:
        begun = time.perf_counter()
        self._socket.send("\0\0" + key.decode())
        while key not in self._socket.recv(decode=False)[2:]:
            pass
        return time.perf_counter() - begun

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._closing.close()

    @staticmethod
    def received(line: CommandLine, session: str, megabytes: int) -> float:
        """MB/s of a file's bytes over the socket alone, from the first frame to the last."""
        source = line.folder / "random"
        with _opened(line, session, f"{RAW}cat${{IFS}}{source}") as socket:
            size, begun = 0, 0.0
            while size < megabytes << 20:
                frame = socket.recv(decode=False)
                if frame[:2] == b"\0\1":
                    begun = begun or time.perf_counter()
                    size += len(frame) - 2
            return size / (time.perf_counter() - begun) / 1e6


@contextmanager
def _opened(line: CommandLine, session: str, command: str) -> Iterator[ClientConnection]:
    shells = line.call("GET", "users/me/shells")["value"]
    shell = next(shell["id"] for shell in shells if shell.get("session") == session)
    access = line.call("POST", f"users/me/shells/{shell}/connect", {})
    with connect(
        f"{access['execUrl']}?command={quote_plus(command)}",
        additional_headers={"Authorization": f"Bearer {access['token']}"},
        compression=None,
        max_size=None,
        proxy=None,
    ) as socket:
        yield socket
