"""A session ends in each of the ways there are, over real processes, storage and exec."""

from __future__ import annotations

import pytest

from tests.e2e.people import Shell
from tests.e2e.policies import LAPSES_AT_ONCE
from tests.e2e.waiting import until


def test_closing_its_last_shell_ends_the_session_and_books_its_seconds(stack, dev):
    shell = dev.opened()
    (app,) = stack.truth_of(shell.app)
    assert app["alive"]
    assert app["tags"]["devboxgpu-session"] == shell.session

    assert shell.close().status == 202

    view = shell.ended("ShellsClosed")
    assert view["durationSeconds"] >= 1
    assert view["cost"]["estimated"] is True
    row = stack.session_row(shell.session)
    (app,) = stack.truth_of(shell.app)
    assert -1 <= row["metered_s"] - app["gpuSeconds"] <= 60
    assert shell.operation("stop")["status"] == "Succeeded"


def test_a_terminal_that_is_not_heard_of_any_more_loses_its_session(stack, dev):
    stack.settings(LAPSES_AT_ONCE)
    shell = dev.open()
    shell.until_state("Running", meanwhile=shell.renew)

    shell.ended("LeaseLapsed")

    refused = shell.renew()
    assert (refused.status, refused.error_code) == (409, "ShellEnded")
    assert refused.json["error"]["details"][0]["target"] == "LeaseLapsed"


@pytest.mark.parametrize(
    ("limits", "seconds_ago", "reason"),
    [
        ({"idle": {"timeoutMinutes": 0.05, "graceMinutes": 2}}, 3600.0, "Idle"),
        ({"maxLifetimeMinutes": 0.05}, 0.0, "MaxLifetime"),
    ],
)
def test_a_session_is_stopped_by_the_projects_limits_although_its_lease_is_renewed(
    stack, dev, limits, seconds_ago, reason
):
    stack.settings(limits)
    shell = dev.opened()
    told = shell.renew(seconds_ago)
    assert told.status == 409 or told.json["stopReason"] == reason

    shell.ended(reason, meanwhile=lambda: shell.renew(seconds_ago))

    refused = shell.renew()
    assert refused.error_code == "ShellEnded"
    assert refused.json["error"]["details"][0]["target"] == reason


@pytest.mark.parametrize(
    ("who", "reason"),
    [(None, "StoppedByUser"), ("carol", "StoppedByAdministrator"), ("olga", "StoppedByAdministrator")],
)
def test_a_session_is_stopped_by_those_who_may(stack, dev, who, reason):
    shell = dev.opened()
    stopper = stack.person(who) if who else dev

    asked = shell.stop(by=stopper, reason="over budget")

    assert asked.status == 202
    assert f"operations/stop-{shell.session}" in asked.headers["Operation-Location"]
    shell.ended(reason)
    seen = dev.call("GET", f"sessions/{shell.session}").json
    assert seen["stopNote"] == "over budget"
    assert shell.renew().json["error"]["details"][0]["target"] == reason


def test_a_shell_closed_before_it_is_ready_cancels_its_session(stack, dev):
    stack.capacity(createSeconds=60)
    shell = dev.open()
    until(lambda: stack.truth_of(shell.app), "Azure to begin")
    early = shell.connect()
    assert (early.status, early.error_code) == (409, "ShellNotReady")
    assert early.headers["Retry-After"]

    assert shell.close().status == 202

    shell.ended("Cancelled")
    assert shell.operation()["status"] == "Canceled"
    assert shell.close().status == 204


def refused_with(shell: Shell, code: str) -> None:
    view = shell.ended("Refused")
    assert view["error"]["code"] == code
    operation = shell.operation()
    assert (operation["status"], operation["error"]["code"]) == ("Failed", code)


def test_a_full_project_and_a_user_at_the_limit_are_refused_and_hold_nothing(stack, somebody):
    first, second = somebody(), somebody()
    mode = {"serverlessGpuSessionsMode": "AutoDeploy", "maxConcurrentSessionsPerProject": 1}
    stack.settings({"serverlessGpuSessionsSettings": mode})
    shell = first.opened()

    refused_with(second.open(), "ProjectGpuCapReached")
    stack.settings({"maxConcurrentSessionsPerUser": 1})
    refused_with(first.open(), "UserGpuLimitReached")

    assert shell.view()["state"] == "Running"
    shell.close()
    shell.ended("ShellsClosed")
    freed = first.opened()
    freed.close()


def test_an_app_that_vanishes_ends_its_session_as_lost(stack, dev):
    shell = dev.opened()

    stack.azure_faults(app_lost={"value": 0, "app": shell.app})

    view = shell.ended("AppLost")
    assert view["error"]["code"] == "AppLost"
