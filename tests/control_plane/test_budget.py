"""A project's budget: held before it is spent, warned of, alerted once, and overrun by one slice at most."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from shared.domain.names import ProjectId
from shared.domain.pricing import GpuType
from shared.domain.records import LedgerRow
from shared.domain.states import EndReason, SessionState
from tests.control_plane.plane import Plane

SLICE_COST = Decimal("0.389700")
"""Fifteen minutes at the fake's price of 0.000433 USD a second."""


def ledger(one: Plane) -> LedgerRow:
    stored = one.world.sessions.ledger(ProjectId("demo"))
    assert stored is not None
    return stored.row


async def budget(one: Plane, amount: str, *, hard: bool = True, **more) -> None:
    settings = {"monthlyAmount": amount, "hardStop": hard, "alertPercents": [50, 100]}
    await one.enable(budget=settings, idle={"timeoutMinutes": 600}, **more)


async def held_for(one: Plane, minutes: int, *others: tuple[str, str], shell: str = "shell-one") -> list[dict]:
    """Let minutes pass with a renewal each, of other users' shells too; return the warnings that were told."""
    told: list[dict] = []
    for _ in range(minutes):
        await one.run_for(60)
        for user, its in others:
            await one.renew(user, its)
        status, answer, _ = await one.call("alice", "RenewLease", {"activeSecondsAgo": 0}, shell=shell)
        told += [warning for warning in (answer or {}).get("warnings", []) if warning not in told]
        if status != 200:
            break
    return told


def test_each_slice_is_held_before_it_is_spent_and_freed_at_the_end(played_exactly):
    async def story(one: Plane):
        await budget(one, "5")
        view = await one.opened()
        assert ledger(one).authorised == {view["session"]: SLICE_COST}
        await held_for(one, 40)
        row, book = one.session(view["session"]), ledger(one)
        assert row.state is SessionState.RUNNING
        assert row.authorised_until > one.clock.now()
        so_far = Decimal(str((one.clock.now() - row.replica_started_at).total_seconds())) * Decimal("0.000433")
        assert so_far <= book.authorised[view["session"]] <= so_far + SLICE_COST
        await one.call("alice", "CloseShell", shell="shell-one")
        await one.run_for(30)
        assert (ledger(one).authorised, ledger(one).accrued) == ({}, {})
        assert ledger(one).spent == Decimal("0.000433") * one.session(view["session"]).metered_s

    played_exactly(story)


def test_a_session_that_the_budget_does_not_bear_is_warned_and_ends_within_what_was_held(played_exactly):
    async def story(one: Plane):
        await budget(one, "1.00")
        view = await one.opened()
        told = await held_for(one, 120)
        row = one.session(view["session"])
        await one.run_for(60)
        row = one.session(view["session"])
        assert (row.state, row.end_reason) == (SessionState.ENDED, EndReason.BUDGET_EXHAUSTED)
        assert {warning["kind"] for warning in told} == {"BudgetExhausted"}
        assert "budget" in told[0]["message"]
        warned_s = (row.ordered_stop_at - row.running_at).total_seconds()
        assert warned_s > 0
        assert ledger(one).spent <= Decimal("1.00") + SLICE_COST
        assert ledger(one).spent > Decimal("1.00") - SLICE_COST
        refused = await one.open("bob", "shell-two")
        assert refused["error"]["code"] == "BudgetExhausted"
        await one.run_for(10)
        one.check_nothing_left()

    played_exactly(story)


def test_two_sessions_share_one_budget_and_neither_goes_beyond_it(played_exactly):
    async def story(one: Plane):
        await budget(one, "1.20", cap=4)
        await one.opened("alice", "shell-one")
        await one.open("bob", "shell-two")
        for _ in range(120):
            await one.run_for(60)
            await one.renew("alice", "shell-one")
            await one.renew("bob", "shell-two")
            book = ledger(one)
            assert book.spent + sum(book.authorised.values()) <= Decimal("1.20") + SLICE_COST
        rows = one.world.sessions.sessions(ProjectId("demo"))
        assert {row.end_reason for row in rows} == {EndReason.BUDGET_EXHAUSTED}
        assert ledger(one).spent <= Decimal("1.20") + SLICE_COST

    played_exactly(story)


def test_a_budget_that_is_raised_calls_the_stop_off_and_lets_in_who_waits(played_exactly):
    async def story(one: Plane):
        await budget(one, "0.60")
        view = await one.opened()
        waiting = await one.open("bob", "shell-two", wait=True)
        assert waiting["state"] == "Waiting"
        _, operation, _ = await one.call("bob", "GetOperation", operation=f"open-{waiting['session']}")
        assert "budget" in operation["waitReason"]
        told = await held_for(one, 11, ("bob", "shell-two"))
        assert [warning["kind"] for warning in told] == ["BudgetExhausted"]
        await budget(one, "50")
        await one.run_for(30)
        assert one.session(waiting["session"]).state is SessionState.RUNNING
        assert await held_for(one, 30) == []
        assert one.session(view["session"]).state is SessionState.RUNNING

    played_exactly(story)


def test_each_percentage_is_told_once_a_month_and_to_a_soft_budget_too(played_exactly):
    async def story(one: Plane):
        await budget(one, "0.30", hard=False)
        for shell in ("shell-one", "shell-two", "shell-six"):
            await one.opened("alice", shell)
            await held_for(one, 6, shell=shell)
            await one.call("alice", "CloseShell", shell=shell)
            await one.run_for(60)
        told = [event for _, _, event in one.topic.published if event.event_type == "DevBoxGpu.Budget.ThresholdReached"]
        assert [event.data["percent"] for event in told] == [50, 100]
        assert ledger(one).alerted == [50, 100]

    played_exactly(story)


def test_a_new_month_begins_with_nothing_spent_and_a_session_over_midnight_is_booked_in_both(played_exactly):
    async def story(one: Plane):
        await budget(one, "5")
        one.keeps_house_every_s = 1_000_000.0
        await one.run_for((9 * 24 + 14) * 3600 + 3500)
        one.keeps_house_every_s = 5.0
        assert f"{one.clock.now():%d %H}" == "30 23"
        view = await one.opened()
        await held_for(one, 30)
        assert ledger(one).month == "2026-12"
        await one.call("alice", "CloseShell", shell="shell-one")
        await one.run_for(30)
        row = one.session(view["session"])
        whole = Decimal("0.000433") * row.metered_s
        assert Decimal(0) < ledger(one).spent < whole

    played_exactly(story)


def test_the_world_is_told_once_of_a_near_idle_stop_and_the_person_at_each_of_the_policys_minutes(
    played_exactly,
):
    async def story(one: Plane):
        await one.enable(idle={"timeoutMinutes": 20, "warnMinutes": [5, 1]})
        await one.opened()
        told: list[str] = []
        for _ in range(200):
            await one.run_for(6)
            began = (one.clock.now() - one.session(one.shell_row().session).running_at).total_seconds()
            status, answer, _ = await one.call("alice", "RenewLease", {"activeSecondsAgo": began}, shell="shell-one")
            if status != 200:
                break
            told += [each["message"] for each in answer.get("warnings", []) if each["message"] not in told]
        assert len(told) == 2
        assert "within 5 min" in told[0]
        assert "within 1 min" in told[1]
        assert f"devboxgpu sessions extend {one.shell_row().session}" in told[0]
        events = [event.event_type for _, _, event in one.topic.published]
        assert events.count("DevBoxGpu.Session.IdleWarning") == 1

    played_exactly(story)


def test_a_renewal_is_asked_for_in_time_for_the_next_warning(played_exactly):
    async def story(one: Plane):
        await one.enable(idle={"timeoutMinutes": 20, "warnMinutes": [5, 1]})
        await one.opened()
        await held_for(one, 16)
        _, early, _ = await one.call("alice", "RenewLease", {"activeSecondsAgo": 0}, shell="shell-one")
        assert early["renewAfterSeconds"] == 60
        for _ in range(14):
            await one.run_for(60)
            await one.renew(active_s_ago=86_400)
        await one.run_for(30)
        _, late, _ = await one.call("alice", "RenewLease", {"activeSecondsAgo": 86_400}, shell="shell-one")
        assert late["renewAfterSeconds"] == pytest.approx(30, abs=1)

    played_exactly(story)


def test_a_session_that_began_before_there_was_a_budget_is_held_to_it_from_then_on(played_exactly):
    async def story(one: Plane):
        await one.opened()
        await budget(one, "5")
        await held_for(one, 20)
        (row,) = one.world.sessions.sessions(ProjectId("demo"))
        assert row.state is SessionState.RUNNING
        assert ledger(one).authorised[row.session] > 0

    played_exactly(story)


def test_a_budget_that_comes_too_late_for_a_running_session_warns_it_before_it_ends(played_exactly):
    async def story(one: Plane):
        await one.enable(idle={"timeoutMinutes": 600, "warnMinutes": [5, 1]})
        view = await one.opened()
        await held_for(one, 60)
        await budget(one, "0.50")
        set_at = one.clock.now()
        told = await held_for(one, 30)
        row = one.session(view["session"])
        assert (row.state, row.end_reason) == (SessionState.ENDED, EndReason.BUDGET_EXHAUSTED)
        assert timedelta(minutes=5) <= row.stopping_at - set_at < timedelta(minutes=15)
        assert {warning["kind"] for warning in told} == {"BudgetExhausted"}
        assert [warning["message"].split(",")[0] for warning in told] == [
            "This session stops within 5 min",
            "This session stops within 1 min",
        ]

    played_exactly(story)


def test_a_stop_that_the_budget_brings_does_not_put_off_one_that_comes_before_it(played_exactly):
    async def story(one: Plane):
        await budget(one, "0.50")
        view = await one.opened()
        await one.enable(
            budget={"monthlyAmount": "0.50", "hardStop": True},
            idle={"timeoutMinutes": 600, "warnMinutes": [10]},
        )
        await held_for(one, 3)
        status, answer, _ = await one.call(
            "olga", "UpdateSettings", {"serverlessGpuSessionsSettings": {"serverlessGpuSessionsMode": "Disabled"}},
            headers={"if-match": "*"}, query={"runningSessions": "stop"},
        )  # fmt: skip
        assert status == 200, answer
        stop_at = one.clock.now() + timedelta(minutes=10)
        told = await held_for(one, 12)
        row = one.session(view["session"])
        assert row.end_reason is EndReason.PROJECT_DISABLED
        assert row.stopping_at - stop_at < timedelta(seconds=5)
        assert {warning["kind"] for warning in told} == {"ProjectDisabled"}

    played_exactly(story)


def test_a_raised_budget_is_told_of_anew(played_exactly):
    async def story(one: Plane):
        await budget(one, "0.30", hard=False)
        await one.opened()
        one.sweeps = True
        await held_for(one, 20)
        assert ledger(one).alerted == [50, 100]
        await budget(one, "1.60", hard=False)
        assert ledger(one).alerted == []
        await held_for(one, 30)
        assert ledger(one).alerted == [50]
        await budget(one, "1.60", hard=False, per_user=1)
        await held_for(one, 30)
        told = [event for _, _, event in one.topic.published if event.event_type == "DevBoxGpu.Budget.ThresholdReached"]
        assert sorted((event.data["monthlyAmount"], event.data["percent"]) for event in told) == [
            ("0.30", 50), ("0.30", 100), ("1.60", 50), ("1.60", 100),
        ]  # fmt: skip

    played_exactly(story)


def test_the_cost_of_a_month_is_not_spent_in_the_next_where_the_ledgers_turn_comes_after_midnight(played_exactly):
    async def story(one: Plane):
        await budget(one, "5")
        one.keeps_house_every_s = 1_000_000.0
        await one.run_for((9 * 24 + 14) * 3600)
        one.keeps_house_every_s = 5.0
        await one.opened()
        await held_for(one, 58)
        await one.run_for((datetime(2026, 12, 1, tzinfo=UTC) - one.clock.now()).total_seconds() - 5)
        ahead = timedelta(seconds=10)
        one.world.sessions._books._now = lambda: one.clock.now() + ahead
        one.world.sessions.ledgers.promote(ProjectId("demo"))
        await one.call("alice", "CloseShell", shell="shell-one")
        one.azure.delete_takes = timedelta(0)
        await one.run_for(4)
        (row,) = one.world.sessions.sessions(ProjectId("demo"))
        assert (row.state, row.ended_at.month) == (SessionState.ENDED, 11)
        assert (ledger(one).month, ledger(one).spent) == ("2026-12", 0)

    played_exactly(story)


BOTH_TYPES = [{"type": "T4", "maxConcurrent": 2}, {"type": "A100", "maxConcurrent": 1, "fallback": True}]


@pytest.mark.parametrize(("amount", "comes_up"), [("1.50", False), ("3.00", True)])
def test_another_gpu_is_held_at_its_own_price_before_it_is_taken(played_exactly, amount, comes_up):
    async def story(one: Plane):
        one.prices.by_type = {GpuType.A100: Decimal("0.002")}
        await budget(one, amount, gpuTypes=BOTH_TYPES)
        one.azure.no_gpu_in = frozenset({("westus3", "gpu-t4"), ("swedencentral", "gpu-t4")})
        one.azure.system_log = "AssigningReplicaFailed: Maximum Allowed Cores exceeded for the Managed Environment."
        view = await one.open()
        for _ in range(10):
            await one.run_for(30)
            await one.renew()
        row, book = one.session(view["session"]), ledger(one)
        if comes_up:
            assert (row.state, row.gpu_type) == (SessionState.RUNNING, GpuType.A100)
            assert book.authorised[row.session] >= Decimal("0.002") * 900
            assert row.authorised_until > one.clock.now() + timedelta(minutes=5)
        else:
            assert (row.state, row.end_reason) == (SessionState.ENDED, EndReason.NO_CAPACITY)
            assert "budget does not bear A100" in row.error_message
            assert book.authorised == {}

    played_exactly(story)


def test_a_price_that_becomes_known_while_the_session_runs_is_its_price_from_then_on(played_exactly):
    async def story(one: Plane):
        one.prices.knows = False
        view = await one.opened()
        await held_for(one, 12)
        assert one.session(view["session"]).rate is None
        one.prices.knows = True
        await held_for(one, 12)
        await one.call("alice", "CloseShell", shell="shell-one")
        await one.run_for(60)
        row = one.session(view["session"])
        assert row.rate_per_second == Decimal("0.000433")
        assert ledger(one).spent == Decimal("0.000433") * row.metered_s

    played_exactly(story)


def test_an_idle_stop_that_moves_by_a_second_is_told_to_the_world_once(played_exactly):
    async def story(one: Plane):
        await one.enable(idle={"timeoutMinutes": 20, "warnMinutes": [5, 1]})
        view = await one.opened()
        last_active_at = one.clock.now()
        for minute in range(18):
            await one.run_for(60)
            age_s = (one.clock.now() - last_active_at).total_seconds()
            assert await one.renew(active_s_ago=age_s - minute * 0.05) == 200
            await one.enable(idle={"timeoutMinutes": 20, "warnMinutes": [5, 1]})
        assert one.session(view["session"]).state is SessionState.RUNNING
        events = [event.event_type for _, _, event in one.topic.published]
        assert events.count("DevBoxGpu.Session.IdleWarning") == 1

    played_exactly(story)


def test_a_session_that_the_budget_ends_is_not_extended_and_says_why(played_exactly):
    async def story(one: Plane):
        await budget(one, "0.60")
        view = await one.opened()
        await held_for(one, 12)
        status, answer, _ = await one.call("alice", "ExtendSession", {"minutes": 30}, session=view["session"])
        assert (status, answer["error"]["code"]) == (409, "BudgetExhausted")

    played_exactly(story)


def test_a_project_that_is_disabled_does_not_put_off_the_stop_that_its_budget_brings(played_exactly):
    async def story(one: Plane):
        await budget(one, "0.60")
        view = await one.opened()
        await held_for(one, 11)
        stop_at = one.session(view["session"]).ordered_stop_at
        await one.enable(
            budget={"monthlyAmount": "0.60", "hardStop": True}, idle={"timeoutMinutes": 600, "warnMinutes": [30]}
        )
        disabled = {"serverlessGpuSessionsSettings": {"serverlessGpuSessionsMode": "Disabled"}}
        query = {"runningSessions": "stop"}
        await one.call("olga", "UpdateSettings", disabled, headers={"if-match": "*"}, query=query)
        await held_for(one, 10)
        row = one.session(view["session"])
        assert row.end_reason is EndReason.BUDGET_EXHAUSTED
        assert row.stopping_at - stop_at < timedelta(seconds=5)

    played_exactly(story)


@pytest.mark.parametrize(("limit_minutes", "told"), [(60, True), (0, False)])
def test_to_extend_is_said_only_where_it_may_be_done(played_exactly, limit_minutes, told):
    async def story(one: Plane):
        await one.enable(idle={"timeoutMinutes": 600}, maxLifetimeMinutes=10, extendLimitMinutes=limit_minutes)
        await one.opened()
        (warning, *_) = await held_for(one, 9)
        assert warning["kind"] == "MaxLifetime"
        assert ("sessions extend" in warning["message"]) is told
        assert "Save your work" in warning["message"]

    played_exactly(story)
