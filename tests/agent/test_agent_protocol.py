"""The protocol without any input or output: whatever happens on the way, each stream arrives whole and once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devboxgpu.agent import handshake
from devboxgpu.agent.alternate_screen import AlternateScreen
from devboxgpu.agent.channels import Channel, Channels, Handler
from devboxgpu.agent.frames import DATA, Frame, ProtocolError
from devboxgpu.agent.handshake import Base64Lines, HandshakeError
from devboxgpu.agent.link import ACK_AFTER, Link, LinkLostError
from devboxgpu.agent.output import Kept, Ring
from devboxgpu.agent.spool import SEGMENTS, Spool

HERE, THERE = 0, 1
SIZES = st.one_of(st.integers(0, 300), st.sampled_from([ACK_AFTER - 9, ACK_AFTER + 1, 300_000]))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.sampled_from([HERE, THERE]), SIZES),
        st.tuples(st.just("carry"), st.sampled_from([HERE, THERE]), st.integers(1, 200_000)),
        st.tuples(st.just("acknowledge"), st.sampled_from([HERE, THERE]), st.just(0)),
        st.tuples(st.just("ping"), st.sampled_from([HERE, THERE]), st.just(0)),
        st.tuples(st.just("drop"), st.just(HERE), st.just(0)),
    ),
    max_size=60,
)


class Way:
    """Two links, and the bytes between them: at a drop those under way are lost, at whatever byte that is."""

    def __init__(self) -> None:
        self.links = [Link(), Link()]
        self.sent: list[list[Frame]] = [[], []]
        self.arrived: list[list[Frame]] = [[], []]
        self.under_way = [bytearray(), bytearray()]
        self.reconnect()

    def reconnect(self) -> None:
        here, there = self.links
        received = here.received, there.received
        self.under_way = [bytearray(), bytearray()]
        for link in self.links:
            link.disconnect()
        here.connect(received[1])
        there.connect(received[0])

    def do(self, what: str, end: int, amount: int) -> None:
        link = self.links[end]
        if what == "send":
            frame = Frame(len(self.sent[end]), DATA, bytes(number % 251 for number in range(amount)))
            self.sent[end].append(frame)
            link.send(frame)
        elif what == "carry":
            self.carry(end, amount)
        elif what == "drop":
            self.reconnect()
        else:
            getattr(link, what)()

    def carry(self, end: int, amount: int | None = None) -> None:
        way = self.under_way[end]
        way += self.links[end].to_send()
        data = bytes(way[:amount])
        del way[: len(data)]
        self.arrived[1 - end].extend(self.links[1 - end].receive(data))


@settings(max_examples=80, deadline=None)
@given(STEPS)
def test_whatever_is_dropped_the_streams_arrive_whole_and_once(steps: list[tuple[str, int, int]]) -> None:
    way = Way()
    for what, end, amount in steps:
        way.do(what, end, amount)
        for end_ in (HERE, THERE):
            assert way.arrived[1 - end_] == way.sent[end_][: len(way.arrived[1 - end_])]

    way.reconnect()
    for _ in range(2):
        for end in (HERE, THERE):
            way.carry(end)
            way.links[1 - end].acknowledge()

    assert way.arrived == [way.sent[THERE], way.sent[HERE]]
    for end in (HERE, THERE):
        way.carry(end)
        assert way.links[1 - end].unacknowledged == 0  # what was acknowledged is kept no longer


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(1, 50))
def test_bytes_that_are_no_protocol_are_refused_as_such(data: bytes, piece: int) -> None:
    channels = Channels(Link(), lambda _channel, _request: Handler())
    channels.link.connect(0)
    try:
        for start in range(0, len(data), piece):
            channels.receive(data[start : start + piece])
    except ProtocolError:
        return


@settings(deadline=None)
@given(st.binary(max_size=500))
def test_a_hello_is_read_or_refused(text: bytes) -> None:
    with pytest.raises(HandshakeError):
        handshake.read_hello(text)


def test_an_end_that_claims_what_it_cannot_have_is_refused() -> None:
    link = Link()
    with pytest.raises(LinkLostError):
        link.connect(1)


@settings(deadline=None)
@given(st.binary(max_size=40_000), st.integers(1, 5000))
def test_lines_of_base64_carry_any_bytes_however_they_are_cut(data: bytes, piece: int) -> None:
    lines, text = Base64Lines(), Base64Lines.encoded(data)

    pieces = [b"".join(lines.decoded(text[start : start + piece])) for start in range(0, len(text), piece)]

    assert b"".join(pieces) == data


class Credited(Handler):
    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.was_writable = 0

    def writable(self) -> None:
        self.was_writable += 1


def test_no_more_is_sent_than_the_other_end_has_room_for() -> None:
    there: list[Channel] = []

    def accept(channel: Channel, _request: dict[str, object]) -> Handler:
        there.append(channel)
        return Handler()

    ends = [Channels(Link()), Channels(Link(), accept)]
    for end in ends:
        end.link.connect(0)
    channel = ends[0].open({}, Credited)
    handler = channel.handler
    assert isinstance(handler, Credited)
    room = channel.credit
    channel.send(bytes(room))
    with pytest.raises(ValueError, match="credit of 0"):
        channel.send(b"x")

    ends[1].receive(ends[0].link.to_send())
    there[0].consumed(room)
    ends[0].receive(ends[1].link.to_send())

    assert (channel.credit, handler.was_writable) == (room, 1)


KEEPS = 8192
WRITES = st.lists(st.tuples(st.integers(0, 3000), st.booleans(), st.integers(0, 4000)), max_size=40)


@pytest.mark.parametrize("kind", ["ring", "spool"])
@given(writes=WRITES)
@settings(deadline=None)
def test_what_is_kept_and_what_is_let_go_add_up(
    kind: str, writes: list[tuple[int, bool, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """At every moment: what was taken, plus what was let go before it could be, is a prefix of all output."""
    kept: Kept = Ring(KEEPS) if kind == "ring" else Spool(str(tmp_path_factory.getbasetemp()), "p", KEEPS)
    everything, place = b"", 0
    for size, is_error, to_take in [*writes, (0, False, KEEPS * 4)]:
        data = bytes((len(everything) + number) % 251 for number in range(size))
        everything += data
        if data:
            kept.append(data, is_error=is_error)
        while to_take > 0:
            place += kept.take_skipped()
            piece = kept.take(to_take)
            if piece is None:
                break
            assert piece.data == everything[place : place + len(piece.data)]
            place += len(piece.data)
            to_take -= len(piece.data)
    assert place == len(everything)

    kept.rewind(KEEPS // 2)
    again = b"".join(piece.data for piece in iter(lambda: kept.take(1000), None))
    assert everything.endswith(again)
    assert len(again) >= min(len(everything), KEEPS // 2)
    kept.close()


def test_a_spool_leaves_nothing_behind_and_is_bounded(tmp_path: object) -> None:
    spool = Spool(str(tmp_path), "p", KEEPS)
    for _ in range(100):
        spool.append(bytes(500), is_error=False)

    assert len(spool.segments) == SEGMENTS
    assert spool.take_skipped() > 30_000
    spool.close()


@settings(deadline=None)
@given(st.lists(st.integers(0, 12), max_size=12))
def test_the_alternate_screen_is_seen_however_its_words_are_cut(cuts: list[int]) -> None:
    words = b"a\x1b[?25;1049hb\x1b[?2004l\x1b[31mc"
    screen, rest = AlternateScreen(), words
    for cut in cuts:
        screen.feed(rest[:cut])
        rest = rest[cut:]
    screen.feed(rest)
    assert screen.is_on

    screen.feed(b"\x1b[?10")
    screen.feed(b"47l")
    assert not screen.is_on
