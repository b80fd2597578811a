"""What a program has printed so far, and prints: for any number of readers, none of whom takes it over.

See docs/agent.md, `log`.
"""

from __future__ import annotations

from typing import Any

from .channels import LARGEST_DATA, Channel, Handler
from .output import Reader
from .program import Program
from .services import Agent, Request, RequestError, flag, text


class LogView(Handler):
    """One reader."""

    def __init__(self, channel: Channel, program: Program, reader: Reader, *, follows: bool) -> None:
        self._channel, self._program, self._reader, self._follows = channel, program, reader, follows

    def writable(self) -> None:
        """Sends what is kept, as far as there is credit; at its end, or with `follow` at the program's, closes."""
        channel = self._channel
        if not channel.is_open:
            return
        while channel.credit:
            piece = self._reader.take(min(LARGEST_DATA, channel.credit))
            if self._reader.skipped:
                channel.message({"skipped": self._reader.skipped})
                self._reader.skipped = 0
            if piece is None:
                break
            channel.send(piece.data, is_error=piece.is_error)
        if channel.credit and (not self._follows or self._is_over()):
            channel.close({"exit": self._program.exit_code, "offset": self._reader.offset})
            self._program.no_reader(self)

    def message(self, message: dict[str, Any]) -> None:
        if isinstance(name := message.get("signal"), str):
            self._program.send_signal(name)

    def closed(self, result: dict[str, Any]) -> None:
        self._program.no_reader(self)

    def _is_over(self) -> bool:
        return self._program.exit_code is not None and self._program.has_sent_all()


def tell_log(channel: Channel, request: Request, agent: Agent) -> Handler:
    """Sends a program's output from an absolute offset; its result says the exit code, and where to go on."""
    id_, offset, follows = text(request, "program"), request.get("offset", 0), flag(request, "follow")
    if type(offset) is not int or offset < 0:
        raise RequestError("InvalidRequest", "'offset' must be a number of bytes")
    program = agent.programs.by_id.get(id_)
    if program is None:
        if (code := agent.programs.told.get(id_)) is None:
            raise RequestError("ProgramUnknown", f"there is no program {id_}")
        channel.close({"exit": code, "offset": offset})
        return Handler()
    if program.kept is None:
        raise RequestError("NothingKept", f"what {id_} prints goes to whoever runs it, and is not kept")
    view = LogView(channel, program, program.kept.reader(offset), follows=follows)
    program.readers.add(view)
    program.loop.soon(view.writable)
    return view
