"""Bugs planted in the control plane trip the checks of the invariants: a checker that never fails proves nothing."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from activities import provisioning, stopping, turn
from shared.domain import admission
from shared.domain.ledger import Ledger
from shared.domain.records import ShellRow
from shared.domain.states import EndReason, SessionState
from tests.control_plane.plane import Plane, plane


def trips(folder: Path, story) -> str:
    """Play a story with a bug planted; return what the check said."""

    async def run() -> str:
        async with plane(folder) as one:
            with pytest.raises(AssertionError) as found:
                await story(one)
            return str(found.value)

    return asyncio.run(run())


async def a_life(one: Plane) -> None:
    await one.opened()
    await one.call("alice", "CloseShell", shell="shell-one")
    await one.run_for(60)
    one.check_nothing_left()


def test_i1_an_admission_that_looks_at_no_cap_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(admission, "admissible_type", lambda _, waiter: waiter.gpu_types[0])

    async def story(one: Plane) -> None:
        await one.enable(cap=1)
        for number in range(3):
            await one.open("alice", f"shell-{number}x")
        await one.run_for(5)
        one.check_invariants()

    assert "more reserved" in trips(tmp_path, story)


def test_i3_an_app_whose_name_is_not_the_sessions_is_found(tmp_path, monkeypatch):
    numbers = itertools.count()
    monkeypatch.setattr(provisioning.names, "app_name", lambda session: f"dbg-{session[:20]}{next(numbers)}")

    async def story(one: Plane) -> None:
        await one.open()
        await one.run_for(30)
        one.check_invariants()

    trips(tmp_path, story)


def test_i4_a_release_that_leaves_the_ledger_as_it_is_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(Ledger, "without_one", lambda ledger, *_, **__: ledger)

    trips(tmp_path, a_life)


def test_i5_a_release_before_azure_confirms_that_the_app_is_gone_is_found(tmp_path, monkeypatch):
    release = stopping._release
    monkeypatch.setattr(stopping, "_remove", lambda step: step.world.apps.delete("none") and release(step))

    assert "without a session" in trips(tmp_path, a_life)


def test_i8_a_stop_that_does_not_guard_the_shells_rows_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(turn.Turn, "shell_updates", lambda *_, **__: ())

    async def story(one: Plane) -> None:
        await one.opened()
        await one.call("carol", "StopSession", {}, session=one.shell_row().session)
        await one.run_for(30)
        assert one.shell_row().stop_reason is EndReason.STOPPED_BY_ADMINISTRATOR, "the shell was never told"

    assert "never told" in trips(tmp_path, story)


def test_i8_an_idle_rule_that_waits_for_no_silent_client_is_found(tmp_path, monkeypatch):
    facts = ShellRow.facts
    monkeypatch.setattr(ShellRow, "facts", lambda row: replace(facts(row), busy_until=None))

    async def story(one: Plane) -> None:
        await one.enable(idle={"timeoutMinutes": 10, "graceMinutes": 60})
        await one.opened()
        assert await one.renew(gpuUtilizationPercent=93) == 200
        await one.run_for(30 * 60)
        one.check_invariants()

    assert "it was busy when it was last heard" in trips(tmp_path, story)


def test_i17_a_session_whose_driver_is_never_replaced_is_found(tmp_path, monkeypatch):
    async def nobody(*_: object) -> None:
        return

    monkeypatch.setattr("activities.keeping.replace_lost_drivers", nobody)

    async def story(one: Plane) -> None:
        one.drivers.lose_starts = 1
        view = await one.open()
        await one.run_for(600)
        assert one.session(view["session"]).app_put_at is not None, "nobody drives"

    assert "nobody drives" in trips(tmp_path, story)


def test_i20_a_write_of_an_older_driver_is_found_when_the_fence_is_down(tmp_path, monkeypatch):
    class Unfenced(turn.Order):
        """An order that is of whatever epoch the row is in."""

        def __getattribute__(self, name):
            return Anything() if name == "epoch" else super().__getattribute__(name)

    class Anything(int):
        def __ne__(self, other):
            return False

        __hash__ = int.__hash__

    monkeypatch.setattr(turn, "Order", Unfenced)

    async def story(one: Plane) -> None:
        view = await one.opened()
        row = one.session(view["session"])
        stored = one.world.sessions.session(row.project, row.session)
        assert stored is not None
        newer = msgspec.structs.replace(row, epoch=row.epoch + 1, round=0, next_look_at=None)
        assert one.world.sessions.commit(row.project, [turn.Update(stored.key, newer, stored.etag)])
        one.keeps_house_every_s = 10_000.0
        await one.run_for(400)
        assert one.session(view["session"]).state is SessionState.RUNNING, "an older driver wrote"

    assert "an older driver wrote" in trips(tmp_path, story)
