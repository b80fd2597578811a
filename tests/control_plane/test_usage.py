"""Usage, activity and reconciliation over the API: who sees what, sums to the last digit, estimates that settle."""

from __future__ import annotations

import asyncio
import csv
import io
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from activities import sweeping
from activities.keeping import drain_outbox
from activities.settlement import book_usage
from api.openapi import document
from shared.domain import names
from shared.domain.billing import cost_so_far, seconds_so_far
from shared.domain.events import Actor, EventType
from shared.domain.names import ProjectId, SessionId
from shared.domain.pricing import GpuType, PriceSource
from shared.domain.reconciliation import Actual
from shared.domain.records import OutboxRow, SessionRow, Try
from shared.domain.states import SessionState
from shared.domain.usage import UsageRow, up_to_now
from shared.ports import ids
from shared.ports.outgoing import outbox_entry
from shared.ports.tables import Insert
from tests.control_plane.fakes import USERS
from tests.control_plane.plane import START, Plane, plane
from tests.session_rows import session_row

MONTH = datetime(2026, 10, 1, tzinfo=UTC)
OCTOBER = {"from": "2026-10-01", "to": "2026-10-31"}
RATES = (Decimal("0.000433"), Decimal("0.0017650001"), None)


def played(folder: Path, story) -> None:
    async def run() -> None:
        async with plane(folder) as one:
            await story(one)

    asyncio.run(run())


def ended_session(draw: random.Random, began: datetime, lasts: timedelta, **more: object) -> SessionRow:
    """A session that ended, at one of three prices; now and then after a try in vain that was paid for."""
    tried = Try(
        region="swedencentral", gpu_type=GpuType.T4, code="NoCapacity", message="none", at=began,
        replica_started_at=began - timedelta(seconds=100), metered_s=draw.randint(1, 90),
        rate_per_second=Decimal("0.000485"), currency="USD",
    )  # fmt: skip
    rate = draw.choice(RATES[:2])
    columns: dict[str, object] = {
        "session": ids.new_session_id(),
        "user": draw.choice([USERS["alice"], USERS["bob"]]),
        "state": SessionState.ENDED,
        "gpu_type": draw.choice(list(GpuType)),
        "ended_at": began + lasts,
        "rate_per_second": rate,
        "currency": "USD" if rate else None,
        "tries": [tried] if draw.random() < 0.2 else [],
        "labels": {"team": draw.choice(["vision", "speech"])} if draw.random() < 0.7 else {},
    }
    return session_row(began, **{**columns, **more})


def month_of(count: int) -> list[SessionRow]:
    """Sessions of October, each of microseconds to two days, none beyond the month's end."""
    draw = random.Random(6)
    made = []
    for _ in range(count):
        began = MONTH + timedelta(seconds=draw.uniform(200, 29 * 86_400))
        made.append(ended_session(draw, began, timedelta(seconds=draw.uniform(0.001, 2 * 86_400))))
    return made


async def usage_of(one: Plane, who: str, **query: str):
    status, answer, _ = await one.call(who, "GetUsage", query=query)
    assert status == 200, answer
    return answer


def test_the_usage_of_a_thousand_sessions_of_a_month_is_the_sum_of_the_sessions_to_the_last_digit(tmp_path):
    async def story(one: Plane):
        sessions = month_of(1000)
        for session in sessions:
            book_usage(one.tables, [session], session.ended_at)
        cost = sum((cost_so_far(session, session.ended_at) for session in sessions), Decimal(0))
        seconds = sum(seconds_so_far(session, session.ended_at) for session in sessions)

        for query in (
            {"interval": "total"},
            {"interval": "month", "groupBy": "user,gpuType,region"},
            {"interval": "day", "groupBy": "label:team"},
            {"interval": "total", "groupBy": "session"},
        ):
            told = await usage_of(one, "carol", **OCTOBER, **query)
            assert (told["totals"]["cost"], told["totals"]["seconds"]) == (str(cost), seconds)
            assert sum(Decimal(line["cost"]) for line in told["value"]) == cost
            assert sum(line["seconds"] for line in told["value"]) == seconds
        assert (told["totals"]["sessions"], told["totals"]["estimated"]) == (1000, False)
        by_session = {line["session"]: Decimal(line["cost"]) for line in told["value"]}
        assert by_session == {session.session: cost_so_far(session, session.ended_at) for session in sessions}

    played(tmp_path, story)


def test_booking_again_changes_no_settled_row(tmp_path):
    async def story(one: Plane):
        sessions = month_of(50)
        for session in sessions:
            for at in (0.3, 0.6, 1.0):  # the sweep while it runs, then settling
                running = msgspec.structs.replace(session, ended_at=None if at < 1 else session.ended_at)
                book_usage(one.tables, [running], MONTH + (session.ended_at - MONTH) * at)
        before = one.tables.rows("usage", "", UsageRow)
        assert all(row.settled for row in before)

        again = [book_usage(one.tables, [session], session.ended_at + timedelta(days=3)) for session in sessions]

        assert sum(again) == 0
        assert one.tables.rows("usage", "", UsageRow) == before

    played(tmp_path, story)


def test_settling_wins_over_an_estimate_that_is_written_at_the_same_time(tmp_path, monkeypatch):
    async def story(one: Plane):
        (session,) = month_of(1)
        running = msgspec.structs.replace(session, ended_at=None)
        scan = one.tables.scan

        def scan_then_be_overtaken(*place, **more):
            found = scan(*place, **more)
            monkeypatch.setattr(one.tables, "scan", scan)
            book_usage(one.tables, [running], session.ended_at - timedelta(seconds=1))
            return found

        monkeypatch.setattr(one.tables, "scan", scan_then_be_overtaken)
        book_usage(one.tables, [session], session.ended_at)

        rows = one.tables.rows("usage", "", UsageRow)
        assert all(row.settled for row in rows)
        assert sum(row.seconds for row in rows) == seconds_so_far(session, session.ended_at)

    played(tmp_path, story)


def test_a_row_of_before_that_left_its_day_to_its_partition_is_read(tmp_path):
    async def story(one: Plane):
        (session,) = month_of(1)
        book_usage(one.tables, [session], session.ended_at)
        whole = await usage_of(one, "carol", **OCTOBER, interval="day")
        for columns, _ in one.tables._rows.values():
            if "seconds" in columns:
                del columns["day"]

        assert await usage_of(one, "carol", **OCTOBER, interval="day") == whole
        assert book_usage(one.tables, [session], session.ended_at) == 0

    played(tmp_path, story)


def test_many_sessions_are_booked_by_the_day_and_not_one_by_one(tmp_path):
    async def story(one: Plane):
        began = MONTH + timedelta(hours=9)
        sessions = [ended_session(random.Random(n), began, timedelta(hours=1), tries=[]) for n in range(250)]
        before = one.tables.commits
        assert book_usage(one.tables, sessions, began + timedelta(hours=2)) == 250
        assert one.tables.commits - before == 3

    played(tmp_path, story)


def test_a_session_is_an_estimate_while_it_runs_and_settles_to_what_it_cost(tmp_path):
    async def story(one: Plane):
        view = await one.opened()
        await one.run_for(3)
        running = await usage_of(one, "alice")
        shown = (await one.call("alice", "GetSession", session=view["session"]))[1]
        (line,) = running["value"]
        assert (line["estimated"], line["sessions"]) == (True, 1)
        assert line["seconds"] == running["totals"]["seconds"] == shown["durationSeconds"] > 0
        assert line["cost"] == shown["cost"]["amount"]

        await one.run_for(10)
        assert (await usage_of(one, "alice"))["totals"]["seconds"] == line["seconds"] + 10

        await one.call("alice", "CloseShell", shell="shell-one")
        await one.run_for(60)
        settled = await usage_of(one, "alice", groupBy="session,user,gpuType,region")
        row = one.session(view["session"])
        assert row.settled
        assert settled["totals"] == {
            "seconds": row.metered_s, "estimated": False, "sessions": 1, "unpricedSeconds": 0,
            "cost": str(cost_so_far(row, row.ended_at)),
        }  # fmt: skip
        (line,) = settled["value"]
        assert (line["session"], line["user"], line["userName"]) == (row.session, row.user, "alice@demo.example")
        assert (line["gpuType"], line["region"], line["start"]) == ("T4", "westus3", "2026-11-21")
        await one.run_for(3600)
        assert (await usage_of(one, "alice"))["totals"] == settled["totals"]

    played(tmp_path, story)


def test_a_session_without_a_price_is_counted_apart_and_never_as_free(tmp_path):
    async def story(one: Plane):
        one.prices.knows = False
        await one.opened()
        await one.run_for(10)

        told = await usage_of(one, "carol")

        (line,) = told["value"]
        assert "cost" not in line
        assert "cost" not in told["totals"]
        assert line["unpricedSeconds"] == told["totals"]["unpricedSeconds"] == line["seconds"] > 0

    played(tmp_path, story)


def test_a_member_sees_own_rows_whatever_is_asked_and_an_administrator_all(tmp_path):
    async def story(one: Plane):
        draw = random.Random(1)
        for user, number in (("alice", 3), ("bob", 2)):
            for _ in range(number):
                session = ended_session(draw, MONTH, timedelta(hours=1), user=USERS[user], tries=[])
                book_usage(one.tables, [session], session.ended_at)

        async def sessions(who: str, **query: str) -> int:
            return (await usage_of(one, who, **OCTOBER, **query))["totals"]["sessions"]

        assert await sessions("carol") == 5
        assert await sessions("olga", user=USERS["bob"]) == 2
        assert await sessions("carol", user="me") == 0
        assert await sessions("alice") == 3
        assert await sessions("alice", user=USERS["bob"]) == 0
        assert await sessions("bob", user="me", groupBy="user") == 2
        assert (await one.call("dave", "GetUsage"))[0] == 404
        assert (await one.call(None, "GetUsage"))[0] == 401

    played(tmp_path, story)


def test_filters_narrow_what_is_counted(tmp_path):
    async def story(one: Plane):
        draw = random.Random(2)
        for gpu_type, region, labels in (
            (GpuType.T4, "westus3", {"team": "vision"}),
            (GpuType.T4, "swedencentral", {"team": "speech"}),
            (GpuType.A100, "westus3", {}),
        ):
            more = {"gpu_type": gpu_type, "region": region, "labels": labels, "tries": []}
            session = ended_session(draw, MONTH, timedelta(hours=1), **more)
            book_usage(one.tables, [session], session.ended_at)

        async def sessions(**query: str) -> int:
            return (await usage_of(one, "carol", **OCTOBER, **query))["totals"]["sessions"]

        assert await sessions(gpuType="t4") == 2
        assert await sessions(region="WestUS3") == 2
        assert await sessions(label="team") == 2
        assert await sessions(label="team=vision") == 1
        assert await sessions(label="team=") == 0
        assert await sessions(label="team=vision", gpuType="A100") == 0
        by_team = (await usage_of(one, "carol", **OCTOBER, groupBy="label:team"))["value"]
        assert [line.get("label") for line in by_team] == [None, "speech", "vision"]

    played(tmp_path, story)


@pytest.mark.parametrize(
    ("query", "target", "said"),
    [
        ({"from": "yesterday"}, "from", "YYYY-MM-DD"),
        ({"from": "2026-02-30"}, "from", "YYYY-MM-DD"),
        ({"to": "2026-11-21T00:00:00Z"}, "to", "YYYY-MM-DD"),
        ({"to": "２０２６-11-21"}, "to", "YYYY-MM-DD"),
        ({"from": "2026-11-22", "to": "2026-11-21"}, "from", "before 'to'"),
        ({"from": "2025-01-01", "to": "2026-02-05"}, "from", "400 days"),
        ({"interval": "hour"}, "interval", "day, month, total"),
        ({"groupBy": "planet"}, "groupBy", "label:NAME"),
        ({"groupBy": "label"}, "groupBy", "label:NAME"),
        ({"groupBy": "label:"}, "groupBy", "label:NAME"),
        ({"groupBy": "user,user"}, "groupBy", "at most once"),
        ({"groupBy": "label:a,label:b"}, "groupBy", "at most once"),
        ({"user": "alice"}, "user", "object id"),
        ({"gpuType": "H100"}, "gpuType", "T4, A100"),
        ({"label": "=x"}, "label", "NAME=VALUE"),
        ({"format": "xml"}, "format", "json or csv"),
        ({"user": ""}, "user", "object id"),
        ({"region": ""}, "region", "left out"),
        ({"label": ""}, "label", "left out"),
        ({"from": "0001-01-01", "to": "0001-01-02"}, "to", "from 1971 to 9998"),
        ({"from": "2027-01-01"}, "from", "now where it is not given"),
    ],
)
def test_a_question_that_is_wrong_is_refused_by_name(tmp_path, query, target, said):
    async def story(one: Plane):
        status, answer, _ = await one.call("carol", "GetUsage", query=query)
        assert (status, answer["error"]["code"], answer["error"]["target"]) == (400, "InvalidParameter", target)
        assert said in answer["error"]["message"]

    played(tmp_path, story)


def test_a_range_of_400_days_is_summed(tmp_path):
    async def story(one: Plane):
        session = ended_session(random.Random(3), MONTH, timedelta(hours=1), tries=[])
        book_usage(one.tables, [session], session.ended_at)

        told = await usage_of(one, "carol", **{"from": "2025-10-18", "to": "2026-11-21"})

        assert told["totals"]["sessions"] == 1

    played(tmp_path, story)


def test_csv_has_the_lines_of_json_and_begins_no_formula(tmp_path):
    async def story(one: Plane):
        draw = random.Random(4)
        for name, label in (
            ("=cmd|' /C calc'!A0", "+1"),
            ('a "quoted", name', "-1"),
            ("line\nbreak", "@x"),
            ("\tx", "ü"),
        ):
            more = {"user_name": name, "labels": {"team": label}, "user": ids.new_request_id(), "tries": []}
            session = ended_session(draw, MONTH, timedelta(minutes=draw.randint(1, 99)), **more)
            book_usage(one.tables, [session], session.ended_at)
        query = {**OCTOBER, "groupBy": "label:team,user"}
        told = await usage_of(one, "carol", **query)

        status, text, headers = await one.call("carol", "GetUsage", query=query, headers={"accept": "text/csv"})
        same = await one.call("carol", "GetUsage", query={**query, "format": "csv"})

        assert (status, headers["content-disposition"]) == (
            200, 'attachment; filename="usage-demo-2026-10-01-2026-10-31.csv"',
        )  # fmt: skip
        assert same[1] == text
        records = list(csv.DictReader(io.StringIO(text, newline="")))
        assert text.count("\r\n") == len(records) + 1
        assert [record["cost"] for record in records] == [line["cost"] for line in told["value"]]
        assert [record["seconds"] for record in records] == [str(line["seconds"]) for line in told["value"]]
        assert {record["label"] for record in records} == {"'+1", "'-1", "'@x", "ü"}
        assert {record["userName"] for record in records} == {
            *("'=cmd|' /C calc'!A0", 'a "quoted", name', "linebreak", "'x"),
        }
        assert {record["currency"] for record in records} == {"USD"}

    played(tmp_path, story)


def test_the_document_says_that_usage_may_be_csv():
    answers = document()["paths"]["/projects/{project}/usage"]["get"]["responses"]

    assert set(answers["200"]["content"]) == {"application/json", "text/csv"}
    refused = document()["components"]["responses"][answers["default"]["$ref"].rpartition("/")[2]]
    assert set(refused["content"]) == {"application/json"}


@pytest.mark.parametrize(("accept", "is_csv"), [("text/csv;q=0.9, */*", True), ("application/json, text/csv", False)])
def test_the_media_type_that_is_asked_for_first_is_given(tmp_path, accept, is_csv):
    async def story(one: Plane):
        _, answer, _ = await one.call("carol", "GetUsage", query=OCTOBER, headers={"accept": accept})
        assert isinstance(answer, str) is is_csv

    played(tmp_path, story)


def test_a_price_of_the_bundled_table_is_said_wherever_a_price_is_shown(tmp_path):
    async def story(one: Plane):
        one.prices.source = PriceSource.BUNDLED
        offers = (await one.call("alice", "ListOffers"))[1]["value"]
        view = await one.opened()
        await one.call("alice", "CloseShell", shell="shell-one")
        await one.run_for(60)

        assert {region["price"]["source"] for region in offers[0]["regions"]} == {"bundled"}
        assert view["price"]["source"] == "bundled"
        assert one.session(view["session"]).price_source is PriceSource.BUNDLED
        assert {row.price_source for row in one.tables.rows("usage", "", UsageRow)} == {PriceSource.BUNDLED}
        told = await usage_of(one, "alice")
        assert told["totals"]["bundled"]
        assert told["value"][0]["bundled"]
        text = (await one.call("alice", "GetUsage", query={"format": "csv"}))[1]
        assert [record["bundled"] for record in csv.DictReader(io.StringIO(text))] == ["true"]

    played(tmp_path, story)


# activity


def note(one: Plane, at: datetime, event: EventType = EventType.STOP_REQUESTED, **more: object) -> str:
    """Put an entry into the outbox, as a change does."""
    actor = Actor(str(more.pop("actor", USERS["alice"])))
    change = outbox_entry(event, str(more.pop("subject", "sessions/x")), more, actor, at)
    assert one.tables.commit("core", "demo", [change])
    return change.key


async def activity(one: Plane, **query: str):
    status, answer, _ = await one.call("carol", "ListActivity", query=query)
    assert status == 200, answer
    return answer


def test_activity_is_told_newest_first_whether_it_is_published_or_waits(tmp_path):
    async def story(one: Plane):
        view = await one.opened()
        drain_outbox(one.world)
        await one.call("alice", "StopSession", {"reason": "lunch"}, session=view["session"])
        await one.settle()  # the driver's own entry, of the same instant, is there before either look
        told = (await activity(one))["value"]

        times = [entry["time"] for entry in told]
        assert times == sorted(times, reverse=True)
        stop = next(entry for entry in told if entry["type"] == "DevBoxGpu.Session.StopRequested")
        assert (stop["actor"], stop["subject"]) == (USERS["alice"], f"sessions/{view['session']}")
        assert stop["data"]["note"] == "lunch"
        assert {"DevBoxGpu.Project.SettingsChanged", "DevBoxGpu.Session.Requested"} <= {one["type"] for one in told}

        drain_outbox(one.world)
        again = (await activity(one))["value"]
        assert [entry["id"] for entry in again] == [entry["id"] for entry in told]
        published = {event_id for _, event_id, _ in one.topic.published}
        assert published <= {entry["id"] for entry in again}, "an entry goes by the id of its event"

    played(tmp_path, story)


def test_an_entry_on_its_way_from_the_outbox_to_the_audit_is_told_once(tmp_path):
    async def story(one: Plane):
        key = note(one, START - timedelta(hours=1))
        row = next(row for row in one.tables.rows("core", key, OutboxRow))
        one.tables.commit("audit", names.audit_partition(ProjectId("demo"), START.date()), [Insert(key, row)])

        told = (await activity(one, type="Session.StopRequested"))["value"]

        assert [entry["id"] for entry in told] == [f"demo.{key}"]

    played(tmp_path, story)


@pytest.mark.parametrize("published", [True, False])
def test_pages_tell_everything_once_over_midnights_and_empty_days(tmp_path, published):
    async def story(one: Plane):
        made = [note(one, START - timedelta(hours=7 * number), number=number) for number in range(30)]
        made += [note(one, START - timedelta(days=20), same=number) for number in range(5)]
        if published:
            drain_outbox(one.world)

        found, query = [], {"from": "2026-10-01", "type": "DevBoxGpu.Session.StopRequested", "maxpagesize": "4"}
        while True:
            page = await activity(one, **query)
            found += [entry["id"] for entry in page["value"]]
            assert len(page["value"]) <= 4
            if "nextLink" not in page:
                break
            query["after"] = page["nextLink"].rpartition("after=")[2]

        assert found == [f"demo.{key}" for key in sorted(made, reverse=True)]

    played(tmp_path, story)


def test_one_answer_looks_through_so_many_days_and_says_where_to_go_on(tmp_path):
    async def story(one: Plane):
        old = note(one, START - timedelta(days=150))
        drain_outbox(one.world)

        query, pages = {"from": "2026-01-01", "type": "Session.StopRequested"}, []
        while "nextLink" in (page := await activity(one, **query)):
            query["after"] = page["nextLink"].rpartition("after=")[2]
            pages.append([entry["id"] for entry in page["value"]])

        assert pages[:3] == [[], [], [f"demo.{old}"]]
        assert len(pages) == 325 // 59

    played(tmp_path, story)


def test_activity_is_filtered_by_type_actor_session_and_time(tmp_path):
    async def story(one: Plane):
        session = SessionId("s" * 26)
        about = note(one, START - timedelta(hours=2), subject=f"sessions/{session}", actor="control-plane")
        told_of = note(one, START - timedelta(hours=3), EventType.SHELL_CLOSED, session=session)
        bobs = note(one, START - timedelta(days=2), EventType.SHELL_CLOSED, actor=USERS["bob"])

        async def found(**query: str) -> list[str]:
            return [entry["id"].removeprefix("demo.") for entry in (await activity(one, **query))["value"]]

        assert await found(session=session) == [about, told_of]
        assert await found(session=session, type="session.stoprequested, DevBoxGpu.Session.Started") == [about]
        assert await found(actor="control-plane", session=session) == [about]
        assert await found(actor=USERS["bob"].upper()) == [bobs]
        assert await found(actor="me") == []
        assert await found(to="2026-11-19") == [bobs]
        assert await found(to="2026-11-21T06:30:00Z", session=session) == [told_of]
        assert await found(**{"from": "2026-11-21T06:30:00Z", "session": session}) == [about]
        assert await found(**{"from": "2026-11-21T08:30:00+02:00", "session": session}) == [about]

    played(tmp_path, story)


@pytest.mark.parametrize(
    ("query", "target"),
    [
        ({"type": "Session.Exploded"}, "type"),
        ({"type": "DevBoxGpu.Session.Started,planet"}, "type"),
        ({"from": "soon"}, "from"),
        ({"from": "2026-11-21T09:00:00"}, "from"),
        ({"from": "2026-11-22", "to": "2026-11-20"}, "from"),
        ({"from": "2024-11-22"}, "from"),
        ({"session": "x"}, "session"),
        ({"after": "o-1"}, "after"),
        ({"after": "o-00000000000000-'"}, "after"),
        ({"maxpagesize": "0"}, "maxpagesize"),
        ({"maxpagesize": "²"}, "maxpagesize"),
        ({"actor": ""}, "actor"),
        ({"type": " ,"}, "type"),
        ({"from": "0001-01-01T00:00:00+05:00"}, "from"),
        ({"to": "0001-01-03"}, "to"),
        ({"to": "9999-12-31T23:59:59-05:00"}, "to"),
    ],
)
def test_a_wrong_filter_of_activity_is_refused_by_name(tmp_path, query, target):
    async def story(one: Plane):
        status, answer, _ = await one.call("carol", "ListActivity", query=query)
        assert (status, answer["error"]["target"]) == (400, target)

    played(tmp_path, story)


def test_activity_and_reconciliation_are_for_administrators(tmp_path):
    async def story(one: Plane):
        for name in ("ListActivity", "ReconcileUsage"):
            assert [(await one.call(who, name))[0] for who in ("carol", "olga", "alice", "dave", None)] == [
                *(200, 200, 403, 404, 401),
            ]

    played(tmp_path, story)


# reconciliation


def test_the_bill_stands_beside_the_estimates_and_what_is_missing_is_named(tmp_path):
    async def story(one: Plane):
        draw = random.Random(5)
        billed, unbilled = (ended_session(draw, MONTH, timedelta(hours=1), tries=[]) for _ in range(2))
        for session in (billed, unbilled):
            book_usage(one.tables, [session], session.ended_at)
        cost, unbooked = cost_so_far(billed, billed.ended_at), SessionId("z" * 26)
        one.actual_cost.billed = {
            billed.session: Actual(amount=cost + Decimal("0.01"), currency="USD"),
            unbooked: Actual(amount=Decimal("1"), currency="USD"),
        }

        status, told, _ = await one.call("carol", "ReconcileUsage", query=OCTOBER)

        by_session = {line["session"]: line for line in told["value"]}
        assert status == 200
        assert by_session[billed.session]["difference"] == "0.010000"
        assert by_session[unbilled.session]["missing"] == "actual"
        assert by_session[unbooked] == {"session": unbooked, "actual": "1.000000", "missing": "estimated"}
        assert told["totals"] == {
            "estimated": str(cost), "actual": str(cost + Decimal("0.01")), "difference": "0.010000",
            "compared": 1, "missingEstimated": 1, "missingActual": 1,
        }  # fmt: skip

    played(tmp_path, story)


def test_a_bill_that_cannot_be_had_is_unknown_and_one_that_nobody_set_up_is_said_so(tmp_path):
    async def story(one: Plane):
        one.actual_cost.away = True
        status, answer, headers = await one.call("carol", "ReconcileUsage", query=OCTOBER)
        assert (status, answer["error"]["code"], headers["retry-after"]) == (503, "ServiceUnavailable", "13")

        object.__setattr__(one.world, "actual_cost", None)
        status, answer, _ = await one.call("carol", "ReconcileUsage", query=OCTOBER)
        assert (status, answer["error"]["code"]) == (409, "CostNotConfigured")
        assert "DEVBOXGPU_COST_SCOPE" in answer["error"]["message"]

    played(tmp_path, story)


def test_days_are_this_months_where_none_are_given(tmp_path):
    async def story(one: Plane):
        told = await usage_of(one, "alice")
        assert (told["from"], told["to"]) == ("2026-11-01", "2026-11-21")
        assert told["totals"] == {
            "seconds": 0,
            "estimated": False,
            "sessions": 0,
            "unpricedSeconds": 0,
            "cost": "0.000000",
        }
        assert (await usage_of(one, "alice", to="2024-02-29"))["from"] == date(2024, 2, 1).isoformat()

    played(tmp_path, story)


@pytest.mark.parametrize("ahead_s", [2, 40])
def test_an_estimate_that_ran_ahead_of_the_end_gives_way_to_it(tmp_path, ahead_s):
    async def story(one: Plane):
        began = datetime(2026, 10, 5, 10, tzinfo=UTC)
        session = ended_session(random.Random(5), began, timedelta(minutes=7), tries=[])
        running = msgspec.structs.replace(session, state=SessionState.RUNNING, ended_at=None)
        book_usage(one.tables, [running], session.ended_at + timedelta(seconds=ahead_s))
        assert book_usage(one.tables, [session], session.ended_at) == 1

        (row,) = one.tables.rows("usage", "", UsageRow)
        assert (row.seconds, row.cost, row.settled) == (420, cost_so_far(session, session.ended_at), True)

    played(tmp_path, story)


def test_a_sweep_at_midnight_leaves_no_second_of_a_session_that_has_just_ended(tmp_path):
    async def story(one: Plane):
        one.keeps_house_every_s = 1_000_000.0
        await one.run_for(14 * 3600)
        one.keeps_house_every_s = 5.0
        view = await one.opened()
        await one.hold_for(58 * 60)
        midnight = datetime(2026, 11, 22, tzinfo=UTC)
        await one.run_for((midnight - one.clock.now()).total_seconds() - 2)
        page = [stored for stored in one.tables.scan("core", "demo", names.SESSIONS, SessionRow)]
        one.azure.delete_takes = timedelta(0)
        await one.call("alice", "CloseShell", shell="shell-one")
        await one.run_for(1.5)
        assert one.session(view["session"]).settled
        await one.run_for(5)
        look = sweeping.Look(world=one.world, drivers=one.drivers, project=ProjectId("demo"))
        sweeping._estimate(look, page, midnight + timedelta(seconds=3))

        row = one.session(view["session"])
        booked = one.tables.rows("usage", "", UsageRow)
        assert {used.day for used in booked} == {date(2026, 11, 21)}
        assert sum(used.seconds for used in booked) == row.metered_s

    played(tmp_path, story)


def test_a_settled_end_counts_before_an_estimate_that_ran_ahead_of_it(tmp_path):
    async def story(one: Plane):
        view = await one.opened()
        running = one.session(view["session"])
        book_usage(one.tables, [running], one.clock.now() + timedelta(seconds=45))
        ended = msgspec.structs.replace(running, state=SessionState.ENDED, ended_at=one.clock.now())
        rows = [(stored.key, stored.row) for _, stored in one.tables.scan_all("usage", ("2", "{"), UsageRow)]
        (row,) = up_to_now(rows, [ended], one.clock.now() + timedelta(seconds=1))
        assert row.seconds == seconds_so_far(ended, one.clock.now())

    played(tmp_path, story)
