"""The words run inside the container, for a service that takes one command string and always gives a terminal.

How the service splits that string is not documented, so it never contains a quote, and blanks only between the three
words `sh -c PROGRAM`: `${IFS}` stands for blanks within the program. Everything that needs quotes is sent afterwards,
as input: one line that makes the terminal clean and says READY, then a script in base64.

Without a terminal at our end, input is sent as batches: a line with the number of lines that follow, those lines in
base64, and at the end a dot. A terminal in canonical mode gives each reader at most one line, so `head -n` takes just
its batch, bytes of any value survive, and the command sees a real end of its input. Output is not translated.
"""

from __future__ import annotations

import base64
import os
import shlex
from collections.abc import Sequence

REMOTE_TERM = "xterm-256color"
"""Known to every image; the local terminal's own name often is not."""

LOGIN_SHELL = (
    f"sh -c export${{IFS}}TERM={REMOTE_TERM};command${{IFS}}-v${{IFS}}bash>/dev/null&&exec${{IFS}}bash;exec${{IFS}}sh"
)
READ_ONE_LINE = "sh -c set${IFS}-f;read${IFS}-r${IFS}s;eval${IFS}$s"
SCRIPT_SHELL = ("sh", "-c", "command -v bash >/dev/null && exec bash; exec sh")
"""Reads its script from standard input: what `devboxgpu shell` runs when it is fed from a pipe."""

CATCHING = "trap : INT QUIT"
IGNORING = "trap '' INT QUIT"

BYTES_A_LINE = 1533
"""2044 characters in base64 and a line end: one input frame, and well below the terminal's 4095 a line."""
END_OF_INPUT = b".\n"
INTERRUPT = b"\x03"


class ReadyMark:
    """What the container prints when its terminal is clean. The line that asks for it does not contain it."""

    def __init__(self) -> None:
        self._nonce = os.urandom(12).hex()
        self.expected = f"devboxgpu-ready-{self._nonce}".encode()

    def request(self) -> bytes:
        return (
            "set +f; before=$(stty -g) && stty -echo -opost -ixon -ixoff noflsh icanon isig "
            f"|| exit 125; printf %s%s devboxgpu-ready- {self._nonce}; "
            'read -r n; eval "$(head -n $n | base64 -d)"\n'
        ).encode()


def batch(data: bytes) -> list[bytes]:
    """Lines that carry the data: how many follow, then those."""
    pieces = [data[start : start + BYTES_A_LINE] for start in range(0, len(data), BYTES_A_LINE)]
    return [b"%d\n" % len(pieces), *(base64.b64encode(piece) + b"\n" for piece in pieces)]


def terminal_script(arguments: Sequence[str]) -> bytes:
    """Runs a program on the terminal itself."""
    return f'stty "$before"; TERM={REMOTE_TERM}; export TERM; exec {shlex.join(arguments)}'.encode()


def piped_script(arguments: Sequence[str], *, output_is_terminal: bool) -> bytes:
    """Runs a program with the batches as its standard input; its exit status becomes the script's.

    Errors go where output goes. Where our output is a file or a pipe, the program's is a pipe too, so that it is not
    coloured. Ctrl-C ends the program only: the shells around it catch it, each for itself because a
    subshell forgets what was caught (and so does the program, as it must); what carries bytes ignores it.
    """
    program = f"(exec 3<&- 4>&- 2>&1; exec {shlex.join(arguments)})"
    if output_is_terminal:
        run = f"{program} >&5 5>&-; status=$?"
    else:
        ending = f"{{ {CATCHING}; {program} 5>&-; echo $? >&4; }}"
        run = f"status=$({CATCHING}; {{ {ending} | ({IGNORING}; exec cat) >&5; }} 4>&1)"
    return (
        "exec 3<&0 5>&1 2>/dev/null\n"
        f"{CATCHING}\n"
        "feed() {\n"
        f"  {IGNORING}\n"
        "  while read -r n; do\n"
        "    case $n in ''|*[!0-9]*) return;; esac\n"
        '    head -n "$n" | base64 -d || return\n'
        "  done\n"
        "}\n"
        "{ (exec sh -c 'echo $PPID'); feed; } <&3 3<&- 5>&- | {\n"
        f"  {CATCHING}; read -r feeder\n"
        f"  {run}\n"
        '  kill -KILL "$feeder"\n'
        '  exit "$status"\n'
        "}\n"
        "exit $?"
    ).encode()
