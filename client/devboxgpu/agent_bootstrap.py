"""From a fresh exec process to the agent: the terminal made raw, the agent put there where it is not, and started."""

from __future__ import annotations

import os
import shlex
from typing import Protocol

from devboxgpu.exec_socket import ExecSocket
from devboxgpu.incoming import Incoming, OutputEndedError
from devboxgpu.remote_command import batch
from devboxgpu.wording import printable

MOST_BEFORE_MARK = 64 * 1024

_RECEIVE = (
    "import base64,os,sys; i=sys.stdin.buffer; "
    "d=b''.join(base64.b64decode(i.readline()) for _ in range(int(i.readline()))); "
    "t=sys.argv[1]+'.%d'%os.getpid(); f=open(t,'wb'); f.write(d); f.close(); os.rename(t,sys.argv[1])"
)
_WORD_AND_WHY = '"$w:$y"'
_IS_NEW_ENOUGH = "import sys,termios; sys.exit(sys.version_info < (3,8))"


class NoAgentError(Exception):
    """The agent cannot run in this container; the text says what is missing, or what its Python said."""


class CarriedFile(Protocol):
    """The agent as one file: what is put into the container."""

    @property
    def data(self) -> bytes: ...
    @property
    def name(self) -> str: ...


class _Mark:
    """Printed by the container, and not contained in the line that asks for it."""

    def __init__(self) -> None:
        self._nonce = os.urandom(12).hex()
        self.expected = f"devboxgpu-agent-{self._nonce} ".encode()

    def printed_with(self, words: str) -> str:
        return f"printf '%s%s %s\\n' devboxgpu-agent- {self._nonce} {words}"


def request_line(file_name: str, asked: _Mark, received: _Mark) -> bytes:
    """One line for sh. Words are split and put together again before it is read, so no two blanks stand together."""
    return (
        "set +f; umask 077; w=none; y='there is no python3'; "
        'd="${XDG_RUNTIME_DIR:-${TMPDIR:-/tmp}}/devboxgpu-$(id -u)"; '
        f'a="$d"/{shlex.quote(file_name)}; p=$(command -v python3) && '
        '{ y="$d cannot be used"; mkdir -p "$d"; test -O "$d"; } && test ! -L "$d" && chmod 700 "$d" && '
        "{ y='python3 is older than 3.8 or does not start'; "
        f'test -f "$a" || "$p" -I -S -c {shlex.quote(_IS_NEW_ENOUGH)}; }} && '
        "{ y='there is no stty'; stty raw -echo; } && { w=need; test -f \"$a\" && w=have; }; "
        f"{asked.printed_with(_WORD_AND_WHY)}; "
        f'test $w = need && {{ "$p" -I -S -c {shlex.quote(_RECEIVE)} "$a" && w=have; '
        f"{received.printed_with('$w')}; }}; "
        'test $w = have && exec "$p" -I -S "$a" attach\n'
    ).encode()


async def start_agent(socket: ExecSocket, output: Incoming, file: CarriedFile) -> None:
    """Leaves the socket where the agent reads its hello.

    Raises NoAgentError where this container cannot have it, DroppedError and NotReadyError as the socket does.
    """
    asked, received = _Mark(), _Mark()
    await socket.send_input(request_line(file.name, asked, received))
    try:
        word, _, why = (await _word_after(asked, output)).partition(":")
        if word == "need":
            for line in batch(file.data):
                await socket.send_input(line)
            word = await _word_after(received, output)
            why = "the agent cannot be put there"
    except OutputEndedError as ended:
        raise NoAgentError(printable(str(ended)) or "its shell does not answer") from None
    if word != "have":
        raise NoAgentError(printable(why))


async def _word_after(mark: _Mark, output: Incoming) -> str:
    await output.until(mark.expected, most=MOST_BEFORE_MARK)
    return (await output.until(b"\n", most=MOST_BEFORE_MARK)).decode(errors="replace").strip()
