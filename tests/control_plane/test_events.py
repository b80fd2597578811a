"""Events in: lost, doubled, late, in any order, malformed. Events out: in order, again and again, then given up."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from datetime import timedelta
from pathlib import Path

import pytest
from azure.functions.eventgrid import EventGridEventInConverter
from azure.functions.meta import Datum

from shared.domain.inbound import Event, Malformed, meaning, shown
from shared.domain.records import OutboxRow
from shared.domain.states import EndReason, SessionState
from shared.domain.sweep_records import DeadRow, SeenRow
from shared.ports.inbound_events import read_event, take_any_time
from shared.ports.tables import StorageUnavailable
from tests.control_plane.fakes import USERS
from tests.control_plane.plane import Plane, plane
from tests.control_plane.test_sweep import told

RESOURCE = "Microsoft.Resources.Resource"
WRITE, FAILED, GONE = f"{RESOURCE}WriteSuccess", f"{RESOURCE}WriteFailure", f"{RESOURCE}DeleteSuccess"
STOPPED, DELETED = "DevBoxGpu.DevBox.Stopped", "DevBoxGpu.DevBox.Deleted"
GROUP = "/subscriptions/sub/resourceGroups/group/providers/Microsoft.App/containerApps"


def play(folder: Path, story, **settings: str) -> None:
    async def run() -> None:
        async with plane(folder, **settings) as one:
            await story(one)
            one.check_invariants()

    asyncio.run(run())


def box(name: str = "box-1", user: str = "alice", **more: str) -> dict[str, str]:
    return {"project": "demo", "user": USERS[user], "devBox": name, **more}


async def open_from(one: Plane, name: str = "box-1", shell: str = "shell-one", **body: object) -> dict[str, str]:
    view = await one.open(shell=shell, origin={"devBox": name}, **body)
    await one.run_for(30)
    return view


def dead_partitions(one: Plane) -> list[str]:
    return [place[1] for place in one.tables._rows if place[0] == "seen" and place[1].startswith("dead~")]


# Azure about our apps


@pytest.mark.parametrize("kind", [WRITE, FAILED, GONE])
@pytest.mark.parametrize("schema", ["lower", "UPPER"])
def test_an_event_about_an_app_wakes_its_driver_which_looks_for_itself(tmp_path, kind, schema):
    async def story(one: Plane) -> None:
        view = await one.opened()
        one.azure.vanish(f"dbg-{view['session']}")
        subject = f"{GROUP}/dbg-{view['session']}"

        await one.receive(type=kind, subject=subject.upper() if schema == "UPPER" else subject)
        await one.run_for(20)

        row = one.session(view["session"])
        assert (row.state, row.end_reason) == (SessionState.ENDED, EndReason.APP_LOST)

    play(tmp_path, story)


def test_an_event_that_lies_changes_nothing(tmp_path):
    async def story(one: Plane) -> None:
        view = await one.opened()

        await one.receive(type=GONE, subject=f"{GROUP}/dbg-{view['session']}")
        await one.run_for(20)

        assert one.session(view["session"]).state is SessionState.RUNNING

    play(tmp_path, story)


def test_an_event_that_comes_a_hundred_times_wakes_once(tmp_path):
    async def story(one: Plane) -> None:
        view = await one.opened()
        before = one.caller.calls.count("tend_session")
        for _ in range(100):
            await one.receive(type=WRITE, subject=f"{GROUP}/dbg-{view['session']}")
        await one.run_for(20)

        assert one.caller.calls.count("tend_session") == before + 1
        assert len(one.tables.scan_all("seen", ("0", "g"), SeenRow)) == 1

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        (WRITE, "/subscriptions/sub/resourceGroups/group/providers/Microsoft.Storage/storageAccounts/x"),
        (WRITE, f"{GROUP}/somebody-elses"),
        (WRITE, f"{GROUP}/dbg-short"),
        (WRITE, f"{GROUP}/dbg-{'q' * 26}"),
        (WRITE, "no slash at all"),
        ("Microsoft.Resources.ResourceActionSuccess", f"{GROUP}/x"),
        ("Somebody.Elses", None),
    ],
)
def test_foreign_subjects_and_unknown_types_are_accepted_and_ignored(tmp_path, kind, subject):
    async def story(one: Plane) -> None:
        await one.receive(type=kind, subject=subject)

        assert dead_partitions(one) == []

    play(tmp_path, story)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_order_the_events_of_a_life_come_in_it_is_the_same_life(tmp_path, seed):
    """Every order of a life's events, some twice, some never."""

    async def story(one: Plane) -> None:
        view = await one.open()
        subject = f"{GROUP}/dbg-{view['session']}"
        orders = list(itertools.permutations([WRITE, FAILED, GONE]))
        for number, kind in enumerate(orders[seed] * 2):
            await one.receive(id=f"e{number % 4}", type=kind, subject=subject)
            await one.run_for(6)
        assert one.session(view["session"]).state is SessionState.RUNNING
        await one.call("alice", "CloseShell", shell="shell-one")
        for number, kind in enumerate(orders[seed]):
            await one.receive(id=f"f{number}", type=kind, subject=subject)
        await one.run_for(60)
        await one.receive(id="late", type=WRITE, subject=subject)
        await one.run_for(10)

        one.check_nothing_left()
        assert len(one.azure.history) == 1

    play(tmp_path, story)


# Dev Boxes


@pytest.mark.parametrize("kind", [STOPPED, DELETED])
def test_a_dev_box_that_is_gone_takes_its_shells_with_it_and_the_audit_says_why(tmp_path, kind):
    async def story(one: Plane) -> None:
        view = await open_from(one)
        other = await open_from(one, "box-2", "shell-two")

        await one.receive(type=kind, data=box("BOX-1"))
        await one.run_for(30)

        assert one.session(view["session"]).end_reason is EndReason.SHELLS_CLOSED
        assert one.session(other["session"]).state is SessionState.RUNNING
        (closed,) = told(one, "Shell.Closed")
        assert "box-1 was" in str(closed.data["because"]).lower()
        assert closed.actor == "dev-box-automation"
        (seen_once,) = told(one, "DevBox.StopSeen")
        assert seen_once.data["shells"] == 1

    play(tmp_path, story)


def test_a_shared_session_lives_on_with_the_shells_of_another_dev_box(tmp_path):
    async def story(one: Plane) -> None:
        await one.enable(shellSharing="shared")
        view = await open_from(one)
        await open_from(one, "box-2", "shell-two")

        await one.receive(type=STOPPED, data=box())
        await one.run_for(30)
        assert one.session(view["session"]).state is SessionState.RUNNING
        await one.receive(id="second", type=STOPPED, data=box("box-2"))
        await one.run_for(30)

        one.check_nothing_left()

    play(tmp_path, story)


def test_an_event_that_comes_after_the_box_was_started_anew_spares_what_was_opened_since(tmp_path):
    async def story(one: Plane) -> None:
        stopped_at = one.clock.now()
        await one.run_for(60)
        view = await open_from(one)

        await one.receive(type=STOPPED, data=box(), time=stopped_at)
        await one.run_for(30)
        assert one.session(view["session"]).state is SessionState.RUNNING
        await one.receive(id="unknown-time", type=STOPPED, data=box(), time=None)
        await one.run_for(30)

        one.check_nothing_left()

    play(tmp_path, story)


@pytest.mark.parametrize("days", [0, 1])
def test_an_event_that_comes_again_closes_nothing_that_was_opened_since(tmp_path, days):
    async def story(one: Plane) -> None:
        await open_from(one)
        await one.receive(type=STOPPED, data=box(), time=None)
        await one.run_for(30)
        one.keeps_house_every_s = 300.0
        await one.run_for(days * 15 * 3600)
        one.keeps_house_every_s = 5.0
        view = await open_from(one, shell="shell-two")

        await one.receive(type=STOPPED, data=box(), time=None)
        await one.run_for(30)

        assert one.session(view["session"]).state is SessionState.RUNNING

    play(tmp_path, story)


def test_a_dev_box_from_which_nothing_is_open_is_no_news(tmp_path):
    async def story(one: Plane) -> None:
        await open_from(one, "box-2")
        before = one.tables.commits
        await one.receive(type=STOPPED, data=box())
        await one.receive(id="e2", type=STOPPED, data=box(user="bob"))

        assert one.tables.commits == before + 2  # both are remembered, nothing else
        assert told(one, "DevBox.StopSeen") == []

    play(tmp_path, story)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("write", range(1, 5))
def test_an_event_whose_handling_dies_is_acted_on_when_it_comes_again(tmp_path, write, when):
    async def story(one: Plane) -> None:
        await open_from(one)
        one.keeps_house_every_s = 10_000.0
        one.tables.crash_at = (one.tables.commits + write, when)
        for _ in range(2):
            try:
                await one.receive(type=STOPPED, data=box())
            except Exception:
                continue
        await one.run_for(30)
        one.keeps_house_every_s = 5.0
        await one.run_for(30)

        one.check_nothing_left()
        assert len(told(one, "Shell.Closed")) == 1

    play(tmp_path, story)


def test_storage_that_is_away_has_the_event_delivered_again(tmp_path):
    async def story(one: Plane) -> None:
        await open_from(one)
        one.tables.away = True
        with pytest.raises(StorageUnavailable):
            await one.receive(type=STOPPED, data=box())
        one.tables.away = False
        await one.receive(type=STOPPED, data=box())
        await one.run_for(30)

        one.check_nothing_left()

    play(tmp_path, story)


# malformed

BAD = {
    "no id": {"id": None, "type": WRITE, "subject": "x"},
    "an empty id": {"id": "", "type": WRITE, "subject": "x"},
    "a number for an id": {"id": 7, "type": WRITE, "subject": "x"},
    "no source": {"source": None, "type": WRITE, "subject": "x"},
    "no type": {"type": None},
    "a list for a type": {"type": ["x"]},
    "no subject": {"type": WRITE, "subject": None},
    "a subject that is an object": {"type": WRITE, "subject": {}},
    "no data": {"type": STOPPED, "data": None},
    "data of another shape": {"type": STOPPED, "data": [1, 2]},
    "data without a user": {"type": STOPPED, "data": {"project": "demo", "devBox": "b"}},
    "a user that is no id": {"type": STOPPED, "data": {"project": "demo", "user": "alice", "devBox": "b"}},
    "a project that is none": {"type": STOPPED, "data": box(project="no/project")},
    "a dev box without a name": {"type": STOPPED, "data": box("")},
    "an id beyond measure": {"id": "x" * 5000, "type": WRITE, "subject": "x"},
}


@pytest.mark.parametrize("what", BAD)
def test_a_malformed_event_is_put_aside_once_and_accepted(tmp_path, what, caplog):
    async def story(one: Plane) -> None:
        with caplog.at_level(logging.WARNING, "devboxgpu.inbound"):
            await one.receive(**BAD[what])
            await one.receive(**BAD[what])

        (row,) = [stored.row for _, stored in one.tables.scan_all("seen", ("0", "g"), DeadRow)]
        assert row.reason
        assert len(row.payload) <= 2000
        assert [record.getMessage().split()[0] for record in caplog.records] == ["event.malformed"] * 2

    play(tmp_path, story)


def test_what_is_put_aside_holds_no_secret():
    token = "eyJhbGciOiJSUzI1NiJ9.eyJvaWQiOiJ4In0.c2ln"
    payload = {
        "claims": {"name": "Alice"},
        "authorization": {"evidence": "x"},
        "accessToken": "canary-1",
        "nested": [{"client_secret": "canary-2"}, f"Bearer {token}", "https://x/hook?code=canary-3&sig=canary-4"],
        "text": f"it said {token}",
        "long": "z" * 100_000,
    }
    kept = shown(payload)

    assert len(kept) <= 2000
    for secret in ("Alice", "canary", "eyJ", "Bearer e"):
        assert secret not in kept


def test_an_event_of_a_strange_shape_never_raises_anything_but_malformed():
    odd = [None, 0, 1.5, "", "x", [], {}, {"devBox": {}}, {"project": 1}, [[[]]], "\ud800", b"x"]
    for left, right in itertools.product(odd, odd):
        for kind in (WRITE, STOPPED, left):
            event = Event(id=left, source=right, type=kind, subject=left, time=None, data=right)
            try:
                meaning(event)
            except Malformed:
                shown({"subject": event.subject, "data": [str(event.data)]})


# the two schemas, as the binding hands them over


def delivered(body: dict[str, object]) -> Event:
    return read_event(EventGridEventInConverter.decode(Datum(json.dumps(body), "json"), trigger_metadata={}))


@pytest.fixture
def any_time(monkeypatch):
    monkeypatch.setattr(EventGridEventInConverter, "_parse_datetime", EventGridEventInConverter._parse_datetime)
    take_any_time()


@pytest.mark.usefixtures("any_time")
@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2026-11-21T09:00:00Z", 9),
        ("2026-11-21T11:00:00.1234567+02:00", 9),
        ("2026-11-21T09:00:00", 9),
        ("nonsense", None),
        (17, None),
        (None, None),
    ],
)
def test_both_schemas_are_read_alike_whatever_their_time(text, hour):
    cloud = delivered(
        {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "subject": "x", "time": text, "data": {"a": 1}}
    )
    grid = delivered({"id": "1", "topic": "s", "eventType": "t", "subject": "x", "eventTime": text, "data": {"a": 1}})

    assert cloud == grid
    assert (cloud.id, cloud.source, cloud.type, cloud.subject, cloud.data) == ("1", "s", "t", "x", {"a": 1})
    assert (cloud.time.utctimetuple().tm_hour if cloud.time else None) == hour


def test_the_app_lets_the_binding_take_any_time():
    import function_app  # noqa: F401 - registering is what it is for

    assert delivered({"id": "1", "eventTime": "nonsense"}).time is None


# events out


def published(one: Plane) -> list[tuple[str, str]]:
    return [(row.subject, row.event_type.rpartition(".")[2]) for _, _, row in one.topic.published]


async def two_lives(one: Plane) -> tuple[str, str]:
    """Let two sessions live and end; return their subjects."""
    views = [await one.open(shell=f"shell-{number}x") for number in range(2)]
    await one.run_for(30)
    for number in range(2):
        await one.call("alice", "CloseShell", shell=f"shell-{number}x")
    await one.run_for(30)
    return tuple(f"sessions/{view['session']}" for view in views)


LIFE = ["Requested", "Started", "Ended"]


def of(one: Plane, subject: str) -> list[str]:
    return [kind for other, kind in published(one) if other == subject]


def test_events_of_a_session_come_in_order_under_ids_that_stay(tmp_path):
    async def story(one: Plane) -> None:
        one.topic.away = True
        first, second = await two_lives(one)
        assert one.topic.published == []
        one.topic.away = False
        await one.run_for(600)

        assert of(one, first) == of(one, second) == LIFE
        ids = [event_id for _, event_id, _ in one.topic.published]
        assert len(set(ids)) == len(ids)
        assert one.tables.rows("core", "o-0", OutboxRow) == []

    play(tmp_path, story)


def test_a_crash_after_publishing_publishes_again_under_the_same_id(tmp_path):
    async def story(one: Plane) -> None:
        await one.open()
        one.tables.crash_at = (one.tables.commits + 2, "before")
        await one.run_for(60)

        ids = {}
        for _, event_id, row in one.topic.published:
            ids.setdefault(event_id, row.event_type)
        assert sorted(ids.values()) == ["DevBoxGpu.Session.Requested", "DevBoxGpu.Session.Started"]

    play(tmp_path, story)


@pytest.mark.parametrize("how", ["refuses", "chokes_on"])
def test_an_event_that_the_topic_does_not_take_holds_up_its_own_session_alone(tmp_path, how):
    async def story(one: Plane) -> None:
        poison = []
        setattr(one.topic, how, lambda row: row.event_type.endswith("Started") and poison[:1] == [row.subject])
        views = [await one.open(shell=f"shell-{number}x") for number in range(2)]
        poison.append(f"sessions/{views[0]['session']}")
        await one.run_for(30)
        for number in range(2):
            await one.call("alice", "CloseShell", shell=f"shell-{number}x")
        await one.run_for(60)

        assert of(one, f"sessions/{views[1]['session']}") == LIFE
        assert of(one, poison[0]) == ["Requested"]
        assert len(told_in_audit(one, "Session.Ended")) == 2, "the audit waits for no topic"
        poison.clear()
        await one.run_for(600)
        assert of(one, f"sessions/{views[0]['session']}") == LIFE

    play(tmp_path, story)


def told_in_audit(one: Plane, event_type: str) -> list[OutboxRow]:
    rows = one.tables.rows("audit", "o-", OutboxRow)
    return [row for row in rows if row.event_type == f"DevBoxGpu.{event_type}"]


def test_the_audit_has_every_change_at_once_while_the_topic_is_away(tmp_path):
    async def story(one: Plane) -> None:
        one.topic.away = True
        await two_lives(one)

        for kind in ("Requested", "Started", "Ended"):
            assert len(told_in_audit(one, f"Session.{kind}")) == 2

    play(tmp_path, story)


def test_a_topic_that_is_away_is_asked_less_and_less_often(tmp_path):
    async def story(one: Plane) -> None:
        one.topic.away = True
        await one.open()
        calls = []
        for _ in range(6):
            before = one.topic.calls
            await one.run_for(300)
            calls.append(one.topic.calls - before)

        assert calls[0] > calls[1] >= calls[-1]
        assert calls[-1] <= 2
        (head,) = [row for row in one.tables.rows("core", "o-0", OutboxRow) if row.attempts]
        assert head.next_try_at - one.clock.now() <= timedelta(minutes=5)

    play(tmp_path, story)


def test_an_event_that_is_never_taken_is_given_up_in_the_audit_with_an_alert(tmp_path, caplog):
    async def story(one: Plane) -> None:
        one.topic.refuses = lambda row: row.event_type.endswith("Requested")
        await one.open()
        with caplog.at_level(logging.ERROR, "devboxgpu.publishing"):
            await one.run_for(3 * 3600)

        assert [record.getMessage().split()[0] for record in caplog.records] == ["outbox.dead_lettered"]
        assert len(told_in_audit(one, "Session.Requested")) == 1
        (given_up,) = told_in_audit(one, "Outbox.DeadLettered")
        assert given_up.data["attempts"] > 3
        assert given_up.data["eventType"] == "DevBoxGpu.Session.Requested"
        assert published(one)[0][1] == "Started", "those behind it go on"

    play(tmp_path, story, DEVBOXGPU_EVENT_LIFETIME_HOURS="2")


def test_while_the_topic_is_away_a_round_offers_little_and_leaves_the_rest_its_turn(tmp_path):
    async def story(one: Plane) -> None:
        await one.enable(cap=50, per_user=50)
        one.topic.away = True
        for number in range(20):
            await one.open(shell=f"shell-{number:02d}x")
        before = one.topic.calls
        await one.run_for(60)
        assert one.topic.calls - before <= 2 * 12
        one.topic.away = False
        await one.run_for(600)

        assert len({row.subject for _, _, row in one.topic.published}) >= 20

    play(tmp_path, story)
