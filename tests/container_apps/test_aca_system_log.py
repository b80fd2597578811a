from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from aca_harness import LocalCloud, body, wait_until


def read(url: str, token: str) -> list[dict[str, Any]]:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return [json.loads(line) for line in answer.read().splitlines()]


def endpoint(cloud: LocalCloud, name: str) -> str:
    return str(cloud.app(name).properties.event_stream_endpoint)


def log_of(cloud: LocalCloud, name: str) -> list[dict[str, Any]]:
    return read(endpoint(cloud, name), cloud.token(name))


def reasons(cloud: LocalCloud, name: str) -> list[str]:
    return [event["Reason"] for event in log_of(cloud, name)]


def test_a_replica_that_runs_has_passed_all_stages(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")

    events = log_of(cloud, "dbg-one")

    assert [event["Reason"] for event in events] == [
        "RevisionUpdate",
        "AssigningReplica",
        "PullingImage",
        "PulledImage",
        "ContainerCreated",
        "ContainerStarted",
        "RevisionReady",
    ]
    app = cloud.app("dbg-one")
    assert {event["RevisionName"] for event in events} == {app.properties.latest_revision_name}
    assert {event["ReplicaName"] for event in events} == {cloud.replicas("dbg-one")[0].name}
    assert set(events[0]) == {
        *("TimeStamp", "Type", "ContainerAppName", "RevisionName", "ReplicaName", "Msg"),
        *("Reason", "EventSource", "Count"),
    }


@pytest.mark.parametrize(
    "shortage",
    [
        {"faults": {"no_gpu": True}},
        {"faults": {"profile_full": True}},
        {"capacity": {"gpus": {"westus3": {"T4": 0}}}},
        {"capacity": {"quota": {"gpu-westus3": {"T4": 0}}}},
    ],
    ids=["no gpu", "profile full", "no capacity", "no quota"],
)
def test_every_shortage_is_told_in_the_same_words(cloud: LocalCloud, shortage: dict[str, dict[str, Any]]) -> None:
    cloud.faults(**shortage.get("faults", {}))
    cloud.capacity(**shortage.get("capacity", {}))
    cloud.put("dbg-one")
    wait_until(lambda: "AssigningReplicaFailed" in reasons(cloud, "dbg-one"), "the failure in the log")

    last = log_of(cloud, "dbg-one")[-1]

    assert (last["Type"], last["Count"]) == ("Warning", 1)
    assert last["Msg"].startswith("Maximum Allowed Cores exceeded for the Managed Environment.")
    cloud.clear_faults()
    cloud.capacity(gpus={"westus3": {"T4": 1}}, quota={"gpu-westus3": {"T4": 1}})
    cloud.running_replica("dbg-one")
    assert "AssigningReplicaFailed" not in reasons(cloud, "dbg-one")


def test_a_pull_that_takes_long_and_a_container_that_crashes_are_told(cloud: LocalCloud) -> None:
    cloud.capacity(pullSeconds=600, restartSeconds=600)
    cloud.put("dbg-one", body(profile="Consumption"))
    wait_until(lambda: reasons(cloud, "dbg-one")[-1] == "PullingImage", "the pull")
    assert "mcr.microsoft.com/" in log_of(cloud, "dbg-one")[-1]["Msg"]

    cloud.capacity(pullSeconds=0)
    cloud.faults(replica_crash=True)
    cloud.put("dbg-two", body(profile="Consumption"))

    wait_until(lambda: "ContainerTerminated" in reasons(cloud, "dbg-two"), "the crash")
    (crash,) = [event for event in log_of(cloud, "dbg-two") if event["Reason"] == "ContainerTerminated"]
    assert "exit code 1" in crash["Msg"]


def test_the_log_opens_to_the_apps_own_token_alone(cloud: LocalCloud) -> None:
    plain = body(profile="Consumption")
    cloud.run_app("dbg-one", plain)
    cloud.run_app("dbg-two", plain)
    url = endpoint(cloud, "dbg-one")

    def status(address: str, token: str) -> int:
        try:
            read(address, token)
        except urllib.error.HTTPError as refusal:
            refusal.close()
            return refusal.code
        return 200

    assert status(url, cloud.token("dbg-one")) == 200
    assert status(url.upper().replace("HTTP", "http"), cloud.token("dbg-one")) == 200
    assert [status(url, wrong) for wrong in (cloud.token("dbg-two"), "good-token", "")] == [401, 401, 401]
    assert status(f"{cloud.exec}/eventstream", cloud.token("dbg-one")) == 404
    cloud.faults(system_log_away={"value": True, "app": "dbg-one"})
    assert status(url, cloud.token("dbg-one")) == 503
    assert status(endpoint(cloud, "dbg-two"), cloud.token("dbg-two")) == 200
