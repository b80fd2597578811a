"""The title, the ring and the bell: to whom they are sent, when, and what of them is taken back."""

from __future__ import annotations

import io
import itertools

import pyte
import pytest

from devboxgpu.abilities import Abilities, abilities_of
from devboxgpu.gate import Gate
from devboxgpu.output_state import OutputState
from devboxgpu.title import Ring, TerminalSigns


class Tty(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def abilities(platform: str = "linux", **environ: str) -> Abilities:
    return abilities_of(Tty(), {"TERM": "xterm-256color", **environ}, platform=platform)


def signs(written: list[str], *, own_title: str = "", **environ: str) -> TerminalSigns:
    return TerminalSigns(written.append, abilities(**environ), own_title=lambda: own_title)


@pytest.mark.parametrize(
    ("environ", "title", "stack", "ring"),
    [
        ({}, True, True, False),
        ({"WT_SESSION": "guid"}, True, False, True),
        ({"ConEmuANSI": "ON"}, True, True, True),
        ({"TERM_PROGRAM": "ghostty"}, True, True, True),
        ({"TERM_PROGRAM": "iTerm.app", "WT_SESSION": "inherited"}, True, False, False),
        ({"LC_TERMINAL": "iTerm2", "ConEmuANSI": "ON"}, True, True, False),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/t", "WT_SESSION": "guid"}, True, False, False),
        ({"TERM": "linux"}, False, True, False),
        ({"TERM": "dumb", "WT_SESSION": "guid"}, False, False, False),
    ],
)
def test_only_known_terminals_get_sequences(environ: dict[str, str], title: bool, stack: bool, ring: bool) -> None:
    found = abilities(**environ)

    assert (found.title, found.title_stack, found.ring) == (title, stack, ring)


def test_a_pipe_gets_nothing_whatever_the_environment_says() -> None:
    written: list[str] = []
    pipe = abilities_of(io.StringIO(), {"TERM": "xterm", "WT_SESSION": "guid"}, platform="win32")
    shown = TerminalSigns(written.append, pipe, own_title=lambda: "mine")

    shown.title("T4")
    shown.ring(Ring.BUSY)
    shown.bell()
    shown.restore()

    assert written == []


def test_the_persons_own_title_is_pushed_once_and_popped() -> None:
    written: list[str] = []
    shown = signs(written)

    shown.title("T4 · demo · 1 min")
    shown.title("T4 · demo · 2 min")
    shown.restore()
    shown.restore()

    assert written == [
        "\x1b[22;2t\x1b]2;T4 · demo · 1 min\x07",
        "\x1b]2;T4 · demo · 2 min\x07",
        "\x1b[23;2t",
    ]


def test_where_there_is_no_stack_the_title_that_the_console_told_comes_back() -> None:
    written: list[str] = []
    shown = signs(written, own_title="PowerShell\x07evil", WT_SESSION="guid")

    shown.title("T4")
    shown.ring(Ring.WARNING)
    shown.restore()

    assert written == [
        "\x1b]2;T4\x07",
        "\x1b]9;4;4;100\x07",
        "\x1b]9;4;0;0\x07",
        "\x1b]2;PowerShell evil\x07",
    ]


def test_text_from_elsewhere_stays_within_the_title() -> None:
    written: list[str] = []

    signs(written).title("T4\x07\x1b]0;evil\x07\x9d0;more\x9c" + "x" * 500)

    sequence = written[0].removeprefix("\x1b[22;2t")
    assert sequence.startswith("\x1b]2;")
    assert sequence.endswith("\x07")
    assert sequence[4:-1].isprintable()
    assert len(sequence) < 200


def test_a_terminal_of_another_encoding_gets_a_title_in_ascii() -> None:
    stream = Tty()
    stream.encoding = "latin-1"
    written: list[str] = []

    TerminalSigns(written.append, abilities_of(stream, {"TERM": "xterm"}, platform="linux")).title("T4 · ✔")

    assert written[0].endswith("\x1b]2;T4 - ?\x07")


OUTPUTS = [
    "plain text",
    "wide: 漢字 🚀 é",
    "\x1b[1;31mred\x1b[0m",
    "\x1b]0;a title\x07then",
    "\x1b]8;;https://example.com\x1b\\link\x1b]8;;\x1b\\",
    "\x1bPq#0;2;0;0;0~~\x1b\\sixel",
    "\x1b(B\x1b)0\x1b7",
    "\x1b_application\x1b\\",
    "cut \x1b[12\x18off",
]


def between(data: bytes) -> list[int]:
    """At how many bytes nothing is half sent, by sending them one at a time."""
    state, found = OutputState(), []
    for index in range(len(data)):
        state.feed(data[index : index + 1])
        if state.is_between:
            found.append(index + 1)
    return found


@pytest.mark.parametrize("text", OUTPUTS)
def test_whatever_the_pieces_the_state_is_the_same(text: str) -> None:
    data = text.encode()
    by_bytes = set(between(data))

    for first, second in itertools.combinations(range(len(data) + 1), 2):
        state = OutputState()
        for piece in (data[:first], data[first:second]):
            state.feed(piece)
        assert state.is_between == (second in by_bytes), (data[:first], data[first:second])


@pytest.mark.parametrize("text", OUTPUTS)
def test_a_title_between_the_pieces_of_output_disturbs_nothing(text: str) -> None:
    data = text.encode()
    untouched = pyte.Screen(40, 4)
    pyte.ByteStream(untouched).feed(data)

    for cut in range(1, len(data)):
        screen, sent = pyte.Screen(40, 4), []
        stream = pyte.ByteStream(screen)
        gate = Gate(lambda ours, sent=sent: sent.append(ours.encode()))
        for piece in (data[:cut], data[cut:]):
            gate.begin(piece)
            sent.append(piece)
            gate.write("\x1b]2;ours\x07")
            gate.end()
        for piece in sent:
            stream.feed(piece)
        assert screen.display == untouched.display
        assert screen.title == "ours"


def test_ours_is_never_within_a_write_of_the_remotes() -> None:
    written: list[str] = []
    gate = Gate(written.append)

    gate.begin(b"x" * 100_000)
    gate.write("\x1b]2;ours\x07")
    assert written == []

    gate.end()
    assert written == ["\x1b]2;ours\x07"]


def test_what_the_remote_left_unfinished_is_cut_off_at_the_end() -> None:
    written: list[str] = []
    gate = Gate(written.append)
    gate.begin(b"\x1b]0;never ended")
    gate.end()

    gate.write("\x1b[23;2t")
    assert written == []
    gate.force()

    assert written == ["\x18\x1b[23;2t"]


def test_titles_and_full_screens_of_the_remote_are_noticed_over_the_edges_of_pieces() -> None:
    state = OutputState()
    for byte in b"$ \x1b]0;root@vm\x07\x1b[?1049h":
        state.feed(bytes([byte]))
    assert (state.titled, state.full_screen) == (True, True)

    state.titled = False
    state.feed(b"\x1b[?1049l")
    assert (state.titled, state.full_screen) == (False, False)
