from __future__ import annotations

from decimal import Decimal

import pytest

from devboxgpu.errors import Detail, RefusedError
from devboxgpu.farewell import end_line
from devboxgpu.notices import Notices
from devboxgpu.progress import PlainProgress
from devboxgpu.screen import ScreenModes
from devboxgpu.tokens import claims_of
from devboxgpu.wire import LeaseRenewal, Money, Shell
from devboxgpu.wire_opening import Operation
from devboxgpu.wording import duration, estimate, money, ordinal, printable


class Screen:
    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None: ...


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (41.2, "41 s"), (60, "1 min 0 s"), (2530, "42 min 10 s"), (11100, "3 h 5 min")],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "about 10 s"), (41, "about 40 s"), (58, "about 1 min"), (740, "about 12 min"), (10_000, "about 3 h")],
)
def test_an_estimate_has_no_more_digits_than_are_known(seconds: float, text: str) -> None:
    assert estimate(seconds) == text


@pytest.mark.parametrize(
    ("amount", "text"), [("0.4123", "0.41 USD"), ("0.00123", "0.0012 USD"), ("0", "0.00 USD"), ("12.345", "12.35 USD")]
)
def test_small_sums_keep_digits_that_say_something(amount: str, text: str) -> None:
    assert money(Money(amount=Decimal(amount), currency="USD")) == text


@pytest.mark.parametrize(
    ("number", "text"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (22, "22nd")]
)
def test_places_in_line_are_ordinals(number: int, text: str) -> None:
    assert ordinal(number) == text


def test_text_from_elsewhere_cannot_steer_the_terminal() -> None:
    assert printable("stop\x1b]0;title\x07\r\nnow") == "stop ]0;title   now"


def test_answers_with_nothing_in_them_are_read_as_unknown() -> None:
    shell = Shell.read({"cost": {"amount": "NaN"}, "price": {"amountPerHour": None}, "durationSeconds": True})

    assert (shell.state, shell.cost, shell.price_an_hour, shell.duration_s, shell.is_over) == (
        "Unknown",
        None,
        None,
        None,
        False,
    )
    assert Operation.read({}).status == "Unknown"
    assert LeaseRenewal.read({"warnings": ["x", None]}).warnings == ()


def test_a_refusal_in_parts_has_a_line_for_each() -> None:
    refused = RefusedError(
        "no region had a GPU",
        code="NoCapacity",
        details=[
            Detail(code="NoCapacity", message="none assigned in 600 s", target="westus3/T4"),
            Detail(code="ImageNotPulled", message="denied", target="swedencentral/T4"),
        ],
    )

    assert refused.lines() == [
        "NoCapacity: no region had a GPU",
        "- westus3/T4: none assigned in 600 s",
        "- swedencentral/T4: denied (ImageNotPulled)",
    ]


def test_a_part_that_says_nothing_more_is_not_told_twice() -> None:
    refused = RefusedError(
        "over. It was idle.", code="ShellEnded", details=[Detail(code="Stopped", message="It was idle.")]
    )

    assert refused.lines() == ["ShellEnded: over. It was idle."]


def test_a_refusal_names_the_place_that_it_is_about() -> None:
    assert str(RefusedError("a policy says 30", code="SettingLockedByPolicy", target="idle.timeoutMinutes")) == (
        "SettingLockedByPolicy: idle.timeoutMinutes: a policy says 30"
    )


def test_the_last_line_prefers_what_the_service_counted() -> None:
    opened = Shell.read({"id": "sh-1", "session": "s-7", "gpuType": "T4", "state": "Running"})
    closed = Shell.read(
        {
            "id": "sh-1",
            "session": "s-7",
            "gpuType": "T4",
            "durationSeconds": 2530,
            "cost": {"amount": "0.4123", "currency": "USD"},
        }
    )

    assert end_line(opened, closed, attached_s=9, exit_code=0, reason="") == (
        "devboxgpu: session s-7 ended · 42 min 10 s · T4 · est. 0.41 USD · exit 0"
    )


def test_the_last_line_estimates_from_the_price_when_the_service_says_no_cost() -> None:
    opened = Shell.read(
        {
            "id": "sh-1",
            "session": "s-7",
            "gpuType": "T4",
            "price": {"amountPerHour": "1.5588", "currency": "USD"},
            "durationSeconds": 1,  # when it was opened
            "cost": {"amount": "0.0004", "currency": "USD"},
        }
    )

    assert end_line(opened, None, attached_s=1800, exit_code=125, reason="Idle") == (
        "devboxgpu: session s-7 ended · 30 min 0 s · T4 · est. 0.78 USD · Idle · exit 125"
    )


def test_a_full_screen_program_that_was_cut_off_is_undone() -> None:
    screen = ScreenModes()
    for piece in (b"\x1b[?10", b"49hhello"):
        screen.watch(piece)

    assert screen.reset().endswith("\x1b[?1049l")


def test_a_terminal_that_was_only_written_to_is_left_alone() -> None:
    screen = ScreenModes()
    screen.watch(b"hello")

    assert screen.reset() == ""


def test_a_program_that_left_the_alternate_screen_is_not_undone_twice() -> None:
    screen = ScreenModes()
    screen.watch(b"\x1b[?1049h vim \x1b[?1049l")

    assert "1049" not in screen.reset()


def test_phases_are_told_when_they_are_done_with_their_time() -> None:
    now = [0.0]
    screen = Screen()
    progress = PlainProgress(Notices(screen), monotonic=lambda: now[0])  # type: ignore[arg-type]

    progress.enter("Waiting", "2nd in line", aside="about 2 min")
    progress.enter("Waiting", "2nd in line", aside="about 1 min")
    progress.enter("Waiting", "1st in line", aside="wait unknown")
    now[0] = 41.0
    progress.enter("Pulling")
    now[0] = 59.0
    progress.abandon()

    assert screen.text.splitlines() == [
        "devboxgpu: Waiting for a GPU: 2nd in line · about 2 min",
        "devboxgpu: Waiting for a GPU: 1st in line · wait unknown",
        "devboxgpu: Waited for a GPU (41 s)",
    ]


def test_a_notice_in_a_raw_terminal_is_a_line_of_its_own() -> None:
    screen = Screen()
    notices = Notices(screen)  # type: ignore[arg-type]
    notices.raw = True

    notices.say("stops in 5 min")

    assert screen.text == "\r\ndevboxgpu: stops in 5 min\r\n"


@pytest.mark.parametrize("token", ["", "opaque", "a.b.c", "a.bm90anNvbg.c", "a.WzFd.c"])
def test_an_opaque_token_says_nothing_of_its_bearer(token: str) -> None:
    assert claims_of(token) == {}
