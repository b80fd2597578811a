"""A conversation over a link, both ends in this process: nothing lost, nothing held for ever, every end told."""

from __future__ import annotations

import asyncio
import os

import pytest
from in_loop import in_loop

from devboxgpu.agent.channels import WINDOW, Channel, Channels, Handler
from devboxgpu.agent.link import Link
from devboxgpu.errors import ConnectionLostError
from devboxgpu.streams import ChannelStream


class Echo(Handler):
    """Sends back what comes while it may, and keeps count of what it holds."""

    def __init__(self, channel: Channel) -> None:
        self.channel, self.held, self.most_held = channel, b"", 0
        self.messages: list[dict[str, object]] = []
        self.at_eof = False

    def data(self, data: bytes, *, is_error: bool) -> None:
        self.held += data
        self.most_held = max(self.most_held, len(self.held))
        self.writable()

    def writable(self) -> None:
        sent, self.held = self.held[: self.channel.credit], self.held[self.channel.credit :]
        self.channel.send(sent)
        self.channel.consumed(len(sent))
        if self.at_eof and not self.held:
            self.channel.close({"exit": 3})

    def eof(self) -> None:
        self.at_eof = True
        self.writable()

    def message(self, message: dict[str, object]) -> None:
        self.channel.message({"heard": message})


class TwoEnds:
    def __init__(self) -> None:
        self.handlers: list[Echo] = []
        self.here, self.there = Channels(Link()), Channels(Link(), self._accept)
        for channels in (self.here, self.there):
            channels.link.connect(0)

    def open(self) -> ChannelStream:
        return ChannelStream(self.here, {}, self.carry)

    def _accept(self, channel: Channel, request: dict[str, object]) -> Handler:
        self.handlers.append(Echo(channel))
        return self.handlers[-1]

    def carry(self) -> None:
        while out := self.here.link.to_send():
            self.there.receive(out)
            self.here.receive(self.there.link.to_send())


async def read_all(stream: ChannelStream) -> bytes:
    parts = []
    while piece := await stream.read():
        parts.append(piece[0])
    return b"".join(parts)


@in_loop
async def test_much_more_than_the_window_comes_back_unchanged_and_is_never_held() -> None:
    ends = TwoEnds()
    stream, data = ends.open(), os.urandom(5 * WINDOW + 7)
    reading = asyncio.ensure_future(read_all(stream))

    await stream.write(data)
    stream.eof()

    assert await reading == data
    assert await stream.result() == {"exit": 3}
    assert ends.handlers[0].most_held <= WINDOW


@in_loop
async def test_a_write_waits_while_the_other_end_takes_nothing_in() -> None:
    ends = TwoEnds()
    stream = ends.open()

    writing = asyncio.ensure_future(stream.write(bytes(3 * WINDOW)))
    await asyncio.sleep(0)
    assert not writing.done()

    got = 0
    while got < 3 * WINDOW:
        piece = await stream.read()
        assert piece is not None
        got += len(piece[0])
        await asyncio.sleep(0)
    await writing


@in_loop
async def test_messages_pass_beside_data_and_end_with_the_conversation() -> None:
    ends = TwoEnds()
    stream = ends.open()

    stream.message({"resize": [80, 24]})
    assert await stream.next_message() == {"heard": {"resize": [80, 24]}}

    ends.handlers[0].channel.close({"exit": 0})
    stream.message({"late": True})
    ends.carry()
    assert await stream.next_message() is None


@in_loop
async def test_data_that_came_before_the_end_can_still_be_read() -> None:
    ends = TwoEnds()
    stream = ends.open()
    await stream.write(b"last words")

    stream.close()

    assert await read_all(stream) == b"last words"
    await stream.write(b"nobody hears this")
    assert await stream.read() is None


@in_loop
async def test_a_lost_link_ends_whoever_waits_with_an_error() -> None:
    ends = TwoEnds()
    stream = ends.open()
    reading, ending = asyncio.ensure_future(stream.read()), asyncio.ensure_future(stream.result())
    writing = asyncio.ensure_future(stream.write(bytes(3 * WINDOW)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    ends.here.lose("the agent was killed")

    assert await asyncio.wait_for(writing, 5) is None
    assert await reading is not None
    with pytest.raises(ConnectionLostError, match="the agent was killed"):
        await ending
