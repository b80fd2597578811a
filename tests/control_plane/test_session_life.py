"""A session's life, from the API down to the story, on the real engine and a virtual clock."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from shared.domain.errors import ErrorCode, Problem
from shared.domain.provisioning import AppCondition, Failure
from shared.domain.records import OutboxRow, SessionRow
from shared.domain.states import EndReason, SessionState
from shared.ports.container_apps import Later, NoGpu, NotYet
from shared.ports.tables import Update
from tests.control_plane.plane import Plane


async def ended(one: Plane, session: str, reason: EndReason) -> SessionRow:
    row = one.session(session)
    assert row.state is SessionState.ENDED, row
    assert row.end_reason is reason
    one.check_nothing_left()
    return row


def test_a_shell_opens_and_its_session_ends_when_the_shell_is_closed(played, tmp_path):
    async def story(one: Plane):
        view = await one.opened()
        assert one.reserved() == 1
        status, _, _ = await one.call("alice", "CloseShell", shell="shell-one")
        assert status == 202
        await one.run_for(30)
        row = await ended(one, view["session"], EndReason.SHELLS_CLOSED)
        assert row.metered_s is not None
        assert row.metered_s > 0

    played(tmp_path, story)


def test_a_closed_shell_is_gone_within_seconds_although_every_raised_event_is_lost(played, tmp_path):
    async def story(one: Plane):
        view = await one.opened()
        await one.engine.change_faults({"loseEvents": {"count": 3}})
        await one.call("alice", "CloseShell", shell="shell-one")
        await one.run_for(60)
        await ended(one, view["session"], EndReason.SHELLS_CLOSED)

    played(tmp_path, story)


def test_a_lapsed_lease_stops_the_session(played, tmp_path):
    async def story(one: Plane):
        view = await one.opened()
        await one.run_for(150 + 120 + 30)
        await ended(one, view["session"], EndReason.LEASE_LAPSED)

    played(tmp_path, story)


def test_an_idle_session_is_stopped_although_its_lease_is_renewed(played, tmp_path):
    async def story(one: Plane):
        view = await one.opened()
        await one.hold_for(33 * 60, active=False)
        await one.run_for(30)
        row = await ended(one, view["session"], EndReason.IDLE)
        assert row.running_at is not None
        assert row.stopping_at is not None
        assert timedelta(minutes=30) <= row.stopping_at - row.running_at <= timedelta(minutes=31)

    played(tmp_path, story)


def test_an_active_session_lives_until_its_longest_life(played, tmp_path):
    async def story(one: Plane):
        await one.enable(idle={"timeoutMinutes": 60, "graceMinutes": 30})
        view = await one.opened()
        one.keeps_house_every_s = 600.0
        await one.hold_for(8 * 3600 - 120, every_s=140)
        assert one.session(view["session"]).state is SessionState.RUNNING
        await one.hold_for(300)
        await one.run_for(30)
        row = await ended(one, view["session"], EndReason.MAX_LIFETIME)
        assert row.metered_s is not None
        assert 8 * 3600 <= row.metered_s <= 8 * 3600 + 60

    played(tmp_path, story)


def test_an_owner_stops_a_session_and_the_audit_names_who_and_why(played, tmp_path):
    async def story(one: Plane):
        view = await one.opened()
        status, _, _ = await one.call("alice", "StopSession", {"reason": "done"}, session=view["session"])
        assert status == 202
        await one.run_for(30)
        await ended(one, view["session"], EndReason.STOPPED_BY_USER)
        asked = [row for row in one.tables.rows("audit", "o-", OutboxRow) if row.event_type.endswith("StopRequested")]
        assert [row.data["note"] for row in asked] == ["done"]

    played(tmp_path, story)


def test_an_administrator_stops_another_users_session(played, tmp_path):
    async def story(one: Plane):
        view = await one.opened()
        status, _, _ = await one.call("carol", "StopSession", {}, session=view["session"])
        assert status == 202
        await one.run_for(30)
        await ended(one, view["session"], EndReason.STOPPED_BY_ADMINISTRATOR)

    played(tmp_path, story)


def test_a_request_that_is_closed_before_it_is_ready_is_cancelled(played, tmp_path):
    async def story(one: Plane):
        one.azure.stages = (AppCondition.CREATING,) * 50
        view = await one.open()
        await one.run_for(5)
        assert one.session(view["session"]).state is SessionState.PROVISIONING
        await one.call("alice", "CloseShell", shell="shell-one")
        await one.run_for(30)
        await ended(one, view["session"], EndReason.CANCELLED)

    played(tmp_path, story)


def test_a_stop_while_azure_is_busy_creating_is_repeated_until_it_takes(played, tmp_path):
    async def story(one: Plane):
        one.azure.stages = (AppCondition.CREATING,) * 50
        one.azure.delete_later = [Later(2.0, "ContainerAppOperationInProgress")] * 5
        view = await one.open()
        await one.run_for(3)
        await one.call("alice", "CloseShell", shell="shell-one")
        await one.call("alice", "CloseShell", shell="shell-one")
        await one.run_for(60)
        await ended(one, view["session"], EndReason.CANCELLED)

    played(tmp_path, story)


def test_the_cap_refuses_the_fifth_session_and_says_what_would_help(played, tmp_path):
    async def story(one: Plane):
        await one.enable(cap=1, per_user=1)
        await one.opened("alice", "shell-one")
        view = await one.open("bob", "shell-two")
        await one.run_for(5)
        row = one.session(view["session"])
        assert (row.state, row.end_reason, row.error_code) == (
            SessionState.ENDED,
            EndReason.REFUSED,
            ErrorCode.PROJECT_CAP_REACHED,
        )
        _, operation, _ = await one.call("bob", "GetOperation", operation=f"open-{view['session']}")
        assert operation["status"] == "Failed"
        assert operation["error"]["code"] == "ProjectGpuCapReached"
        assert "higher cap" in operation["error"]["message"]
        assert one.reserved() == 1

    played(tmp_path, story)


def test_a_users_own_limit_is_named_as_such(played, tmp_path):
    async def story(one: Plane):
        await one.enable(cap=4, per_user=1)
        await one.opened("alice", "shell-one")
        view = await one.open("alice", "shell-two")
        await one.run_for(5)
        assert one.session(view["session"]).error_code is ErrorCode.USER_LIMIT_REACHED

    played(tmp_path, story)


def test_a_gpu_that_is_never_assigned_ends_as_no_capacity(played, tmp_path):
    async def story(one: Plane):
        one.azure.stages = (AppCondition.CREATING, AppCondition.NO_REPLICA)
        view = await one.open()
        for _ in range(22):
            await one.run_for(60)
            await one.renew()
        await one.run_for(60)
        row = await ended(one, view["session"], EndReason.NO_CAPACITY)
        assert row.error_code is ErrorCode.NO_CAPACITY
        assert [one.region for one in row.tries] == ["westus3", "swedencentral"]

    played(tmp_path, story)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("Operation expired.", EndReason.NO_CAPACITY),
        ("Field 'template.containers.shell.image' is invalid: MANIFEST_UNKNOWN", EndReason.PROVISIONING_FAILED),
        ("", EndReason.PROVISIONING_FAILED),
    ],
)
def test_what_azure_reports_as_failed_is_told_to_the_user(played, tmp_path, said, reason):
    async def story(one: Plane):
        one.azure.fails_with = said
        view = await one.open()
        await one.run_for(40)
        await ended(one, view["session"], reason)

    played(tmp_path, story)


def test_a_request_that_azure_rejects_ends_with_azures_own_words(played, tmp_path):
    async def story(one: Plane):
        problem = Problem(code=ErrorCode.IMAGE_NOT_PULLED, message="UNAUTHORIZED")
        one.azure.rejection = Failure(reason=EndReason.PROVISIONING_FAILED, problem=problem)
        view = await one.open()
        await one.run_for(40)
        row = await ended(one, view["session"], EndReason.PROVISIONING_FAILED)
        assert row.error_message == "UNAUTHORIZED"

    played(tmp_path, story)


def test_a_container_without_a_gpu_is_taken_down(played, tmp_path):
    async def story(one: Plane):
        one.azure.proofs = [NotYet("500"), NoGpu("No devices were found"), NoGpu("No devices were found")]
        view = await one.open()
        await one.run_for(80)
        row = await ended(one, view["session"], EndReason.PROVISIONING_FAILED)
        assert row.error_code is ErrorCode.GPU_MISSING

    played(tmp_path, story)


def test_throttling_and_outages_of_azure_are_waited_out(played, tmp_path):
    async def story(one: Plane):
        one.azure.later = [Later(7.0, "429"), Later(5.0, "503 html")]
        one.azure.unknown_looks = 3
        view = await one.open()
        for _ in range(10):
            await one.run_for(30)
            await one.renew()
        assert one.session(view["session"]).state is SessionState.RUNNING

    played(tmp_path, story)


def test_an_app_that_vanishes_is_noticed_and_released(played, tmp_path):
    async def story(one: Plane):
        view = await one.opened()
        one.azure.vanish(f"dbg-{view['session']}")
        await one.hold_for(16 * 60)
        await one.run_for(60)
        await ended(one, view["session"], EndReason.APP_LOST)

    played(tmp_path, story)


def test_while_azure_cannot_be_asked_nothing_is_released(played, tmp_path):
    async def story(one: Plane):
        view = await one.opened()
        one.azure.unknown_looks = 10_000
        one.keeps_house_every_s = 60.0
        one.azure.vanish(f"dbg-{view['session']}")
        await one.call("alice", "CloseShell", shell="shell-one")
        await one.run_for(1200)
        assert one.session(view["session"]).state is SessionState.STOPPING
        assert one.reserved() == 1
        one.azure.unknown_looks = 0
        await one.run_for(60)
        await ended(one, view["session"], EndReason.SHELLS_CLOSED)

    played(tmp_path, story)


def test_a_renewal_that_comes_first_saves_the_session_and_one_that_comes_late_is_told(played, tmp_path):
    async def story(one: Plane):
        view = await one.opened()
        await one.run_for(150 + 119 - 30)
        assert await one.renew() == 200
        await one.run_for(10)
        assert one.session(view["session"]).state is SessionState.RUNNING
        await one.run_for(150 + 120 + 5)
        status, answer, _ = await one.call("alice", "RenewLease", {"activeSecondsAgo": 0}, shell="shell-one")
        assert (status, answer["error"]["code"]) == (409, "ShellEnded")
        assert answer["error"]["details"][0]["target"] == "LeaseLapsed"

    played(tmp_path, story)


def test_a_settings_change_tightens_a_running_session_and_loosening_does_not_extend_it(played, tmp_path):
    async def story(one: Plane):
        view = await one.opened()
        await one.enable(idle={"timeoutMinutes": 5})
        await one.run_for(5)
        assert one.session(view["session"]).idle_timeout_s == 300
        await one.enable(idle={"timeoutMinutes": 50})
        await one.run_for(5)
        assert one.session(view["session"]).idle_timeout_s == 300

    played(tmp_path, story)


def test_a_long_life_hands_over_to_new_drivers(played, tmp_path):
    async def story(one: Plane):
        view = await one.opened()
        for _ in range(70):
            await one.enable(cap=4)
            await one.run_for(2)
            await one.renew()
        assert one.session(view["session"]).epoch >= 2
        await one.call("alice", "CloseShell", shell="shell-one")
        await one.run_for(30)
        await ended(one, view["session"], EndReason.SHELLS_CLOSED)

    played(tmp_path, story)


def test_a_day_without_a_price_is_booked_without_a_cost_never_with_a_guess(played, tmp_path):
    async def story(one: Plane):
        one.prices.knows = False
        view = await one.opened()
        await one.call("alice", "CloseShell", shell="shell-one")
        await one.run_for(30)
        row = await ended(one, view["session"], EndReason.SHELLS_CLOSED)
        assert row.rate is None
        _, shell, _ = await one.call("alice", "GetShell", shell="shell-one")
        assert "cost" not in shell

    played(tmp_path, story)


def test_a_container_that_keeps_falling_back_is_given_up_and_not_looked_at_for_ever(played, tmp_path):
    async def story(one: Plane):
        one.azure.stages = (AppCondition.CREATING, *(AppCondition.STARTING, AppCondition.NO_REPLICA) * 400)
        view = await one.open()
        for _ in range(9):
            await one.run_for(60)
            await one.renew()
        row = await ended(one, view["session"], EndReason.PROVISIONING_FAILED)
        assert row.error_code is ErrorCode.PROVISIONING_TIMED_OUT

    played(tmp_path, story)


def test_a_renewal_between_the_decision_to_stop_and_its_writing_saves_the_session(played, tmp_path):
    async def story(one: Plane):
        view = await one.opened()
        read, renewed = one.world.sessions.shells_in, []

        def overtaken(session):
            shells = read(session)
            if not renewed and shells[0].row.lease_expires_at < one.clock.now():
                (shell,) = shells
                later = one.clock.now() + timedelta(seconds=150)
                row = msgspec.structs.replace(shell.row, lease_expires_at=later)
                renewed.append(one.world.sessions.commit(session.project, [Update(shell.key, row, shell.etag)]))
            return shells

        one.world.sessions.shells_in = overtaken
        await one.run_for(150 + 120 + 5)

        assert renewed == [True]
        assert one.session(view["session"]).state is SessionState.RUNNING

    played(tmp_path, story)
