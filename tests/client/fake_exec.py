"""An exec endpoint as Azure Container Apps speaks it, over a real pseudo-terminal, with switches for its faults."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import select
import shlex
import signal
import struct
import subprocess
import tempfile
import termios
import threading
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response


class FakeExec:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.temporary = Path()
        """The container's TMPDIR: short, because a socket's address must be."""
        self.tokens: set[str] = set()
        self.path = os.defpath
        self.read_size = 65536
        self.refuse_handshakes: list[int] = []
        self.not_ready_frames = 0
        self.commands: list[str] = []
        self.sizes: list[tuple[int, int]] = []
        self.largest_frame = 0
        self.binary_frames: list[bytes] = []
        self.text_frames: list[str] = []
        self.largest_binary: int | None = None
        """Bytes of payload in a binary frame above which the connection is cut."""
        self.damage_binary = False
        self.open: dict[ServerConnection, subprocess.Popen[bytes]] = {}
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self.port = 0

    def use_as_sh(self, kind: str) -> None:
        """Makes `sh` in the container another shell than the system's own."""
        tools = self.home / f"sh-is-{kind}"
        tools.mkdir()
        (tools / "sh").symlink_to(f"/usr/bin/{kind}")
        self.path = f"{tools}:{self.path}"

    def use_no_python(self) -> None:
        """Makes the container one where the agent cannot run."""
        tools = self.home / "no-python"
        tools.mkdir()
        for tool in Path("/usr/bin").iterdir():
            if not tool.name.startswith("python"):
                (tools / tool.name).symlink_to(tool)
        self.path = str(tools)

    @contextlib.contextmanager
    def running(self) -> Iterator[FakeExec]:
        with tempfile.TemporaryDirectory(prefix="dbg-", ignore_cleanup_errors=True) as temporary:
            self.temporary = Path(temporary)
            with self._running():
                yield self

    @contextlib.contextmanager
    def _running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        assert self._started.wait(10)
        try:
            yield
        finally:
            self.kill_processes()
            self.kill_agents()
            self._kill_what_is_left()
            self.drop()  # who has not said goodbye is not waited for
            self._loop.call_soon_threadsafe(self._done.set)
            thread.join(10)

    def drop(self) -> None:
        """Cuts every connection without a close frame, as a failing proxy does."""
        for connection in list(self.open):
            self._loop.call_soon_threadsafe(connection.transport.abort)

    def kill_processes(self) -> None:
        for process in list(self.open.values()):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def agents(self) -> list[int]:
        """Process ids of the agents of this container: they outlive what exec has started."""
        found = []
        for process in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if process.name.isdigit() and f"{self.temporary}/devboxgpu-" in (process / "cmdline").read_text():
                    found.append(int(process.name))
        return found

    def kill_agents(self) -> None:
        for agent in self.agents():
            with contextlib.suppress(ProcessLookupError):
                os.kill(agent, signal.SIGKILL)

    def _kill_what_is_left(self) -> None:
        """Programs outlive their agent as long as they like; a container would end with all of them."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("TMPDIR") == str(self.temporary):
                    process.kill()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._done = asyncio.Event()
        async with serve(self._handle, "127.0.0.1", 0, process_request=self._admit, max_size=None) as server:
            self.port = _port(server)
            self._started.set()
            await self._done.wait()

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        if self.refuse_handshakes:
            return connection.respond(HTTPStatus(self.refuse_handshakes.pop(0)), "refused\n")
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            return connection.respond(HTTPStatus.UNAUTHORIZED, "bad token\n")
        return None

    async def _handle(self, connection: ServerConnection) -> None:
        await connection.send(b"\x01Connecting to the container 'shell'...")
        if self.not_ready_frames:
            self.not_ready_frames -= 1
            error = {"Error": {"Code": "ClusterExecEndpointWebSocketConnectionError", "Message": "status code '500'"}}
            await connection.send(b"\x02" + json.dumps(error).encode())
            return
        command = parse_qs(urlsplit(connection.request.path).query)["command"][0]
        self.commands.append(command)
        process, master = self._spawn(command)
        self.open[connection] = process
        reading = asyncio.ensure_future(self._read(connection, process, master))
        try:
            await self._write(connection, master)
        except ConnectionClosed:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGHUP)
            await asyncio.wait({reading}, timeout=5)
            self.open.pop(connection, None)
            os.close(master)

    def _spawn(self, command: str) -> tuple[subprocess.Popen[bytes], int]:
        master, slave = pty.openpty()

        def become_session_leader() -> None:
            os.setsid()
            for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
                signal.signal(ignored, signal.SIG_DFL)  # a background test run ignores them, and so would its children
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        places = {"PATH": self.path, "HOME": str(self.home), "TMPDIR": str(self.temporary)}
        process = subprocess.Popen(
            shlex.split(command),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=self.home,
            env={**places, "LANG": "C.UTF-8"},
            preexec_fn=become_session_leader,
        )
        os.close(slave)
        os.set_blocking(master, False)  # a write for which there is too little room must not outlast the process
        return process, master

    async def _read(self, connection: ServerConnection, process: subprocess.Popen[bytes], master: int) -> None:
        with contextlib.suppress(ConnectionClosed):
            while data := await asyncio.to_thread(_read_or_end, master, self.read_size):
                await connection.send(b"\x00\x01" + data)
            code = await asyncio.to_thread(process.wait)
            code = 128 - code if code < 0 else code
            if code:
                message = f"command terminated with non-zero exit code: error executing command, exit code {code}. "
                error = {"Error": {"Code": "ClusterExecFailure", "Message": message, "Details": None}}
                await connection.send(b"\x02" + json.dumps(error).encode())
            await connection.close(1000)

    async def _write(self, connection: ServerConnection, master: int) -> None:
        async for message in connection:
            data = self._take(connection, message)
            self.largest_frame = max(self.largest_frame, len(data) - 2)
            if data[:2] == b"\x00\x00":
                await asyncio.to_thread(_write_all, master, data[2:], self.open[connection])
            elif data[:2] == b"\x00\x04":
                size = json.loads(data[2:])
                self.sizes.append((size["Width"], size["Height"]))
                fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", size["Height"], size["Width"], 0, 0))

    def _take(self, connection: ServerConnection, message: str | bytes) -> bytes:
        if isinstance(message, str):
            self.text_frames.append(message)
            return message.encode()
        self.binary_frames.append(message)
        if self.largest_binary is not None and len(message) - 2 > self.largest_binary:
            connection.transport.abort()
            return b""
        return message[:2] + message[2:].decode(errors="replace").encode() if self.damage_binary else message


def _port(server: Server) -> int:
    return int(next(iter(server.sockets)).getsockname()[1])


def _read_or_end(descriptor: int, size: int) -> bytes:
    while True:
        try:
            select.select([descriptor], [], [])
            return os.read(descriptor, size)
        except BlockingIOError:
            continue
        except (OSError, ValueError):
            return b""


def _write_all(descriptor: int, data: bytes, process: subprocess.Popen[bytes]) -> None:
    """Gives up when the process has ended: nobody makes room in its terminal any more."""
    with contextlib.suppress(OSError):
        while data and process.poll() is None:
            if select.select([], [descriptor], [], 0.05)[1]:
                with contextlib.suppress(BlockingIOError):
                    data = data[os.write(descriptor, data) :]
