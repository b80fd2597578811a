"""What stands on the screen while a shell opens and when it has ended, on terminals of 40, 80 and 120 columns."""

from __future__ import annotations

import time

import pexpect
import pyte
import pytest
from conftest import COMMAND, PATIENCE_S, Terminal
from hypothesis import given
from hypothesis import strategies as st

from devboxgpu.layout import fold, hanging
from devboxgpu.list_price import listed_price
from devboxgpu.opening import headline, news
from devboxgpu.wire import Json, Shell

OFFERS: list[Json] = [
    {
        "gpuType": "T4",
        "regions": [
            {"name": "westus3", "price": {"amountPerHour": "1.5588", "currency": "USD"}},
            {"name": "swedencentral", "price": {"amountPerHour": "1.9", "currency": "USD"}},
        ],
    },
    {"gpuType": "A100", "regions": [{"name": "westus3"}]},
]


def shell(**facts: object) -> Shell:
    return Shell.read({"id": "sh-1", "gpuType": "T4", **facts})


class Watched:
    """The command on a terminal of some width, its screen beside it."""

    def __init__(self, terminal: Terminal, columns: int, *arguments: str, **environment: str) -> None:
        self.screen = pyte.Screen(columns, 30)
        self._stream = pyte.ByteStream(self.screen)
        self.process = pexpect.spawn(
            COMMAND[0],
            [*COMMAND[1:], *arguments],
            env={**terminal.environment, "TERM": "xterm-256color", **environment},
            cwd=str(terminal.cwd),
            dimensions=(30, columns),
            timeout=PATIENCE_S,
        )

    def lines_with(self, text: str, *, title: str) -> list[str]:
        """The screen, once the text is on it and the title above it."""
        give_up_at = time.monotonic() + PATIENCE_S
        while text not in "\n".join(self.lines()) or self.screen.title != title:
            assert time.monotonic() < give_up_at, (self.screen.title, self.lines())
            self._stream.feed(self.process.read_nonblocking(4096, timeout=PATIENCE_S))
        return self.lines()

    def at_end(self) -> list[str]:
        while True:
            try:
                self._stream.feed(self.process.read_nonblocking(4096, timeout=PATIENCE_S))
            except pexpect.EOF:
                return self.lines()

    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display if line.strip()]


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_a_place_in_line_stands_where_it_can_be_read_whole(terminal: Terminal, columns: int) -> None:
    terminal.plane.all_gpus_in_use = True
    terminal.plane.line = [{"queuePosition": 2, "expectedWaitSeconds": 61}]
    terminal.plane.line_stands_still = True
    watched = Watched(terminal, columns, "shell")

    place = "2nd in line · about 1 min"
    lines = watched.lines_with(place, title="Waiting for a GPU · 2nd in line")

    assert [line for line in lines if line.endswith(place)]
    assert lines[0].startswith("demo · T4 · westus3 · est. 1.56 USD/h")
    assert "Ctrl-C cancels" in "\n".join(lines[:2])
    watched.process.sendintr()
    watched.at_end()


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_phases_and_the_receipt_are_whole_on_every_width(terminal: Terminal, columns: int) -> None:
    lines = Watched(terminal, columns, "run", "true").at_end()

    receipt = "devboxgpu: session s-fake ended · 42 min 10 s · T4 · est. 0.41 USD · exit 0"
    assert max(map(len, lines)) <= columns
    assert "\n".join(lines).endswith(hanging(receipt, columns))
    assert sum(line.startswith("✔ GPU assigned") for line in lines) == 1


def test_a_terminal_known_to_show_progress_is_given_it_and_relieved_of_it(terminal: Terminal) -> None:
    screen = terminal.spawn("run", "true", WT_SESSION="guid")

    sent = screen.read()

    assert b"\x1b]9;4;3;" in sent
    assert sent.rindex(b"\x1b]9;4;0;") > sent.rindex(b"\x1b]9;4;3;")


def test_a_title_of_ours_is_always_taken_back(terminal: Terminal) -> None:
    terminal.plane.refuse_open = (403, "NotEntitled", "you have no Dev Box in demo")

    sent = terminal.spawn("shell").read()

    assert sent.count(b"\x1b[22;2t") == sent.count(b"\x1b[23;2t") == 1


@pytest.mark.parametrize("off", [{"DEVBOXGPU_TITLE": "off"}, {"TERM": "linux"}])
def test_a_person_may_have_no_title(terminal: Terminal, off: dict[str, str]) -> None:
    sent = terminal.spawn("run", "true", **off).read()

    assert b"\x1b]" not in sent
    assert "✔".encode() in sent


@pytest.mark.parametrize(
    ("facts", "price"),
    [
        ({}, "1.5588"),
        ({"region": "swedencentral"}, "1.9"),
        ({"region": "elsewhere"}, None),
        ({"gpuType": "A100"}, None),
        ({"gpuType": "H100"}, None),
    ],
)
def test_a_shell_without_a_price_has_that_of_the_list(facts: dict[str, object], price: str | None) -> None:
    found = listed_price(OFFERS, shell(**facts))

    assert (None if found is None else str(found.amount)) == price


def test_the_headline_calls_an_unknown_price_unknown_and_tells_it_when_it_is_known() -> None:
    told = headline("demo", shell())
    known = shell(region="westus3", price={"amountPerHour": "1.5588", "currency": "USD"})

    assert told == ["demo", "T4", "unknown price"]
    assert news(told, headline("demo", known)) == "westus3 · est. 1.56 USD/h"
    assert news(headline("demo", known), headline("demo", known)) == ""


def test_the_price_of_the_list_is_said_before_the_shell_is_placed(terminal: Terminal) -> None:
    terminal.plane.priced = False
    terminal.plane.offers = [dict(offer) for offer in OFFERS]

    lines = terminal.run("run", "true").stderr.decode().splitlines()

    assert lines[1] == "devboxgpu: demo · T4 · westus3 · est. 1.56 USD/h"


def test_a_list_that_cannot_be_had_keeps_nobody_from_a_gpu(terminal: Terminal) -> None:
    terminal.plane.priced = False

    done = terminal.run("run", "true")

    assert done.returncode == 0
    assert done.stderr.decode().splitlines()[1] == "devboxgpu: demo · T4 · westus3 · unknown price"


@given(st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=30)), st.integers(12, 120))
def test_folding_loses_nothing_and_keeps_within_the_width(facts: list[str], width: int) -> None:
    lines = list(fold(" · ".join(facts), width))

    assert all(len(line) <= width for line in lines)
    assert "".join(lines).replace(" · ", "").replace(" ", "") == "".join(facts)


def test_a_line_that_fits_is_left_alone() -> None:
    assert hanging("a · b", 40) == "a · b"
    assert hanging("session s-7 ended · 42 min 10 s · T4 · est. 0.41 USD · exit 0", 40) == (
        "session s-7 ended · 42 min 10 s · T4\n  est. 0.41 USD · exit 0"
    )
