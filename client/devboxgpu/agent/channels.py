"""Many conversations over one link, each with its own flow control, so that none of them holds up another.

Who may send data on a channel has been given credit for it, in bytes; who has taken data in gives credit back. So
what is under way, and what a link must keep for a lost connection, is bounded by the channels' windows.
"""

from __future__ import annotations

from typing import Any, Callable, Iterator

from .frames import (
    CLOSE,
    CREDIT,
    DATA,
    EOF,
    ERROR_DATA,
    MESSAGE,
    OPEN,
    Frame,
    ProtocolError,
    json_frame,
    number,
)
from .link import Link

WINDOW = 1024 * 1024
"""Bytes that may be under way on one channel in one direction."""
LARGEST_DATA = 64 * 1024
GIVE_BACK_AFTER = WINDOW // 4
MOST_CHANNELS = 512


class Handler:
    """What happens on a channel. Override what matters; nothing is called after `closed`."""

    def data(self, data: bytes, *, is_error: bool) -> None:
        """Data has come. Whoever has dealt with it calls `Channel.consumed`."""

    def eof(self) -> None:
        """The other end sends no more data."""

    def message(self, message: dict[str, Any]) -> None:
        """A message has come; messages need no credit, so they are few and small."""

    def writable(self) -> None:
        """There is credit again after there was none."""

    def closed(self, result: dict[str, Any]) -> None:
        """The other end is done with the channel, or the link is lost: then `result` is {"lost": reason}."""


class Channel:
    """One end of one conversation."""

    def __init__(self, channels: Channels, number_: int) -> None:
        self.number = number_
        self.handler = Handler()
        self.credit = WINDOW
        """How many bytes of data may be sent now."""
        self.is_open = True
        self._channels = channels
        self._to_give_back = 0

    @property
    def unacknowledged(self) -> int:
        """Bytes of the link, of all its channels, that the other end is not known to have.

        Who sends messages again and again leaves some out while these are many.
        """
        return self._channels.link.unacknowledged

    def send(self, data: bytes, *, is_error: bool = False) -> None:
        """Sends data, for which there must be credit."""
        if not self.is_open:
            return
        if len(data) > self.credit:
            raise ValueError(f"{len(data)} bytes with a credit of {self.credit}")
        self.credit -= len(data)
        for start in range(0, len(data), LARGEST_DATA):
            piece = data[start : start + LARGEST_DATA]
            self._send(Frame(self.number, ERROR_DATA if is_error else DATA, piece))

    def consumed(self, count: int) -> None:
        """So many bytes that came have been dealt with: as many more may come."""
        self._to_give_back += count
        if self._to_give_back >= GIVE_BACK_AFTER and self.is_open:
            self._send(Frame(self.number, CREDIT, number(self._to_give_back)))
            self._to_give_back = 0

    def eof(self) -> None:
        self._send(Frame(self.number, EOF))

    def message(self, message: dict[str, Any]) -> None:
        self._send(json_frame(self.number, MESSAGE, message))

    def close(self, result: dict[str, Any] | None = None) -> None:
        """Ends the conversation; a second call does nothing. The other end may not have taken everything in yet."""
        if self.is_open:
            self._send(json_frame(self.number, CLOSE, result or {}))
            self._channels.forget(self)

    def _send(self, frame: Frame) -> None:
        if self.is_open:
            self._channels.link.send(frame)


class Channels:
    """All conversations over one link. `accept` is asked for a handler when the other end opens one."""

    def __init__(self, link: Link, accept: Callable[[Channel, dict[str, Any]], Handler] | None = None) -> None:
        self.link = link
        self._accept = accept
        self._channels: dict[int, Channel] = {}
        self._next = 1

    def open(self, request: dict[str, Any], handler: Callable[[Channel], Handler]) -> Channel:
        """Begins a conversation. Only one end of a link opens channels."""
        channel = Channel(self, self._next)
        self._next += 1
        channel.handler = handler(channel)
        self._channels[channel.number] = channel
        self.link.send(json_frame(channel.number, OPEN, request))
        return channel

    def receive(self, data: bytes) -> None:
        """Bytes of the connection: handlers are called for what they hold. Raises ProtocolError."""
        for frame in self.link.receive(data):
            self._take(frame)

    def lose(self, reason: str) -> None:
        """The link will not come back: every conversation ends."""
        for channel in list(self):
            self.forget(channel)
            channel.handler.closed({"lost": reason})

    def forget(self, channel: Channel) -> None:
        channel.is_open = False
        self._channels.pop(channel.number, None)

    def __iter__(self) -> Iterator[Channel]:
        return iter(list(self._channels.values()))

    def _take(self, frame: Frame) -> None:
        if frame.kind == OPEN:
            self._open(frame)
            return
        channel = self._channels.get(frame.channel)
        if channel is None:
            return  # closed at this end while the frame was under way
        if frame.kind in (DATA, ERROR_DATA):
            channel.handler.data(frame.payload, is_error=frame.kind == ERROR_DATA)
        elif frame.kind == EOF:
            channel.handler.eof()
        elif frame.kind == MESSAGE:
            channel.handler.message(frame.json())
        elif frame.kind == CREDIT:
            had_none = channel.credit == 0
            channel.credit += frame.number()
            if had_none:
                channel.handler.writable()
        else:
            result = frame.json()
            self.forget(channel)
            channel.handler.closed(result)

    def _open(self, frame: Frame) -> None:
        if self._accept is None or frame.channel in self._channels:
            raise ProtocolError(f"channel {frame.channel} cannot be opened")
        channel = Channel(self, frame.channel)
        self._channels[channel.number] = channel
        if len(self._channels) > MOST_CHANNELS:
            message = f"more than {MOST_CHANNELS} conversations at once"
            channel.close({"error": {"code": "TooManyChannels", "message": message}})
            return
        channel.handler = self._accept(channel, frame.json())
