"""The sweep and the events on the whole stack: storage, functions host, engine, Event Grid and Azure's stand-in."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

import pytest

from localcloud.stack.app_settings import RESOURCE_GROUP, SUBSCRIPTION, environment_id
from tests.e2e.http_calls import send
from tests.e2e.waiting import pause, until

QUICK = {"DEVBOXGPU_SWEEP_SECONDS": "5", "DEVBOXGPU_ORPHAN_GRACE_SECONDS": "2", "DEVBOXGPU_WINDOW_SECONDS": "900"}


@pytest.fixture(scope="module", autouse=True)
def swept_often(running):
    with running.under(**QUICK):
        yield


def make_behind_our_back(stack) -> str:
    """PUT an app with our tags to Azure, as no session has asked for; return its name."""
    name = f"dbg-{uuid.uuid4().hex[:20]}"
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}"
    url = f"{stack.endpoints['arm']}{group}/providers/Microsoft.App/containerApps/{name}?api-version=2025-07-01"
    container = {"name": "shell", "image": "mcr.microsoft.com/k8se/quickstart:latest"}
    body = {
        "location": "westus3",
        "tags": {"devboxgpu-control-plane": "local", "devboxgpu-project": "demo"},
        "properties": {
            "environmentId": environment_id("westus3"),
            "workloadProfileName": "Consumption",
            "template": {"containers": [container], "scale": {"minReplicas": 1, "maxReplicas": 1}},
        },
    }
    answer = send("PUT", url, body, {"Authorization": f"Bearer {arm_token(stack)}"})
    assert answer.status in (200, 201), answer.text
    return name


def arm_token(stack) -> str:
    url = f"{stack.endpoints['identity']}/msi/token?api-version=2019-08-01&resource=https://management.azure.com"
    header = (stack.state / "identity-header.secret").read_text().strip()
    return str(send("GET", url, headers={"X-IDENTITY-HEADER": header}).json["access_token"])


def is_gone(stack, app: str) -> bool:
    return all(entry["deletedAt"] is not None for entry in stack.truth_of(app))


def swept(stack, **query: str) -> dict[str, Any]:
    answer = stack.person("olga").persistently("POST", "sweep", query=query)
    assert answer.status == 200, answer.text
    report: dict[str, Any] = answer.json
    return report


def until_swept_away(stack, *apps: str) -> None:
    """Sweep on request until these are gone: the first look notes them, a later one deletes them."""
    until(lambda: swept(stack) and all(is_gone(stack, app) for app in apps), "orphans to be deleted", every_s=0.5)


def published(stack, event_type: str) -> list[dict[str, Any]]:
    events = send("GET", f"{stack.endpoints['eventGrid']}/_received").json["value"]
    return [event for event in events if event.get("type") == f"DevBoxGpu.{event_type}"]


def test_an_app_made_behind_our_back_is_gone_within_one_sweep_of_the_timers(stack, dev):
    shell = dev.opened()
    app = make_behind_our_back(stack)

    until(lambda: is_gone(stack, app), "the sweep to delete the orphan")

    told = until(lambda: [e for e in published(stack, "Sweep.OrphanRemoved") if e["data"]["app"] == app], "its event")
    assert len({event["id"] for event in told}) == 1
    assert shell.view()["state"] == "Running"
    shell.close()
    shell.ended("ShellsClosed")


def test_a_list_that_fails_on_its_second_page_deletes_nothing(stack, dev):
    apps = [make_behind_our_back(stack) for _ in range(3)]
    stack.capacity(pageSize=2)
    stack.azure_faults(list_fails_on_page=2)

    report = swept(stack)
    assert (report["found"], len(report["unknown"])) == ([], 1)
    pause(3)
    assert swept(stack)["found"] == []
    assert not any(is_gone(stack, app) for app in apps)

    stack.azure_faults(list_fails_on_page=None)
    until_swept_away(stack, *apps)


def test_a_dry_run_finds_and_touches_nothing(stack):
    app = make_behind_our_back(stack)

    report = swept(stack, dryRun="true")

    assert [entry["repaired"] for entry in report["found"] if app in entry["subject"]] == [False]
    until_swept_away(stack, app)


def user_of(stack, dev) -> str:
    payload = dev.token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return str(claims["oid"])


@pytest.mark.parametrize("schema", ["CloudEvent", "EventGridEvent"])
def test_a_dev_box_that_is_stopped_ends_the_shells_that_were_opened_from_it(stack, dev, schema):
    shell = dev.opened(origin={"devBox": "box-1"})
    data = {"project": "demo", "user": user_of(stack, dev), "devBox": "box-1"}
    kind, event_id = "DevBoxGpu.DevBox.Stopped", uuid.uuid4().hex
    event: dict[str, Any] = (
        {"specversion": "1.0", "id": event_id, "source": "/acme", "type": kind, "data": data}
        if schema == "CloudEvent"
        else {
            "id": event_id,
            "topic": "/acme",
            "subject": "boxes/box-1",
            "eventType": kind,
            "eventTime": "2030-11-21T09:00:00.1234567+02:00",
            "data": data,
            "dataVersion": "1",
        }
    )
    for _ in range(2):
        deliver(stack, [event] if schema == "EventGridEvent" else event)

    shell.ended("ShellsClosed")


def deliver(stack, body: object) -> None:
    """Deliver to the app's webhook as Event Grid does, with the key that authenticates it."""
    keys = json.loads((stack.state / "host-keys.json").read_text())
    origin = stack.endpoints["api"].removesuffix("/api")
    url = f"{origin}/runtime/webhooks/EventGrid?functionName=on_resource_event&code={keys['eventgrid_extension']}"
    answer = send("POST", url, body, {"aeg-event-type": "Notification"})
    assert answer.status == 202, answer.text


def test_a_delivery_without_the_key_is_refused(stack):
    origin = stack.endpoints["api"].removesuffix("/api")
    url = f"{origin}/runtime/webhooks/EventGrid?functionName=on_resource_event"

    assert send("POST", url, [{"id": "1"}], {"aeg-event-type": "Notification"}).status in (401, 403)


@pytest.mark.parametrize("event", [{}, {"id": 1, "eventTime": "nonsense"}, {"specversion": "1.0", "time": []}])
def test_events_that_nobody_can_read_are_accepted(stack, event):
    deliver(stack, [event] if "specversion" not in event else event)


def test_events_go_out_again_when_the_topic_is_back(stack, dev):
    stack.event_grid_faults(publishFailures=2)
    shell = dev.opened()
    shell.close()
    shell.ended("ShellsClosed")

    def told() -> list[str]:
        events = send("GET", f"{stack.endpoints['eventGrid']}/_received").json["value"]
        mine = [event for event in events if event["subject"] == f"sessions/{shell.session}"]
        return list(dict.fromkeys(event["type"].rpartition(".")[2] for event in mine))

    until(lambda: told() == ["Requested", "Started", "Ended"], "the topic to have them in order")


def test_sessions_end_although_the_engine_has_lost_its_whole_journal(stack, dev):
    shells = [dev.opened() for _ in range(2)]
    stack.stop("host")
    for journal in stack.state.glob("durable.sqlite*"):
        journal.unlink()

    def have_drivers() -> bool:
        assert all(shell.renew().status == 200 for shell in shells)
        return all(int(stack.session_row(shell.session)["epoch"]) > 1 for shell in shells)

    with stack.under(**QUICK):
        until(have_drivers, "the sweep to start the next drivers", every_s=1.0)
        for shell in shells:
            shell.close()
            shell.ended("ShellsClosed")
