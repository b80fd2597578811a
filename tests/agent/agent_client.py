"""A small synchronous client of the agent: the other end of `devboxgpu.agent.channels`, over a real front process."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from devboxgpu.agent import handshake
from devboxgpu.agent.channels import LARGEST_DATA, Channel, Channels, Handler
from devboxgpu.agent.handshake import Base64Lines
from devboxgpu.agent.link import Link
from devboxgpu.agent_file import agent_file

PATIENCE_S = 30.0


class RefusedError(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Place:
    """A directory with the agent's file, and what the container looks like to it."""

    def __init__(self, root: Path) -> None:
        self.directory, self.home, self.work = root / "agent", root / "home", root / "work"
        for folder in (self.directory, self.home, self.work):
            folder.mkdir(mode=0o700)
        self.file = self.directory / agent_file().name
        self.file.write_bytes(agent_file().data)
        keep = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        self.environment = {**keep, "HOME": str(self.home), "PS1": "$ ", "SHELL": "/bin/sh"}
        self.fronts: list[subprocess.Popen[bytes]] = []
        self.daemons: set[int] = set()

    def start_front(self, fd: int, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-I", "-S", str(self.file), *(arguments or ("attach",))]
        front = subprocess.Popen(command, stdin=fd, stdout=fd, env=self.environment, cwd=self.work)
        self.fronts.append(front)
        return front

    def log(self) -> str:
        return (self.directory / agent_file().name).with_suffix(".log").read_text()

    def clean_up(self) -> None:
        for pid in self.daemons:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for front in self.fronts:
            front.kill()
            front.wait()
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("HOME") == str(self.home):
                    process.kill()


class Talk(Handler):
    """One conversation as it was heard."""

    def __init__(self, channel: Channel, *, takes: bool = True) -> None:
        self.channel, self.takes = channel, takes
        self.out, self.err = bytearray(), bytearray()
        self.messages: list[dict[str, Any]] = []
        self.result: dict[str, Any] | None = None
        self.is_at_end = False
        self._to_send = memoryview(b"")
        self._then_eof = False

    def send(self, data: bytes, *, eof: bool = False) -> None:
        assert not self._to_send
        self._to_send, self._then_eof = memoryview(data), eof
        self.writable()

    def writable(self) -> None:
        while self._to_send and self.channel.credit:
            count = min(len(self._to_send), self.channel.credit, LARGEST_DATA)
            self.channel.send(bytes(self._to_send[:count]))
            self._to_send = self._to_send[count:]
        if self._then_eof and not self._to_send:
            self._then_eof = False
            self.channel.eof()

    def data(self, data: bytes, *, is_error: bool) -> None:
        (self.err if is_error else self.out).extend(data)
        if self.takes:
            self.channel.consumed(len(data))

    def take_again(self) -> None:
        self.takes = True
        self.channel.consumed(len(self.out) + len(self.err))

    def eof(self) -> None:
        self.is_at_end = True

    def message(self, message: dict[str, Any]) -> None:
        self.messages.append(message)

    def closed(self, result: dict[str, Any]) -> None:
        self.result = result

    def said(self, name: str) -> list[Any]:
        return [message[name] for message in self.messages if name in message]


class Client:
    """One link. With `way` "pty" the front runs on a terminal, as it does under the service's exec."""

    def __init__(
        self,
        place: Place,
        *,
        way: str = "socket",
        input: str = "raw",
        output: str = "raw",
        silence_s: float | None = None,
    ) -> None:
        self.place, self.way, self.input, self.output, self.silence_s = place, way, input, output, silence_s
        self.id = os.urandom(16).hex()
        self.link = Link()
        self.channels = Channels(self.link)
        self.answer: dict[str, Any] = {}
        self.fd = -1
        self._lines = Base64Lines()
        self._ways = [input, output]

    def connect(self) -> Client:
        self._open()
        hello = {"v": 1, "link": self.id, "received": self.link.received, "input": self.input, "output": self.output}
        self.write(handshake.line({**hello, "silence_s": self.silence_s}))
        if self.input == "probe":
            self.write(handshake.ladder(self.id))
        self.answer = self.read_answer()
        self._ways = [self.answer["input"], self.output]
        if self.output == "probe":
            ladder = self._read_until(handshake.end_of_ladder(self.id))
            self._ways[1] = "raw" if ladder == handshake.LADDER else "base64"
            self.write(self._ways[1].encode() + b"\n")
        self.place.daemons.add(self.answer["pid"])
        self._lines = Base64Lines()
        self.link.connect(self.answer["received"])
        return self

    def _open(self) -> None:
        if self.way == "pty":
            self.fd, theirs = pty.openpty()
            tty.setraw(theirs)
        else:
            ours, its = socket.socketpair()
            self.fd, theirs = ours.detach(), its.detach()
        self.front = self.place.start_front(theirs)
        os.close(theirs)

    def read_answer(self) -> dict[str, Any]:
        answer = json.loads(base64.b64decode(self._read_until(b"\n")))
        if "error" in answer:
            raise RefusedError(answer["error"]["code"], answer["error"]["message"])
        return dict(answer)

    def _read_until(self, end: bytes) -> bytes:
        """Byte by byte, so that nothing of what follows is taken."""
        data = b""
        while not data.endswith(end):
            assert select.select([self.fd], [], [], PATIENCE_S)[0], f"the agent says nothing after {data[-200:]!r}"
            byte = os.read(self.fd, 1)
            assert byte, f"the agent hung up after {data[-200:]!r}"
            data += byte
        return data[: -len(end)]

    def write(self, data: bytes) -> None:
        """Reads meanwhile, so that the two ends never wait for each other."""
        os.set_blocking(self.fd, False)
        view = memoryview(data)
        while view:
            readable, writable, _ = select.select([self.fd] if self.link_is_up else [], [self.fd], [], PATIENCE_S)
            if readable:
                self._receive()
            if writable:
                try:
                    view = view[os.write(self.fd, view[:65536]) :]
                except BlockingIOError:
                    continue
        os.set_blocking(self.fd, True)

    @property
    def link_is_up(self) -> bool:
        return self.link._connected

    def drop(self) -> None:
        os.close(self.fd)
        self.link.disconnect()
        self.front.wait(PATIENCE_S)

    def open(self, request: dict[str, Any], *, takes: bool = True) -> Talk:
        talks: list[Talk] = []

        def handler(channel: Channel) -> Talk:
            talks.append(Talk(channel, takes=takes))
            return talks[0]

        self.channels.open(request, handler)
        return talks[0]

    def ask(self, request: dict[str, Any]) -> Talk:
        """To the end of it."""
        talk = self.open(request)
        self.until(lambda: talk.result is not None)
        return talk

    def start(self, *argv: str, program: str = "p", **request: Any) -> Talk:
        return self.open({"what": "program", "program": program, "argv": list(argv) or None, **request})

    def run(self, *argv: str, data: bytes = b"", program: str = "p", **request: Any) -> Talk:
        talk = self.start(*argv, program=program, **request)
        talk.send(data, eof=True)
        self.until(lambda: talk.result is not None)
        return talk

    def until(self, condition: Callable[[], bool], what: str = "") -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            self.step(0.2)
            assert time.monotonic() < deadline, f"waited in vain {what}; log: {self.place.log()}"

    def for_a_while(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.step(0.05)

    def step(self, wait_s: float = 0.0) -> None:
        self.link.acknowledge()
        data = self.link.to_send()
        if data:
            self.write(data if self._ways[0] == "raw" else Base64Lines.encoded(data))
        if select.select([self.fd], [], [], wait_s)[0]:
            self._receive()

    def _receive(self) -> None:
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        assert data, f"the agent hung up; log: {self.place.log()}"
        for piece in (data,) if self._ways[1] == "raw" else self._lines.decoded(data):
            self.channels.receive(piece)
