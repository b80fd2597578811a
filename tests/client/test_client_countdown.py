"""What is told before a session stops: by whom, in which words, and in how many terminals it rings."""

from __future__ import annotations

import io
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devboxgpu.abilities import abilities_of
from devboxgpu.countdown import Countdown, Warned
from devboxgpu.gate import Gate
from devboxgpu.session_face import SessionFace
from devboxgpu.title import TerminalSigns
from devboxgpu.told_once import ToldOnce
from devboxgpu.wire import LeaseRenewal, LeaseWarning, Shell
from devboxgpu.wording import left

ANSWERED = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)
IDLE = LeaseWarning(
    kind="Idle",
    message="This session stops within 5 min, at 22:05 UTC: nothing was typed, printed or computed. Any key keeps it, "
    "or: devboxgpu sessions extend s-7 --minutes 60",
    at="2026-11-21T22:05:00Z",
)


def texts(warned: list[Warned]) -> list[str]:
    return [one.text for one in warned]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "now"),
        (4, "in 10 s"),
        (58, "in 1 min"),
        (50, "in 50 s"),
        (291, "in 4 min 50 s"),
        (299, "in 5 min"),
        (1630, "in 27 min"),
        (11_100, "in 3 h 5 min"),
    ],
)
def test_what_is_left_reads_well(seconds: float, text: str) -> None:
    assert left(seconds) == text


def test_an_idle_stop_names_the_keys_that_put_it_off() -> None:
    countdown = Countdown(session="s-7", has_keys=True)

    assert texts(countdown.heard(300, "Idle", [IDLE], 0)) == [
        "this session stops in 5 min: nothing was typed, printed or computed; any key keeps it, "
        "or Enter ~e keeps it for 60 min"
    ]
    assert countdown.heard(299, "Idle", [IDLE], 1) == []
    assert countdown.shown(1) == "stops in 5 min (idle)"


@pytest.mark.parametrize(
    ("reason", "message", "said"),
    [
        ("MaxLifetime", "Save, or: devboxgpu sessions extend s-7 --minutes 60", "save your work, or Enter ~e keeps it"),
        ("MaxLifetime", "Save your work.", "the longest life that the project allows; save your work"),
        ("BudgetExhausted", "Save your work.", "save your work, or a project administrator may give more"),
        ("ProjectDisabled", "Save your work.", "GPU sessions were disabled for the project; save your work"),
        ("ANewReason", "In its own words.", "In its own words."),
    ],
)
def test_the_key_is_named_only_where_the_control_plane_allows_to_extend(reason: str, message: str, said: str) -> None:
    warning = LeaseWarning(kind=reason, message=message, at="")

    (text,) = texts(Countdown(session="s-7", has_keys=True).heard(60, reason, [warning], 0))

    assert said in text
    assert ("~e" in text) == ("extend" in message)


def test_without_keys_the_control_planes_own_words_are_told() -> None:
    assert texts(Countdown(session="s-7", has_keys=False).heard(300, "Idle", [IDLE], 0)) == [IDLE.message]


def test_a_warning_about_something_else_is_told_as_it_is() -> None:
    other = LeaseWarning(kind="OwnGpuAvailable", message="A GPU of your own is free.", at="")
    countdown = Countdown(session="s-7", has_keys=True)

    assert texts(countdown.heard(3000, "Idle", [other], 0)) == ["A GPU of your own is free."]
    assert not countdown.is_warned


def test_a_control_plane_that_has_fallen_silent_is_counted_down_for() -> None:
    countdown = Countdown(session="s-7", has_keys=True)
    countdown.heard(600, "MaxLifetime", [], 0)

    told = {now: texts(countdown.tick(now)) for now in range(0, 700, 10)}

    assert {now: text for now, text in told.items() if text} == {
        320: [
            "this session stops in 4 min 40 s: the longest life that the project allows; save your work "
            "(as last heard from the control plane)"
        ],
        560: [
            "this session stops in 40 s: the longest life that the project allows; save your work "
            "(as last heard from the control plane)"
        ],
    }


def test_what_the_control_plane_has_warned_of_is_not_told_twice() -> None:
    countdown = Countdown(session="s-7", has_keys=True)
    countdown.heard(300, "Idle", [IDLE], 0)

    assert [countdown.tick(now) for now in range(0, 230, 10)] == [[]] * 23


def test_a_stop_that_was_put_off_is_warned_of_anew() -> None:
    countdown = Countdown(session="s-7", has_keys=True)
    countdown.heard(300, "Idle", [IDLE], 0)
    assert countdown.is_warned

    countdown.heard(1800, "Idle", [], 10)

    assert not countdown.is_warned
    assert countdown.shown(10) == ""
    assert len(countdown.tick(10 + 1800 - 280)) == 1


def test_a_stop_that_is_not_told_any_more_is_not_shown() -> None:
    countdown = Countdown(session="s-7", has_keys=True)
    countdown.heard(300, "Idle", [IDLE], 0)

    countdown.heard(None, None, [], 30)

    assert (countdown.shown(30), countdown.tick(290), countdown.is_close(290)) == ("", [], False)


@given(st.lists(st.integers(min_value=1, max_value=400), max_size=60), st.floats(min_value=0, max_value=900))
def test_however_often_it_looks_each_mark_is_told_once_and_none_after_the_stop(steps: list[int], stop: float) -> None:
    countdown = Countdown(session="s-7", has_keys=True)
    countdown.heard(stop, "Idle", [], 0)

    now, told = 0.0, []
    for step in steps:
        now += step
        told += [now for _ in countdown.tick(now)]

    assert len(told) <= 2
    assert all(at < stop for at in told)


def test_of_several_terminals_one_rings(tmp_path: Path) -> None:
    first, second = (ToldOnce("s-7", folder=tmp_path / "told") for _ in range(2))

    assert [first.is_first("five"), second.is_first("five"), second.is_first("one")] == [True, False, True]
    assert ToldOnce("s-8", folder=tmp_path / "told").is_first("five")
    assert (tmp_path / "told").stat().st_mode & 0o777 == 0o700


def test_markers_of_yesterday_are_forgotten(tmp_path: Path) -> None:
    now = 1_000_000.0
    markers = ToldOnce("s-7", folder=tmp_path, clock=lambda: now)
    markers.is_first("five")
    (marker,) = tmp_path.iterdir()
    os.utime(marker, (now - 90_000, now - 90_000))

    markers.is_first("one")

    assert marker not in tmp_path.iterdir()


def test_where_no_marker_can_be_left_it_rings(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert ToldOnce("s-7", folder=tmp_path / "file").is_first("five")


class Tty(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Shown:
    """A session's face over a terminal that is a list, and a clock that is a number."""

    def __init__(self, folder: Path, *, price: str | None = "0.585", **environ: str) -> None:
        self.now, self.written, self.said = 1000.0, list[str](), list[str]()
        self.gate = Gate(self.written.append)
        signs = TerminalSigns(self.gate.write, abilities_of(Tty(), {"TERM": "xterm", **environ}, platform="linux"))
        facts: dict[str, object] = {"id": "sh-1", "session": "s-7", "gpuType": "T4", "durationSeconds": 2530}
        if price is not None:
            facts["price"] = {"amountPerHour": price, "currency": "USD"}
        self.face = SessionFace(
            project="demo",
            shell=Shell.read(facts),
            gate=self.gate,
            signs=signs,
            say=self.said.append,
            clock=lambda: self.now,
            told_once=ToldOnce("s-7", folder=folder),
        )

    def heard(self, left_s: float, *warnings: LeaseWarning) -> None:
        stops_at = ANSWERED + timedelta(seconds=left_s)
        self.face.heard(
            LeaseRenewal(
                renew_after_s=30, warnings=warnings, stops_at=stops_at, stop_reason="Idle", answered_at=ANSWERED
            )
        )


def test_the_title_says_gpu_project_time_cost_and_the_stop_that_is_near(tmp_path: Path) -> None:
    shown = Shown(tmp_path)
    shown.face.tick()
    assert shown.written == ["\x1b[22;2t\x1b]2;T4 · demo · 42 min · est. 0.41 USD\x07"]

    shown.heard(290, IDLE)

    assert shown.written[1:] == ["\x07", "\x1b]2;T4 · demo · 42 min · est. 0.41 USD · stops in 4 min 50 s (idle)\x07"]
    assert len(shown.said) == 1


def test_the_title_moves_by_the_minute_and_near_the_stop_by_ten_seconds(tmp_path: Path) -> None:
    shown = Shown(tmp_path)
    for _ in range(13):
        shown.face.tick()
        shown.now += 10
    assert len(shown.written) == 3

    shown.heard(250, IDLE)
    before = len(shown.written)
    for _ in range(3):
        shown.now += 10
        shown.face.tick()

    assert len(shown.written) == before + 3


def test_the_services_clock_counts_not_the_persons(tmp_path: Path) -> None:
    shown = Shown(tmp_path)  # whose clock stands at 1970

    shown.heard(290, IDLE)

    assert "in 4 min 50 s" in shown.said[0]


def test_an_unknown_price_is_no_price_of_nothing(tmp_path: Path) -> None:
    assert "cost unknown" in Shown(tmp_path, price=None).face.title_text(1000)


def test_two_terminals_both_tell_and_one_rings(tmp_path: Path) -> None:
    both = [Shown(tmp_path), Shown(tmp_path)]
    for shown in both:
        shown.heard(290, IDLE)

    assert [shown.written.count("\x07") for shown in both] == [1, 0]
    assert [len(shown.said) for shown in both] == [1, 1]


def test_the_ring_warns_and_goes_out_when_the_stop_is_put_off(tmp_path: Path) -> None:
    shown = Shown(tmp_path, WT_SESSION="guid")
    shown.heard(290, IDLE)
    shown.heard(1800)

    rings = [one for one in shown.written if "]9;4;" in one]
    assert rings == ["\x1b]9;4;4;100\x07", "\x1b]9;4;0;0\x07"]


def test_a_full_screen_program_keeps_its_title_until_the_stop_is_close(tmp_path: Path) -> None:
    shown = Shown(tmp_path)
    shown.face.tick()
    shown.gate.begin(b"\x1b[?1049h\x1b]2;vim\x07")
    shown.gate.end()
    shown.now += 60
    shown.face.tick()
    assert len(shown.written) == 1

    shown.heard(200, IDLE)

    assert "stops in 3 min 20 s (idle)" in shown.written[-1]


def test_a_title_that_a_prompt_sets_stays_until_the_next_minute(tmp_path: Path) -> None:
    shown = Shown(tmp_path)
    shown.face.tick()
    shown.gate.begin(b"\x1b]0;root@vm: /\x07# ")
    shown.gate.end()
    shown.now += 10
    shown.face.tick()
    assert len(shown.written) == 1

    shown.now += 50
    shown.face.tick()

    assert len(shown.written) == 2


def test_at_the_end_everything_is_taken_back(tmp_path: Path) -> None:
    shown = Shown(tmp_path)
    shown.heard(290, IDLE)

    shown.face.close()

    assert shown.written[-1] == "\x1b[23;2t"
