"""The sweep: what Azure, the engine or a hand behind our back has put out of joint is in order again after one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from activities import sweep_lease
from activities.sweep_lease import start_if_due, start_if_overdue
from shared.domain import names
from shared.domain.names import ProjectId
from shared.domain.records import LedgerRow, OutboxRow, SessionRow, ShellRow, WakeRow
from shared.domain.states import EndReason, SessionState
from shared.domain.sweep_records import DeadRow, ListedRow, SeenRow, SuspectRow, SweepRow
from shared.domain.usage import UsageRow
from shared.ports.container_apps import AppSpec
from shared.ports.sessions import CORE
from shared.ports.tables import Insert, Update
from tests.control_plane.fakes import FakeApp
from tests.control_plane.plane import Plane, plane

DEMO = ProjectId("demo")
STRAY = "dbg-" + "z" * 26


def play(folder: Path, story, **settings: str) -> None:
    async def run() -> None:
        async with plane(folder, **settings) as one:
            await story(one)

    asyncio.run(run())


def make_behind_our_back(one: Plane, name: str = STRAY, *, platform: str = "devboxgpu", project: str = "demo") -> None:
    """Make an app with our tags that no session has asked for."""
    tags = {"devboxgpu-control-plane": platform, "devboxgpu-project": project}
    spec = AppSpec(
        name=name, region="westus3", environment_id="/e", profile="T4", image="i", cpu=8.0, memory_gib=56, tags=tags
    )
    one.azure.apps[name] = FakeApp(spec, one.clock.now())
    one.azure.history.append((name, one.clock.now(), None))


def told(one: Plane, event_type: str) -> list[OutboxRow]:
    """Return what the audit and the outbox say of one type."""
    rows = [*one.tables.rows("audit", "o-", OutboxRow), *one.tables.rows(CORE, "o-0", OutboxRow)]
    return [row for row in rows if row.event_type == f"DevBoxGpu.{event_type}"]


def rewrite(one: Plane, key: str, kind: type, **changed: object) -> None:
    """Change a row behind the control plane's back."""
    stored = one.tables.read(CORE, DEMO, key, kind)
    assert one.tables.commit(CORE, DEMO, [Update(key, msgspec.structs.replace(stored.row, **changed), stored.etag)])


def age(one: Plane, session: str, hours: float) -> None:
    row = one.session(session)
    rewrite(one, names.session_key(row.session), SessionRow, ended_at=row.ended_at - timedelta(hours=hours))


# orphans


def test_an_app_made_behind_our_back_is_gone_within_one_sweep_and_told_once(tmp_path):
    async def story(one: Plane) -> None:
        await one.opened()
        make_behind_our_back(one)

        await one.sweep()
        await one.run_for(10)

        one.check_invariants()
        assert one.azure.there() == [f"dbg-{one.shell_row().session}"]
        (removed,) = told(one, "Sweep.OrphanRemoved")
        assert (removed.data["app"], removed.subject) == (STRAY, f"containerApps/{STRAY}")
        assert [row.event_type for _, _, row in one.topic.published].count(removed.event_type) == 1
        await one.run_for(300)
        await one.sweep()
        assert one.tables.rows("seen", "dbg-", SuspectRow) == []
        assert len(told(one, "Sweep.OrphanRemoved")) == 1

    play(tmp_path, story)


@pytest.mark.parametrize("project", ["demo", "Nonsense!", "other-project"])
def test_an_orphan_goes_whatever_its_project_tag_says(tmp_path, project):
    async def story(one: Plane) -> None:
        make_behind_our_back(one, project=project)
        make_behind_our_back(one, "some-app", project=project)

        await one.sweep()
        await one.run_for(10)

        one.check_nothing_left()
        assert len(told(one, "Sweep.OrphanRemoved")) == 2

    play(tmp_path, story)


def test_an_app_of_another_control_plane_is_not_ours_to_delete(tmp_path):
    async def story(one: Plane) -> None:
        make_behind_our_back(one, platform="another")

        await one.sweep()
        await one.sweep()

        assert one.azure.there() == [STRAY]

    play(tmp_path, story)


def test_an_app_of_an_ended_session_is_an_orphan_and_that_of_a_live_one_never(tmp_path):
    async def story(one: Plane) -> None:
        await one.opened()
        view = await one.opened(shell="shell-two")
        await one.call("alice", "CloseShell", shell="shell-two")
        await one.run_for(30)
        make_behind_our_back(one, f"dbg-{view['session']}")

        await one.sweep()
        await one.run_for(10)

        one.check_invariants()
        assert len(one.azure.there()) == 1

    play(tmp_path, story)


@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_list_that_fails_on_any_page_deletes_nothing_and_wakes_nobody(tmp_path, page):
    async def story(one: Plane) -> None:
        view = await one.opened()
        for letter in "abcde":
            make_behind_our_back(one, "dbg-" + letter * 26)
        one.azure.vanish(f"dbg-{view['session']}")
        one.azure.page_size, one.azure.list_fails_on_page = 2, page

        await one.sweep()
        await one.run_for(60)

        assert len(one.azure.there()) == 5
        assert one.tables.rows("seen", "dbg-", SuspectRow) == []
        assert told(one, "Sweep.Repaired") == []
        one.azure.list_fails_on_page = None
        await one.run_for(300)
        await one.sweep()
        await one.run_for(10)
        assert one.azure.there() == []

    play(tmp_path, story)


def test_a_suspect_that_azure_does_not_tell_of_or_whose_row_cannot_be_read_stays(tmp_path):
    async def story(one: Plane) -> None:
        make_behind_our_back(one)
        one.azure.unknown_looks = 100

        await one.sweep()
        assert one.azure.there() == [STRAY]
        one.azure.unknown_looks = 0
        await one.run_for(300)
        await one.sweep()
        await one.run_for(10)

        assert one.azure.there() == []

    play(tmp_path, story)


# drivers


@pytest.mark.parametrize("how", ["terminated", "purged", "failed"])
@pytest.mark.parametrize("state", [SessionState.RUNNING, SessionState.STOPPING, SessionState.PROVISIONING])
def test_a_session_whose_orchestration_is_destroyed_is_ended_and_settled_after_one_sweep(tmp_path, how, state):
    async def story(one: Plane) -> None:
        one.keeps_house_every_s = 10_000.0
        one.azure.delete_takes = timedelta(seconds=60)
        view = await one.open()
        await one.run_for(2 if state is SessionState.PROVISIONING else 30)
        await one.call("alice", "CloseShell", shell="shell-one") if state is SessionState.STOPPING else None
        await one.run_for(15)
        await destroy(one, f"{view['session']}-1", how)
        closed = one.session(view["session"])
        if closed.stop_reason is None:  # closed in the row alone: nobody is woken
            rewrite(one, names.session_key(closed.session), SessionRow, stop_reason=EndReason.STOPPED_BY_USER)

        await one.sweep()
        await one.run_for(120)

        assert one.session(view["session"]).epoch == 2
        one.check_nothing_left()

    play(tmp_path, story)


async def destroy(one: Plane, instance: str, how: str) -> None:
    if how == "failed":
        await one.engine.change_faults({"failEpisodes": {"count": 1, "instance": instance, "now": True}})
    else:
        await one.drivers._api.terminate(instance, "test")
    await one.settle()
    if how == "purged":
        await one.drivers._api.purge(instance)
    await one.run_for(1)


def test_a_driver_that_lives_is_left_alone(tmp_path):
    async def story(one: Plane) -> None:
        view = await one.opened()
        await one.sweep()

        assert one.session(view["session"]).epoch == 1
        assert told(one, "Session.DriverReplaced") == []

    play(tmp_path, story)


def test_a_session_whose_app_is_gone_is_ended_by_its_driver_long_before_it_would_have_looked(tmp_path):
    async def story(one: Plane) -> None:
        view = await one.opened()
        one.azure.vanish(f"dbg-{view['session']}")

        await one.sweep()

        row = one.session(view["session"])
        assert (row.state, row.end_reason) == (SessionState.ENDED, EndReason.APP_LOST)
        (repaired,) = told(one, "Sweep.Repaired")
        assert repaired.data["what"] == "AppMissing"
        one.check_nothing_left()

    play(tmp_path, story)


def test_a_wake_up_that_nobody_saw_is_raised_again_by_the_sweep(tmp_path):
    async def story(one: Plane) -> None:
        view = await one.opened()
        one.keeps_house_every_s = 10_000.0
        await one.engine.change_faults({"loseEvents": {"count": 1, "instance": view["session"]}})
        await one.call("alice", "CloseShell", shell="shell-one")
        await one.run_for(31)
        assert one.session(view["session"]).state is SessionState.RUNNING

        await one.sweep()
        await one.run_for(30)

        one.check_nothing_left()

    play(tmp_path, story)


# the books


def test_a_ledger_that_has_drifted_is_counted_anew_from_the_rows_with_one_audit_row(tmp_path):
    async def story(one: Plane) -> None:
        await one.opened()
        user = one.shell_row().user
        rewrite(one, names.LEDGER_KEY, LedgerRow, by_type={"T4": 3}, by_user={user: 2, "ghost": 1})

        await one.sweep()

        one.check_invariants()
        assert one.reserved() == 1
        (repaired,) = told(one, "Sweep.Repaired")
        assert repaired.data["what"] == "LedgerDrift"
        assert "T4: 3 counted, 1 held" in str(repaired.data["detail"])

    play(tmp_path, story)


def test_a_place_that_a_repair_frees_goes_to_who_stands_in_line(tmp_path):
    async def story(one: Plane) -> None:
        await one.enable(cap=1)
        one.keeps_house_every_s = 10_000.0
        rewrite(one, names.LEDGER_KEY, LedgerRow, by_type={"T4": 1}, by_user={"ghost": 1})
        view = await one.open(wait=True)
        assert one.session(view["session"]).state is SessionState.WAITING

        await one.sweep()
        await one.run_for(30)

        assert one.session(view["session"]).state is SessionState.RUNNING
        one.check_invariants()

    play(tmp_path, story)


def test_admissions_beside_a_sweep_are_not_taken_for_drift(tmp_path):
    async def story(one: Plane) -> None:
        await one.enable(cap=10, per_user=10)
        await one.drivers.start_sweep(10**8)
        await asyncio.gather(*(one.open(shell=f"shell-{number}x") for number in range(5)))
        await one.run_for(60)

        one.check_invariants()
        assert one.reserved() == 5
        assert told(one, "Sweep.Repaired") == []

    play(tmp_path, story)


def test_usage_of_a_running_session_is_written_down_and_a_second_sweep_changes_nothing(tmp_path):
    async def story(one: Plane) -> None:
        view = await one.opened()
        one.keeps_house_every_s = 10_000.0
        await one.hold_for(900)
        await one.sweep()
        (row,) = one.tables.rows("usage", view["session"], UsageRow)
        assert (row.settled, row.seconds > 800) == (False, True)

        await one.call("alice", "CloseShell", shell="shell-one")
        await one.run_for(30)
        settled = one.tables.rows("usage", view["session"], UsageRow)
        await one.run_for(900)
        await one.sweep()

        assert one.tables.rows("usage", view["session"], UsageRow) == settled
        assert settled[0].settled

    play(tmp_path, story)


def test_what_is_past_keeping_leaves_the_live_table_once_the_history_has_it(tmp_path):
    async def story(one: Plane) -> None:
        old = await one.opened()
        await one.call("alice", "CloseShell", shell="shell-one")
        await one.run_for(30)
        young = await one.opened(shell="shell-two")
        await one.call("alice", "CloseShell", shell="shell-two")
        await one.run_for(30)
        age(one, old["session"], 25)
        one.tables._rows = {place: row for place, row in one.tables._rows.items() if place[0] != "history"}

        await one.sweep()

        assert [row.session for row in one.tables.rows(CORE, "s-", SessionRow)] == [young["session"]]
        assert [row.session for row in one.tables.rows(CORE, "h-", ShellRow)] == [young["session"]]
        kept = {place[1]: key for place, key in one.tables._rows.items() if place[0] == "history"}
        assert sorted(kept) == ["demo~202611", "demo~202611~shells"] or sorted(kept) == ["demo~202611"]
        assert len([place for place in one.tables._rows if place[0] == "history"]) == 2

    play(tmp_path, story)


def test_rows_of_events_and_surveys_go_when_their_time_is_over(tmp_path):
    async def story(one: Plane) -> None:
        now = one.clock.now()

        def put(partition: str, row: object) -> None:
            assert one.tables.commit("seen", partition, [Insert("k", row)])

        for days in (0, 1, 2, 4):
            put(f"{now - timedelta(days=days):%Y%m%d}", SeenRow(event_type="t", at=now))
        for days in (1, 29, 32):
            put(f"dead~{now - timedelta(days=days):%Y%m%d}", DeadRow(reason="r", at=now))
        put(f"listed~{now - timedelta(days=2):%Y%m%d}", ListedRow(sessions=[]))

        await one.sweep()

        left = sorted(place[1] for place in one.tables._rows if place[0] == "seen" and place[2] == "k")
        assert left == ["20261119", "20261120", "20261121", "dead~20261023", "dead~20261120"]

    play(tmp_path, story)


# the sweep itself


def sweeps_begun(one: Plane) -> int:
    return one.caller.calls.count("survey_apps")


def test_the_timer_starts_one_sweep_a_slot_however_often_it_ticks(tmp_path):
    async def story(one: Plane) -> None:
        one.sweeps = True
        await one.run_for(295)
        assert sweeps_begun(one) == 0
        await one.run_for(900)
        assert sweeps_begun(one) == 3

    play(tmp_path, story)


def test_a_start_that_the_engine_loses_is_made_up_for_in_the_same_slot(tmp_path):
    async def story(one: Plane) -> None:
        lost = [one.drivers.start_sweep]

        async def lose(slot: int) -> None:
            one.drivers.start_sweep = lost.pop()

        one.drivers.start_sweep = lose
        one.sweeps = True
        await one.run_for(320)

        assert sweeps_begun(one) == 1

    play(tmp_path, story)


def test_a_call_starts_the_sweep_that_a_silent_timer_does_not(tmp_path):
    async def story(one: Plane) -> None:
        make_behind_our_back(one)
        await one.opened()
        await one.hold_for(500)
        assert sweeps_begun(one) == 0

        await one.run_for(260)
        await one.open(shell="shell-nine")
        await one.run_for(40)

        assert sweeps_begun(one) == 1
        assert STRAY not in one.azure.there()

    play(tmp_path, story)


def test_not_every_call_looks_for_an_overdue_sweep(tmp_path):
    async def story(one: Plane) -> None:
        assert not await start_if_overdue(one.world, one.drivers)
        await one.run_for(601)
        assert [await start_if_overdue(one.world, one.drivers) for _ in range(3)] == [True, False, False]

    play(tmp_path, story)


def test_two_sweeps_at_once_repair_once(tmp_path):
    async def story(one: Plane) -> None:
        view = await one.opened()
        make_behind_our_back(one)
        await destroy(one, f"{view['session']}-1", "terminated")
        rewrite(one, names.LEDGER_KEY, LedgerRow, by_type={"T4": 3}, by_user={"ghost": 3})

        await both_lead(one)

        assert one.session(view["session"]).epoch == 2
        assert len(told(one, "Session.DriverReplaced")) == 1
        assert len(told(one, "Sweep.Repaired")) == 1
        assert len(told(one, "Sweep.OrphanRemoved")) == 1
        await one.run_for(10)
        one.check_invariants()

    play(tmp_path, story)


async def both_lead(one: Plane) -> None:
    with without_lease():
        await asyncio.gather(one.drivers.start_sweep(7), one.drivers.start_sweep(8))
        await one.run_for(40)


@contextmanager
def without_lease() -> Iterator[None]:
    """Let every sweep believe that it leads."""
    kept = sweep_lease.may_lead
    sweep_lease.may_lead = lambda *_: True
    try:
        yield
    finally:
        sweep_lease.may_lead = kept


def test_a_second_sweep_keeps_away_while_another_has_the_lease_and_comes_when_it_has_run_out(tmp_path):
    async def story(one: Plane) -> None:
        now = one.clock.now()
        stored = one.tables.read("seen", "sweep", "lease", SweepRow)
        held = msgspec.structs.replace(
            stored.row, holder="another", expires_at=now + timedelta(minutes=4), finished_at=None
        )
        assert one.tables.commit("seen", "sweep", [Update("lease", held, stored.etag)])
        await one.sweep()
        assert sweeps_begun(one) == 0

        await one.run_for(300)
        assert await start_if_due(one.world, one.drivers)
        await one.run_for(40)

        assert sweeps_begun(one) == 1

    play(tmp_path, story)


WRITES_OF_A_SWEEP = 33


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("write", range(1, WRITES_OF_A_SWEEP + 1))
def test_a_sweep_that_dies_at_any_write_leaves_to_the_next_what_it_has_not_done(tmp_path, write, when):
    async def story(one: Plane) -> None:
        view = await trouble_of_every_kind(one)
        one.tables.crash_at = (one.tables.commits + write, when)
        await one.sweep()
        await one.run_for(300)
        await one.sweep()
        await one.run_for(90)

        one.check_nothing_left()
        assert one.session(view["session"]).epoch >= 2
        assert len(told(one, "Sweep.OrphanRemoved")) == 1
        assert len([row for row in told(one, "Sweep.Repaired") if row.data["what"] == "LedgerDrift"]) == 1
        assert len(one.tables.rows(CORE, "s-", SessionRow)) == 1

    play(tmp_path, story)


async def trouble_of_every_kind(one: Plane) -> dict[str, str]:
    """An orphan, a destroyed driver, a drifted ledger, and a session that is past keeping."""
    old = await one.opened(shell="shell-old")
    await one.call("alice", "CloseShell", shell="shell-old")
    await one.run_for(30)
    age(one, old["session"], 25)
    view = await one.opened()
    make_behind_our_back(one)
    await destroy(one, f"{view['session']}-1", "terminated")
    rewrite(one, names.session_key(one.shell_row().session), SessionRow, stop_reason=EndReason.STOPPED_BY_USER)
    rewrite(one, names.LEDGER_KEY, LedgerRow, by_type={"T4": 2}, by_user={one.shell_row().user: 2})
    await one.run_for(6)
    return view


def test_the_writes_that_are_crashed_cover_a_whole_sweep(tmp_path):
    async def story(one: Plane) -> None:
        await trouble_of_every_kind(one)
        before = one.tables.commits
        await one.sweep()
        assert WRITES_OF_A_SWEEP - 15 <= one.tables.commits - before <= WRITES_OF_A_SWEEP

    play(tmp_path, story)


@pytest.mark.parametrize("activity", range(8))
def test_a_step_of_a_sweep_that_is_lost_with_its_worker_stops_no_other(tmp_path, activity):
    async def story(one: Plane) -> None:
        await one.enable("other")
        view = await trouble_of_every_kind(one)
        one.keeps_house_every_s = 10_000.0
        await one.engine.change_faults({"failActivities": {"count": 1, "skip": activity}})
        await one.sweep()
        await one.run_for(120)

        assert one.session(view["session"]).state is SessionState.ENDED
        row = one.tables.read("seen", "sweep", "lease", SweepRow)
        assert row.row.finished_at is not None

    play(tmp_path, story)


def test_a_project_that_cannot_be_swept_stops_no_other(tmp_path, monkeypatch):
    from activities import sweeping

    sound = sweeping.sweep_sessions

    async def fails_in_demo(look, *more, **options):
        if look.project == "demo":
            raise RuntimeError("a row that nobody can read")
        return await sound(look, *more, **options)

    monkeypatch.setattr(sweeping, "sweep_sessions", fails_in_demo)

    async def story(one: Plane) -> None:
        await one.enable("other")
        other = one.tables.read(CORE, "other", names.LEDGER_KEY, LedgerRow)
        wrong = msgspec.structs.replace(other.row, by_type={"T4": 3}, by_user={"ghost": 3})
        assert one.tables.commit(CORE, "other", [Update(names.LEDGER_KEY, wrong, other.etag)])

        await one.sweep()

        assert one.reserved("other") == 0
        assert one.tables.read("seen", "sweep", "lease", SweepRow).row.finished_at is not None

    play(tmp_path, story)


# on request


def test_an_operator_has_a_project_swept_and_is_told_what_was_found(tmp_path):
    async def story(one: Plane) -> None:
        view = await one.opened()
        make_behind_our_back(one)
        await destroy(one, f"{view['session']}-1", "terminated")
        rewrite(one, names.LEDGER_KEY, LedgerRow, by_type={"T4": 3}, by_user={"ghost": 3})
        await one.run_for(4)

        status, dry, _ = await one.call("olga", "SweepProject", query={"dryRun": "true"})
        assert status == 200
        found = {(entry["what"], entry["repaired"]) for entry in dry["found"]}
        assert found == {("OrphanApp", False), ("DriverLost", False), ("LedgerDrift", False)}
        assert (dry["dryRun"], dry["apps"], dry["sessions"], dry["unknown"]) == (True, 2, 1, [])
        assert one.session(view["session"]).epoch == 1
        assert one.tables.rows("seen", "dbg-", SuspectRow) == []

        _, first, _ = await one.call("olga", "SweepProject")
        found = {(entry["what"], entry["repaired"]) for entry in first["found"]}
        assert found == {("OrphanApp", False), ("DriverLost", True), ("LedgerDrift", True)}
        await one.run_for(31)
        _, second, _ = await one.call("olga", "SweepProject")
        assert [(entry["what"], entry["repaired"]) for entry in second["found"]] == [("OrphanApp", True)]
        await one.run_for(10)
        one.check_invariants()

    play(tmp_path, story)


def test_a_sweep_on_request_says_what_it_could_not_ask(tmp_path):
    async def story(one: Plane) -> None:
        make_behind_our_back(one)
        one.azure.list_fails_on_page = 1

        _, report, _ = await one.call("olga", "SweepProject")

        assert report["found"] == []
        assert [text.partition(":")[0] for text in report["unknown"]] == ["Azure's list of apps"]

    play(tmp_path, story)


@pytest.mark.parametrize(("who", "status"), [("carol", 404), ("alice", 404), (None, 401), ("olga", 200)])
def test_only_an_operator_may_have_a_sweep(tmp_path, who, status):
    async def story(one: Plane) -> None:
        assert (await one.call(who, "SweepProject"))[0] == status

    play(tmp_path, story)


def test_a_project_that_there_is_not_cannot_be_swept(tmp_path):
    async def story(one: Plane) -> None:
        assert (await one.call("olga", "SweepProject", project="nowhere"))[0] == 404

    play(tmp_path, story)


def test_wake_ups_of_sessions_that_are_over_are_cleared_away(tmp_path):
    async def story(one: Plane) -> None:
        row = WakeRow(session=names.SessionId("a" * 26), why="close", created_at=one.clock.now() - timedelta(minutes=1))
        assert one.tables.commit(CORE, DEMO, [Insert("o-w-" + "a" * 26 + "-1", row)])
        one.keeps_house_every_s = 10_000.0

        await one.sweep()

        assert one.wakes() == []

    play(tmp_path, story)
