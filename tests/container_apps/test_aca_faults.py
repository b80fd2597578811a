from __future__ import annotations

import asyncio
import http.client
import threading
import urllib.error
from typing import Any

import pytest
from aca_harness import (
    GOOD_TOKEN,
    ExecResult,
    LocalCloud,
    app_path,
    body,
    exec_once,
    sdk_client,
    wait_until,
)
from aca_harness import (
    http as ask,
)
from azure.core.exceptions import HttpResponseError
from test_aca_exec import exec_url, handshake_status

from localcloud.container_apps.catalog import RESOURCE_GROUP
from localcloud.container_apps.faults import MEANINGS

PLAIN = body(profile="Consumption")
BEARER = {"Authorization": f"Bearer {GOOD_TOKEN}"}


def code(answer: tuple[int, Any, Any]) -> tuple[int, str]:
    return answer[0], answer[1]["error"]["code"]


def settled(cloud: LocalCloud, name: str) -> None:
    wait_until(lambda: cloud.app(name).properties.provisioning_state != "InProgress")


def exec_for_ever(cloud: LocalCloud, name: str, command: str = "sleep 1000") -> ExecResult:
    return asyncio.run(exec_once(exec_url(cloud, name), cloud.token(name), command))


def test_every_switch_is_shown_with_its_value_and_meaning(cloud: LocalCloud) -> None:
    _, before, _ = ask("GET", f"{cloud.arm}/_faults")
    assert set(before) == set(MEANINGS)
    assert all(switch["meaning"] and switch["value"] is None for switch in before.values())

    cloud.faults(no_gpu=True, throttle={"n": 3, "retry_after": 7})
    after = cloud.faults(token_ttl={"value": 5, "app": "dbg-a"}, no_gpu=False)

    assert after["no_gpu"]["value"] is None
    assert (after["throttle"]["value"], after["throttle"]["count"]) == (7, 3)
    assert (after["token_ttl"]["value"], after["token_ttl"]["app"]) == (5, "dbg-a")
    cloud.clear_faults()
    assert ask("GET", f"{cloud.arm}/_faults")[1] == before


@pytest.mark.parametrize(
    "switches",
    [
        {"no_gpu": True, "nonsense": 1},
        {"no_gpu": "yes"},
        {"no_gpu": {"value": True, "colour": 1}},
        {"no_gpu": {"value": True, "count": -1}},
        {"throttle": {"x": 1}},
    ],
)
def test_a_switch_that_is_not_understood_is_refused_and_changes_nothing(
    cloud: LocalCloud, switches: dict[str, object]
) -> None:
    status, answer, _ = ask("PUT", f"{cloud.arm}/_faults", switches)

    assert status == 400
    wrong = "nonsense" if "nonsense" in switches else next(iter(switches))
    assert wrong in answer["error"]["message"]
    assert ask("GET", f"{cloud.arm}/_faults")[1]["no_gpu"]["value"] is None


@pytest.mark.parametrize(
    "knobs",
    [
        {"colour": 1},
        {"createSeconds": -1},
        {"gpus": {"mars": {"T4": 1}}},
        {"throttle": 3},
        {"virtualNetwork": {"mars": True}},
        {"virtualNetwork": {"westus3": "yes"}},
        {"virtualNetwork": True},
    ],
)
def test_a_knob_that_is_not_understood_is_refused(cloud: LocalCloud, knobs: dict[str, object]) -> None:
    status, answer, _ = ask("PUT", f"{cloud.arm}/_capacity", knobs)

    assert (status, answer["error"]["code"]) == (400, "InvalidSetting")


def test_the_knobs_are_shown_merged_and_reset(cloud: LocalCloud) -> None:
    cloud.capacity(gpus={"westus3": {"T4": 3}}, pullSeconds=2)
    _, changed, _ = ask("GET", f"{cloud.arm}/_capacity")
    assert changed["gpus"]["westus3"] == {"T4": 3, "A100": 20}
    assert changed["gpus"]["swedencentral"] == {"T4": 100, "A100": 20}
    assert (changed["pullSeconds"], changed["createSeconds"]) == (2, 0)

    _, reset, _ = ask("DELETE", f"{cloud.arm}/_capacity")

    assert (reset["gpus"]["westus3"]["T4"], reset["pullSeconds"]) == (100, 0)


def test_a_switch_hits_only_so_often_and_only_the_apps_that_it_names(cloud: LocalCloud) -> None:
    cloud.faults(status_500={"value": True, "count": 2, "app": "dbg-a"})

    answers = [cloud.rest("GET", app_path(name))[0] for name in ("dbg-b", "dbg-a1", "dbg-a2", "dbg-a3")]

    assert answers == [404, 500, 500, 404]
    assert cloud.faults()["status_500"]["count"] == 0


def test_no_gpu_leaves_the_list_empty_while_arm_says_succeeded_until_cleared(cloud: LocalCloud) -> None:
    cloud.faults(no_gpu={"value": True, "count": 1})
    cloud.put("dbg-one")
    settled(cloud, "dbg-one")

    assert cloud.app("dbg-one").properties.provisioning_state == "Succeeded"
    cloud.run_app("dbg-two")
    assert cloud.replicas("dbg-one") == []

    cloud.clear_faults()
    cloud.running_replica("dbg-one")


def test_profile_full_lists_a_replica_that_does_not_run(cloud: LocalCloud) -> None:
    cloud.faults(profile_full=True)
    cloud.put("dbg-one")

    replica = wait_until(lambda: cloud.replicas("dbg-one"))[0].properties
    assert (replica.running_state, replica.running_state_details) == ("NotRunning", "WorkLoad Profile Full")
    cloud.clear_faults()
    cloud.running_replica("dbg-one")


def test_replica_never_keeps_the_container_waiting(cloud: LocalCloud) -> None:
    cloud.faults(replica_never=True)
    cloud.put("dbg-one")

    container = wait_until(lambda: cloud.replicas("dbg-one"))[0].properties.containers[0]
    assert (container.running_state, container.ready) == ("Waiting", False)
    cloud.gone("dbg-one")
    assert cloud.truth_of("dbg-one")["replicaStartedAt"] is None


def test_replica_crash_restarts_the_container(cloud: LocalCloud) -> None:
    cloud.faults(replica_crash={"value": True, "count": 1})
    cloud.put("dbg-one")

    wait_until(lambda: cloud.running_replica("dbg-one").properties.containers[0].restart_count == 1)


def test_op_expired_hits_as_often_as_it_is_told(cloud: LocalCloud) -> None:
    cloud.faults(op_expired={"value": True, "count": 1})
    cloud.put("dbg-one")
    settled(cloud, "dbg-one")
    assert cloud.app("dbg-one").properties.provisioning_state == "Failed"

    cloud.put("dbg-one")

    cloud.running_replica("dbg-one")
    assert cloud.app("dbg-one").properties.provisioning_state == "Succeeded"


def test_cpu_only_runs_without_its_gpu(cloud: LocalCloud) -> None:
    cloud.faults(cpu_only=True)
    cloud.run_app("dbg-one")

    seen = cloud.exec_in("dbg-one", "nvidia-smi")

    assert seen.exit_code == 9
    assert "NVIDIA-SMI has failed" in seen.output


def test_image_unauthorized_refuses_the_put_at_once(cloud: LocalCloud) -> None:
    cloud.faults(image_unauthorized=True)

    answer = cloud.rest("PUT", app_path("dbg-one"), body())

    assert code(answer) == (400, "InvalidParameterValueInContainerTemplate")
    assert "UNAUTHORIZED: authentication required" in answer[1]["error"]["message"]
    assert cloud.truth() == []


def test_throttle_answers_429_and_the_sdk_waits_and_wins(cloud: LocalCloud) -> None:
    cloud.faults(throttle={"n": 1, "retry_after": 1})
    status, answer, headers = cloud.rest("GET", app_path("dbg-one"))
    assert (status, headers["Retry-After"]) == (429, "1")
    assert answer["error"]["code"] == "TooManyRequests"

    cloud.faults(throttle={"n": 1, "retry_after": 1})
    patient = sdk_client(cloud.arm)
    assert list(patient.container_apps.list_by_resource_group(RESOURCE_GROUP)) == []


def test_html_503_has_a_page_for_a_body(cloud: LocalCloud) -> None:
    cloud.faults(html_503=True)

    status, page, headers = cloud.rest("GET", app_path("dbg-one"))

    assert (status, headers.get_content_type()) == (503, "text/html")
    assert page.startswith("<html>")
    with pytest.raises(HttpResponseError) as outage:
        cloud.app("dbg-one")
    assert outage.value.status_code == 503


def test_status_500_comes_before_any_effect(cloud: LocalCloud) -> None:
    cloud.faults(status_500={"value": True, "method": "PUT"})

    assert cloud.rest("PUT", app_path("dbg-one"), PLAIN)[0] == 500

    assert cloud.rest("GET", app_path("dbg-one"))[0] == 404


def test_drop_after_takes_effect_and_loses_the_answer(cloud: LocalCloud) -> None:
    cloud.faults(drop_after={"value": True, "count": 1})

    with pytest.raises((ConnectionError, http.client.HTTPException, urllib.error.URLError)):
        cloud.rest("PUT", app_path("dbg-one"), PLAIN)

    assert cloud.exists("dbg-one")
    settled(cloud, "dbg-one")
    assert cloud.rest("PUT", app_path("dbg-one"), PLAIN)[0] == 200


def test_conflict_for_refuses_an_apps_writes_and_nothing_else(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")
    cloud.faults(conflict_for={"value": 1000, "app": "dbg-one"})

    assert code(cloud.rest("PUT", app_path("dbg-one"), PLAIN)) == (409, "ContainerAppOperationInProgress")
    assert code(cloud.rest("PATCH", app_path("dbg-one"), {"tags": {}})) == (409, "ContainerAppOperationInProgress")
    assert code(cloud.rest("POST", app_path("dbg-one") + "/stop")) == (409, "ContainerAppOperationInProgress")
    assert cloud.rest("PUT", app_path("dbg-two"), PLAIN)[0] == 201
    cloud.gone("dbg-one")


def test_delete_conflict_for_counts_from_the_first_refusal(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")
    cloud.faults(delete_conflict_for=0.2)

    assert code(cloud.rest("DELETE", app_path("dbg-one"))) == (409, "ContainerAppOperationInProgress")
    wait_until(lambda: cloud.rest("DELETE", app_path("dbg-one"))[0] in {202, 204})

    wait_until(lambda: not cloud.exists("dbg-one"))


def test_delete_stuck_holds_until_the_switch_goes(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")
    cloud.faults(delete_stuck=True)
    cloud.delete("dbg-one")

    assert cloud.rest("DELETE", app_path("dbg-one"))[0] == 202
    assert cloud.app("dbg-one").properties.provisioning_state == "Deleting"
    assert cloud.truth_of("dbg-one")["alive"]
    cloud.clear_faults()
    wait_until(lambda: not cloud.exists("dbg-one"))


def test_a_delete_stuck_once_goes_on_when_asked_again(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")
    cloud.faults(delete_stuck={"value": True, "count": 1})
    cloud.delete("dbg-one")
    assert cloud.truth_of("dbg-one")["alive"]

    cloud.gone("dbg-one")


def test_poll_403_forbids_operations_but_not_the_resource(cloud: LocalCloud) -> None:
    cloud.faults(poll_403=True)

    with pytest.raises(HttpResponseError) as refusal:
        cloud.sdk.container_apps.begin_create_or_update(RESOURCE_GROUP, "dbg-one", PLAIN).result()

    assert refusal.value.status_code == 403
    settled(cloud, "dbg-one")
    assert cloud.app("dbg-one").properties.provisioning_state == "Succeeded"


def test_arm_403_forbids_everything(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")
    cloud.faults(arm_403=True)

    for method, path in (("GET", app_path("dbg-one")), ("DELETE", app_path("dbg-one")), ("PUT", app_path("dbg-two"))):
        assert code(cloud.rest(method, path, PLAIN)) == (403, "AuthorizationFailed")
    assert cloud.truth_of("dbg-one")["alive"]


def test_app_lost_takes_the_app_away_without_an_event(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")
    cloud.run_app("dbg-two")
    cloud.faults(app_lost={"value": 0, "app": "dbg-one"})

    wait_until(lambda: not cloud.exists("dbg-one"))

    lost = cloud.truth_of("dbg-one")
    assert lost["deletedAt"]
    assert not lost["alive"]
    assert cloud.exists("dbg-two")
    assert {event["eventType"] for event in cloud.events} == {"Microsoft.Resources.ResourceWriteSuccess"}


def test_app_lost_waits_for_its_seconds_after_the_start(cloud: LocalCloud) -> None:
    cloud.faults(app_lost=0.2)
    cloud.run_app("dbg-one")

    wait_until(lambda: not cloud.exists("dbg-one"))

    assert cloud.truth_of("dbg-one")["gpuSeconds"] >= 0.2


def test_a_list_fails_on_its_page(cloud: LocalCloud) -> None:
    cloud.capacity(pageSize=1)
    for name in ("dbg-one", "dbg-two"):
        cloud.put(name, PLAIN)
    cloud.faults(list_fails_on_page=2)

    pages = cloud.sdk.container_apps.list_by_resource_group(RESOURCE_GROUP).by_page()

    assert [app.name for app in next(pages)] == ["dbg-one"]
    with pytest.raises(HttpResponseError) as failure:
        next(pages)
    assert failure.value.status_code == 500


def test_latency_delays_an_answer_and_not_the_others(cloud: LocalCloud) -> None:
    cloud.faults(latency_s={"value": 1, "count": 1, "app": "dbg-slow"})
    answered: list[str] = []

    def request(name: str) -> None:
        cloud.rest("GET", app_path(name))
        answered.append(name)

    slow = threading.Thread(target=request, args=("dbg-slow",))
    slow.start()
    wait_until(lambda: cloud.faults()["latency_s"]["count"] == 0)
    request("dbg-fast")
    slow.join()

    assert answered == ["dbg-fast", "dbg-slow"]


def test_exec_500_for_refuses_the_handshake_after_the_start(cloud: LocalCloud) -> None:
    cloud.faults(exec_500_for={"value": 1000, "count": 2})
    cloud.run_app("dbg-one")
    url, token = exec_url(cloud, "dbg-one"), cloud.token("dbg-one")

    assert [handshake_status(url, token) for _ in range(3)] == [500, 500, 101]

    cloud.faults(exec_500_for=0.2)
    wait_until(lambda: handshake_status(url, token) == 101)


def test_exec_idle_drop_cuts_a_silent_connection_without_a_close(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")
    cloud.faults(exec_idle_drop=0.2)

    seen = exec_for_ever(cloud, "dbg-one")

    assert (seen.close_code, seen.error, seen.exit_code) == (1006, "", None)
    wait_until(lambda: len(cloud.truth_of("dbg-one")["pids"]) <= 2)


def test_exec_idle_drop_spares_a_connection_that_is_used(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")
    cloud.faults(exec_idle_drop=5)

    seen = exec_for_ever(cloud, "dbg-one", "sh -c 'for i in 1 2 3; do echo $i; sleep 0.05; done'")

    assert (seen.output.split(), seen.exit_code) == (["1", "2", "3"], 0)


@pytest.mark.parametrize("limit", [0.2, {"seconds": 0.2}])
def test_exec_drop_after_some_seconds(cloud: LocalCloud, limit: object) -> None:
    cloud.run_app("dbg-one")
    cloud.faults(exec_drop_after=limit)

    assert exec_for_ever(cloud, "dbg-one", "sh -c 'while :; do echo on; sleep 0.01; done'").close_code == 1006


def test_exec_drop_after_some_bytes_happens_once_when_told_so(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")
    cloud.faults(exec_drop_after={"value": {"bytes": 100}, "count": 1})

    cut = exec_for_ever(cloud, "dbg-one", "seq 1 60000")
    whole = exec_for_ever(cloud, "dbg-one", "seq 1 60000")

    assert cut.close_code == 1006
    assert len(cut.output) < len(whole.output)
    assert whole.exit_code == 0


def test_token_ttl_shortens_the_life_of_a_token(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")
    url = exec_url(cloud, "dbg-one")
    cloud.faults(token_ttl=0)
    expired = cloud.token("dbg-one")
    cloud.clear_faults()

    assert handshake_status(url, expired) == 401
    assert handshake_status(url, cloud.token("dbg-one")) == 101
