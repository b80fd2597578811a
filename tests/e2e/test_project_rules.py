"""What people are told of a project and of a session's lot before and while it lasts, and what a try leaves behind."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.e2e.people import Person, new_shell_id
from tests.e2e.policies import FIFO, disabled, places
from tests.e2e.running_stack import RunningStack
from tests.e2e.waiting import until

ONE_REGION = {"regions": [{"name": "westus3"}]}


def administers(stack: RunningStack, body: object, **query: str):
    """Change some settings as the project's administrator."""
    return stack.person("carol").call("PATCH", "gpuSettings", body, headers={"If-Match": "*"}, query=query)


# extending


def stops_at(told) -> datetime:
    return datetime.fromisoformat(told["stopsAt"])


def test_an_extension_moves_the_end_and_no_further_than_the_project_allows(stack, dev, somebody):
    stack.settings({"maxLifetimeMinutes": 20, "extendLimitMinutes": 30})
    shell = dev.opened()
    path, before = f"sessions/{shell.session}/extend", stops_at(shell.view())

    extended = dev.call("POST", path, {"minutes": 40})

    assert extended.status == 200
    assert (stops_at(extended.json) - before).total_seconds() > 19 * 60
    assert stops_at(shell.renew().json) == stops_at(shell.view()) == stops_at(extended.json)
    beyond = dev.call("POST", path, {"minutes": 60})
    assert (beyond.status, beyond.error_code) == (409, "ExtendLimitReached")
    assert stops_at(shell.view()) == stops_at(extended.json)
    assert stack.person("carol").call("POST", path, {"minutes": 41}).status == 200
    assert somebody().call("POST", path, {"minutes": 1}).status == 404
    shell.close()


# explaining


def test_a_session_is_explained_from_the_line_to_its_end(stack, somebody):
    stack.settings(places(1, **FIFO))
    holder, waiter = somebody().opened(), somebody().waits()

    told = waiter.explained()
    assert (told["state"], told["queuePosition"], told["queueLength"]) == ("Waiting", 1, 1)
    assert [why["code"] for why in told["reasons"]] == ["ProjectGpuCapReached"]
    assert f"devboxgpu sessions stop {waiter.session}" in [way.get("action") for way in told["changes"]]
    early = waiter.owner.call("POST", f"sessions/{waiter.session}/extend", {"minutes": 5})
    assert (early.status, early.error_code) == (409, "ShellNotReady")

    stack.capacity(createSeconds=60)
    holder.close()
    waiter.until_state("Provisioning")
    assert "phase Creating at westus3/T4" in until(waiter.explained, "an explanation")["summary"]

    stack.capacity(createSeconds=0)
    waiter.until_state("Running")
    told = waiter.explained()
    assert "1 open shell" in told["summary"]
    assert told["stopReason"] == "Idle"
    assert [end["at"] for end in told["deadlines"]] == sorted(end["at"] for end in told["deadlines"])
    assert {end["reason"] for end in told["deadlines"]} == {"LeaseLapsed", "Idle", "MaxLifetime"}

    waiter.stop(reason="lunch")
    waiter.ended("StoppedByUser")
    assert "(lunch)" in waiter.explained()["summary"]
    assert waiter.owner.call("GET", f"sessions/{holder.session}/explain").status == 404


def test_an_end_without_a_gpu_is_explained_by_what_was_tried(stack, dev):
    stack.settings({**ONE_REGION, "gpuTypes": [{"type": "T4"}, {"type": "A100", "fallback": True}]})
    stack.azure_faults(op_expired=True)
    shell = dev.open()
    shell.ended("NoCapacity")

    told = shell.explained()

    assert [f"{one['region']}/{one['gpuType']}" for one in told["tries"]] == ["westus3/T4", "westus3/A100"]
    assert {"westus3/T4", "westus3/A100"} <= {why["code"] for why in told["reasons"]}


# offers and projects


def test_offers_count_what_is_free_for_the_project_and_for_the_caller(stack, dev, somebody):
    stack.settings(
        places(3, **ONE_REGION, gpuTypes=[{"type": "T4", "maxConcurrent": 2}, {"type": "A100", "fallback": True}])
    )

    def free(person: Person) -> list[tuple[object, ...]]:
        counted = ("gpuType", "maxConcurrent", "freeNow", "freeForYou")
        return [
            (*(offer[name] for name in counted), offer.get("expectedWaitSeconds") == 0)
            for offer in person.reads("offers")["value"]
        ]

    def until_free(person: Person, *wanted: tuple[object, ...]) -> None:
        until(lambda: free(person) == list(wanted), f"the offers {wanted}")

    until_free(dev, ("T4", 2, 2, 2, True), ("A100", 3, 3, 3, True))
    t4, a100 = dev.reads("offers")["value"]
    assert (t4["default"], a100["fallback"]) == (True, True)
    assert float(a100["regions"][0]["price"]["amountPerHour"]) > float(t4["regions"][0]["price"]["amountPerHour"]) > 0

    administers(stack, {"maxConcurrentSessionsPerUser": 1})
    shells = [dev.opened(), somebody().opened()]
    until_free(dev, ("T4", 2, 0, 0, False), ("A100", 3, 1, 0, False))
    until_free(somebody(), ("T4", 2, 0, 0, False), ("A100", 3, 1, 1, True))
    for shell in shells:
        shell.close()


@pytest.mark.parametrize(
    ("who", "roles"),
    [
        ("alice", {"demo": "member"}),
        ("carol", {"demo": "administrator"}),
        ("olga", {"demo": "operator", "other": "operator"}),
        ("erin", {"other": "member"}),
        ("dave", {}),
    ],
)
def test_each_person_sees_the_own_projects_and_no_others(stack, who, roles):
    person = stack.person(who)
    assert {project["id"]: project["role"] for project in person.reads("/projects").get("value", [])} == roles
    for project in ("demo", "other"):
        answer = person.call("GET", f"/projects/{project}")
        assert answer.status == (200 if project in roles else 404)
        if project in roles:
            assert (answer.json["role"], answer.json.get("enabled", False)) == (roles[project], project == "demo")


def test_a_project_is_shown_with_its_use(stack, dev, somebody):
    stack.settings(places(2, budget={"monthlyAmount": "500"}, **FIFO))
    shells = [dev.opened(), somebody().opened(), somebody().waits()]

    shown = dev.reads("")

    assert (shown["sessions"], shown["yourSessions"], shown["waiting"]) == (2, 1, 1)
    assert (shown["maxConcurrentSessions"], shown["maxConcurrentSessionsPerUser"]) == (2, 20)
    assert shown["gpuTypes"] == [{"type": "T4", "maxConcurrent": 2, "sessions": 2}]
    assert (shown["shellSharing"], shown["budget"]["monthlyAmount"]) == ("dedicated", "500")
    for shell in reversed(shells):
        shell.close()


# trying


def decided(person: Person, **body: object) -> dict[str, object]:
    answer = person.call("PUT", f"users/me/shells/{new_shell_id()}", body, query={"dryRun": "true"})
    assert answer.status == 200, answer.text
    told: dict[str, object] = answer.json
    return told


def test_a_try_tells_what_would_be_decided_and_writes_nothing(stack, dev, somebody):
    stack.settings(places(1, **ONE_REGION, shellSharing="shared", line={"maxLength": 1}))
    admitted = decided(dev)
    assert (admitted["decision"], admitted["gpuType"], admitted["region"]) == ("admit", "T4", "westus3")
    assert admitted["price"]["currency"] == "USD"
    holder, other = dev.opened(), somebody()
    before = {row["RowKey"]: row for row in stack.rows("a", "~")}

    waits, refused, joins = decided(other, wait=True), decided(other), decided(dev)

    assert (waits["decision"], waits["queuePosition"], waits["code"]) == ("wait", 1, "ProjectGpuCapReached")
    assert (refused["decision"], refused["code"]) == ("refuse", "ProjectGpuCapReached")
    assert (joins["decision"], joins["session"]) == ("join", holder.session)
    forbidden = other.call("PUT", f"users/me/shells/{new_shell_id()}", {"gpuType": "A100"}, query={"dryRun": "true"})
    assert (forbidden.status, forbidden.error_code) == (403, "GpuTypeNotAllowed")
    after = {row["RowKey"]: row for row in stack.rows("a", "~")}
    assert set(after) <= set(before)
    assert (after["p"], after["q"]) == (before["p"], before["q"])
    assert other.sessions() == []
    holder.close()


def test_settings_are_tried_without_being_written(stack, dev):
    before = stack.rows("p", "r")

    fine = administers(stack, {"idle": {"timeoutMinutes": 77}}, dryRun="true")
    wrong = administers(stack, {"idle": {"timeoutMinutes": -1}, "line": {"maxLength": -1}}, dryRun="true")

    assert (fine.status, fine.json["idle"]["timeoutMinutes"]) == (200, 77)
    assert (wrong.status, wrong.error_code) == (400, "InvalidParameter")
    told = {one["target"] for one in wrong.json["error"]["details"]}
    assert told == {"idle.timeoutMinutes", "line.maxLength"}
    assert stack.rows("p", "r") == before


# disabling


def test_a_disabled_project_keeps_what_runs_or_warns_it_and_ends_it(stack, dev):
    stack.settings({"idle": {"timeoutMinutes": 30, "warnMinutes": [0.15]}})
    shell = dev.opened()

    assert administers(stack, disabled(), runningSessions="keep").status == 200
    refused = dev.call("PUT", f"users/me/shells/{new_shell_id()}", {})
    assert (refused.status, refused.error_code) == (403, "GpuDisabled")
    assert "warnings" not in shell.renew().json
    assert administers(stack, disabled(), runningSessions="stop").status == 200

    warning = until(lambda: shell.renew().json.get("warnings"), "the warning")[0]
    assert warning["kind"] == "ProjectDisabled"
    assert warning["at"] == shell.renew().json["stopsAt"]
    shell.ended("ProjectDisabled", meanwhile=shell.renew)
