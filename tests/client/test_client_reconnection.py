"""What is told of a connection that breaks, and of output that is left out."""

from __future__ import annotations

import asyncio
import io

import pytest
from in_loop import in_loop

from devboxgpu import reconnection, skipped
from devboxgpu.notices import Notices
from devboxgpu.reconnection import Reconnection
from devboxgpu.skipped import Skipped


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@in_loop
async def test_a_short_break_is_one_line_and_a_long_one_two(said: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    telling = Reconnection(Notices(said))
    telling.lost("cut")
    telling.back(0.4)
    assert said.getvalue() == "devboxgpu: reconnected after 0.4 s\n"

    monkeypatch.setattr(reconnection, "WORTH_TELLING_S", 0.0)
    telling.lost("cut")
    await asyncio.sleep(0.01)
    assert telling.is_told
    telling.back(62.0)
    assert not telling.is_told
    assert said.getvalue().splitlines()[1:] == [
        "devboxgpu: connection lost, reconnecting (Ctrl-C gives up) ...",
        "devboxgpu: reconnected after 1 min 2 s",
    ]


@in_loop
async def test_over_a_full_screen_program_a_short_break_is_not_told(said: io.StringIO) -> None:
    telling = Reconnection(Notices(said))
    telling.is_hidden = lambda: True
    telling.lost("cut")
    telling.back(0.4)

    assert said.getvalue() == ""


@in_loop
async def test_what_was_left_out_is_told_once_with_its_sum(said: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skipped, "QUIET_S", 0.01)
    redrawn: list[bool] = []
    telling = Reconnection(Notices(said))
    telling.redraw = lambda: redrawn.append(True)
    left_out = Skipped(Notices(said), telling)

    for count in (1_000_000, 2_540_000):
        left_out.add(count)
    while not redrawn:
        await asyncio.sleep(0.001)

    text = "devboxgpu: 3.5 MB of output are left out: they came faster than the connection carried\n"
    assert said.getvalue() == text
