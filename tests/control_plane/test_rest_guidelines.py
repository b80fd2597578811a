"""The Azure REST guidelines that the API keeps (reference/experience.md 4.2), as a caller sees them."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qsl, urlsplit

import pytest

from api.operations import API_VERSION, OPERATIONS
from shared.domain.access import Who
from tests.control_plane.plane import Plane

SIGNED_IN = [operation for operation in OPERATIONS if operation.who is not Who.ANYONE]
STATUSES = {"NotStarted", "Running", "Succeeded", "Failed", "Canceled"}
UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)")
PARTS = {"shell": "shell-one", "session": "a" * 26, "operation": "open-x"}
REFUSED = {
    "no version": ("alice", "GetProject", None, {"api-version": ""}, {}),
    "no such parameter": ("alice", "GetProject", None, {"surprise": "1"}, {}),
    "no such field": ("alice", "OpenShell", {"surprise": 1}, {}, {}),
    "nobody": (None, "GetProject", None, {}, {}),
    "not there": ("alice", "GetShell", None, {}, {}),
    "not allowed": ("bob", "ReplaceSettings", {}, {}, {"if-match": "*"}),
    "no condition": ("carol", "ReplaceSettings", {}, {}, {}),
    "a stale condition": ("carol", "UpdateSettings", {}, {}, {"if-match": '"old"'}),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_refusal_has_one_form_and_its_code_in_the_header_too(played_exactly, why):
    who, name, body, query, headers = REFUSED[why]

    async def story(one: Plane) -> None:
        status, answer, told = await one.call(who, name, body, query=query, headers=headers, shell="shell-none")

        assert 400 <= status < 500
        assert set(answer) == {"error"}
        assert {"code", "message"} <= set(answer["error"]) <= {"code", "message", "target", "details", "innererror"}
        assert told["x-ms-error-code"] == answer["error"]["code"]
        assert ("www-authenticate" in told) == (status == 401)

    played_exactly(story)


def test_every_answer_has_an_id_of_its_own_and_repeats_the_callers(played_exactly):
    async def story(one: Plane) -> None:
        sent = {"x-ms-client-request-id": "my-request-1"}
        answers = [
            await one.call("alice", "OpenShell", {}, headers=sent, shell="shell-one"),
            await one.call("alice", "GetShell", headers=sent, shell="shell-one"),
            await one.call("alice", "GetShell", headers=sent, shell="shell-none"),
            await one.call(None, "GetShell", headers=sent, shell="shell-one"),
            await one.call(None, "GetHealth", headers=sent),
        ]
        ids = [headers["x-ms-request-id"] for _, _, headers in answers]
        assert len(set(ids)) == len(answers)
        assert {headers["x-ms-client-request-id"] for _, _, headers in answers} == {"my-request-1"}

    played_exactly(story)


@pytest.mark.parametrize("operation", SIGNED_IN, ids=lambda operation: operation.name)
def test_an_unknown_header_is_no_reason_to_refuse(played_exactly, operation):
    async def story(one: Plane) -> None:
        parts = {name: value for name, value in PARTS.items() if f"{{{name}}}" in operation.route}
        without = await one.call("alice", operation.name, **parts)
        with_one = await one.call("alice", operation.name, headers={"x-of-tomorrow": "1"}, **parts)
        assert without[0] == with_one[0] or (without[0], with_one[0]) in {(201, 200), (202, 204)}

    played_exactly(story)


def test_an_etag_is_quoted_stands_in_the_body_and_changes_with_what_is_told(played_exactly):
    async def story(one: Plane) -> None:
        await one.open()
        _, view, headers = await one.call("alice", "GetShell", shell="shell-one")
        etag = headers["etag"]
        assert re.fullmatch(r'"[^"]+"', etag)
        assert view["etag"] == etag

        status, body, again = await one.call("alice", "GetShell", headers={"if-none-match": etag}, shell="shell-one")
        assert (status, body, again["etag"]) == (304, None, etag)

        await one.run_for(30)
        status, _, later = await one.call("alice", "GetShell", headers={"if-none-match": etag}, shell="shell-one")
        assert status == 200
        assert later["etag"] != etag

    played_exactly(story)


def test_items_of_a_list_carry_their_etags_and_a_long_list_is_read_to_its_end_by_its_links(played_exactly):
    async def story(one: Plane) -> None:
        await one.enable(cap=5, per_user=5)
        opened = {(await one.open(shell=f"shell-{number}-of-5"))["session"] for number in range(5)}

        found, query = [], {"maxpagesize": "2"}
        pages = 0
        while True:
            status, page, _ = await one.call("alice", "ListSessions", query=query)
            assert status == 200
            assert len(page["value"]) <= 2
            assert set(page) <= {"value", "nextLink"}
            found += page["value"]
            pages += 1
            if "nextLink" not in page:
                break
            link = urlsplit(page["nextLink"])
            assert link.scheme
            assert link.netloc
            query = dict(parse_qsl(link.query))
            assert query.pop("api-version") == API_VERSION
        assert pages == 3
        assert {item["id"] for item in found} == opened
        _, shells, _ = await one.call("alice", "ListShells")
        assert len(shells["value"]) == 5
        for item in shells["value"]:
            _, _, headers = await one.call("alice", "GetShell", shell=item["id"])
            assert item["etag"] == headers["etag"]

    played_exactly(story)


@pytest.mark.parametrize("size", ["0", "-1", "1.5", "many", "10000000"])
def test_a_page_size_that_cannot_be_is_refused_by_name(played_exactly, size):
    async def story(one: Plane) -> None:
        status, answer, _ = await one.call("alice", "ListSessions", query={"maxpagesize": size})
        assert (status, answer["error"]["target"]) == (400, "maxpagesize")

    played_exactly(story)


def test_a_monitor_asks_to_come_back_until_it_is_final_and_is_kept_for_a_day(played_exactly):
    async def story(one: Plane) -> None:
        _, view, headers = await one.call("alice", "OpenShell", {}, shell="shell-one")
        place = urlsplit(headers["operation-location"])
        assert dict(parse_qsl(place.query)) == {"api-version": API_VERSION}
        operation = place.path.rpartition("/")[2]

        _, monitor, told = await one.call("alice", "GetOperation", operation=operation)
        assert monitor["id"] == operation
        assert monitor["status"] in STATUSES - {"Succeeded", "Failed", "Canceled"}
        assert int(told["retry-after"]) >= 1
        await one.run_for(30)
        _, monitor, told = await one.call("alice", "GetOperation", operation=operation)
        assert monitor["status"] == "Succeeded"
        assert "retry-after" not in told

        await one.call("alice", "StopSession", {}, session=view["session"])
        await one.run_for(120)
        one.sweeps, one.keeps_house_every_s = True, 300.0
        await one.run_for(23 * 3600)
        for kind in ("open", "stop"):
            status, monitor, _ = await one.call("alice", "GetOperation", operation=f"{kind}-{view['session']}")
            assert (status, monitor["status"]) == (200, "Succeeded")

    played_exactly(story)


def test_what_fails_tells_its_error_in_the_monitor(played_exactly):
    async def story(one: Plane) -> None:
        await one.enable(per_user=1)
        await one.open()
        view = await one.open(shell="shell-two")
        _, monitor, told = await one.call("alice", "GetOperation", operation=f"open-{view['session']}")
        assert (monitor["status"], monitor["error"]["code"]) == ("Failed", "UserGpuLimitReached")
        assert monitor["error"]["message"]
        assert "retry-after" not in told

    played_exactly(story)


def test_instants_are_rfc_3339_in_utc(played_exactly):
    async def story(one: Plane) -> None:
        view = await one.opened()
        answers = [
            (await one.call("alice", "GetShell", shell="shell-one"))[1],
            (await one.call("alice", "GetSession", session=view["session"]))[1],
            (await one.call("alice", "GetOperation", operation=f"open-{view['session']}"))[1],
            (await one.call("carol", "ListActivity"))[1],
        ]
        instants = re.findall(r'"(\d{4}-\d\d-\d\dT[^"]*)"', json.dumps(answers))
        assert len(instants) > 5
        assert [text for text in instants if not UTC.fullmatch(text)] == []

    played_exactly(story)
