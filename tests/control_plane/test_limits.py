"""Limits: sizes, rates, shells and places in line; what one caller does to them leaves the others' service alone."""

from __future__ import annotations

import json
from datetime import timedelta

import azure.functions as func
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.bodies import DEEPEST_BODY, LARGEST_BODY
from api.limits import LARGEST_HEAD, LONGEST_URL
from api.serve import answer
from shared.domain.rate import Bucket, Limit, drawn
from shared.domain.records import SessionRow, ShellRow
from shared.ports.throttle import Throttle
from tests.control_plane.plane import START, Plane
from tests.control_plane.surroundings import BY_NAME, request_for
from tests.control_plane.test_audit import refused

SLOW = {
    "DEVBOXGPU_USER_REQUESTS_PER_MINUTE": "60",
    "DEVBOXGPU_USER_OPENINGS_PER_MINUTE": "6",
    "DEVBOXGPU_PROJECT_REQUESTS_PER_MINUTE": "600",
}
SECOND = timedelta(seconds=1)

# the bucket


@given(
    per_minute=st.floats(1, 1000),
    asked=st.lists(st.tuples(st.floats(0, 120), st.floats(0.1, 30)), max_size=60),
)
def test_no_stretch_of_time_lets_through_more_than_a_bucket_and_what_has_filled_in(per_minute, asked):
    limit, bucket, now, taken = Limit(per_minute), None, START, []
    for after_s, cost in asked:
        now += timedelta(seconds=after_s)
        bucket, wait_s = drawn(bucket, limit, cost, now)
        if not wait_s:
            taken.append((now, min(cost, per_minute)))
    for index, (begin, _) in enumerate(taken):
        for end in range(index, len(taken)):
            span_s = (taken[end][0] - begin).total_seconds()
            drawn_in_it = sum(cost for _, cost in taken[index : end + 1])
            assert drawn_in_it <= per_minute + span_s * per_minute / 60 + 1e-6


@given(per_minute=st.floats(1, 1000), left=st.floats(0, 1), cost=st.floats(1, 50), refused_before=st.integers(0, 5))
def test_who_waits_as_long_as_told_is_let_through_however_often_it_asked(per_minute, left, cost, refused_before):
    limit, bucket = Limit(per_minute), Bucket(left * min(1, cost) * 0.99, START)
    bucket, wait_s = drawn(bucket, limit, cost, START)
    for _ in range(refused_before):
        bucket, again_s = drawn(bucket, limit, cost, START)
        assert again_s == wait_s

    assert drawn(bucket, limit, cost, START + timedelta(seconds=wait_s + 0.001))[1] == 0


def test_a_clock_that_goes_back_fills_nothing():
    assert drawn(Bucket(0, START), Limit(60), 1, START - timedelta(hours=1))[1] == 1


def test_buckets_are_bounded_and_those_longest_unused_go_first():
    throttle, limit = Throttle(most=3), Limit(2)
    for name in "abacd":
        throttle.take(name, limit, START)

    assert throttle.left("a", limit) == 0
    assert throttle.left("b", limit) == 2, "forgotten"
    assert len(throttle._buckets) == 3


# rates


def test_who_calls_too_fast_is_told_when_to_come_again_and_nobody_else_notices(played_exactly):
    async def story(one: Plane) -> None:
        answers = [await one.call("alice", "GetSettings") for _ in range(61)]
        status, told, headers = answers[-1]
        assert [status for status, _, _ in answers[:-1]] == [200] * 60
        assert (status, told["error"]["code"], headers["retry-after"]) == (429, "TooManyRequests", "1")

        assert (await one.call("bob", "GetSettings"))[0] == 200
        await one.run_for(int(headers["retry-after"]))
        assert (await one.call("alice", "GetSettings"))[0] == 200

    played_exactly(story, **SLOW)


def test_a_flood_of_one_user_leaves_all_others_of_the_project_their_service(played_exactly):
    async def story(one: Plane) -> None:
        flood = [(await one.call("alice", "ListSessions"))[0] for _ in range(2000)]
        assert flood.count(200) <= 60
        assert (await one.call("bob", "OpenShell", {}, shell="shell-one"))[0] == 201
        assert (await one.call("carol", "GetSettings"))[0] == 200

    played_exactly(story, **SLOW)


def test_all_of_a_project_together_have_a_limit_that_leaves_other_projects_alone(played_exactly):
    async def story(one: Plane) -> None:
        statuses = [(await one.call(who, "GetSettings"))[0] for _ in range(50) for who in ("alice", "bob", "carol")]
        assert statuses.count(200) == 99, "the project was enabled by the first of a hundred"
        assert (await one.call("erin", "GetSettings", project="other"))[0] == 200

    played_exactly(story, **{**SLOW, "DEVBOXGPU_PROJECT_REQUESTS_PER_MINUTE": "100"})


def test_strangers_do_not_draw_from_a_projects_limit(played_exactly):
    async def story(one: Plane) -> None:
        for _ in range(150):
            await one.call("dave", "GetSettings")
            await one.call("erin", "GetSettings")
        assert (await one.call("bob", "GetSettings"))[0] == 200

    played_exactly(story, DEVBOXGPU_PROJECT_REQUESTS_PER_MINUTE="100")


def test_a_user_who_is_over_the_limit_costs_the_directory_no_call(played_exactly):
    async def story(one: Plane) -> None:
        for _ in range(60):
            await one.call("alice", "GetSettings")
        asked = one.entitlement.asked
        for _ in range(50):
            await one.call("alice", "GetSettings")
        assert one.entitlement.asked == asked

    played_exactly(story, **SLOW)


def test_what_reads_many_rows_draws_more():
    dear = {entry.name for entry in BY_NAME.values() if entry.cost > 1}

    assert dear == {
        "ReplayPolicy",
        "GetUsage",
        "ReconcileUsage",
        "VerifyActivity",
        "VerifyPlatformActivity",
    }


def test_a_flood_of_openings_stores_little_keeps_the_caps_and_leaves_the_line_to_others(played_exactly):
    async def story(one: Plane) -> None:
        await one.enable(cap=1, per_user=1)
        for number in range(500):
            await one.call("alice", "OpenShell", {"wait": True}, shell=f"shell-{number:04d}")
        assert len(one.tables.rows("core", "s-", SessionRow)) <= 6
        assert (await one.call("bob", "OpenShell", {"wait": True}, shell="shell-one"))[0] == 201
        await one.run_for(70)

        told = [row.data for row in refused(one) if row.data["status"] == 429]
        assert sum(data["attempts"] for data in told) == 494
        assert len(told) <= 2

    played_exactly(story, **SLOW)


def test_a_renewal_is_let_through_while_the_same_user_floods_openings(played_exactly):
    async def story(one: Plane) -> None:
        await one.opened()
        for number in range(40):
            await one.call("alice", "OpenShell", {}, shell=f"shell-{number:04d}")
        assert await one.renew() == 200

    played_exactly(story, **SLOW)


def test_shells_of_a_user_are_counted_in_storage_however_many_processes_serve(played_exactly):
    async def story(one: Plane) -> None:
        statuses = []
        for _ in range(4):
            one.start_process()  # with full buckets
            for number in range(30):
                shell = f"shell-{len(statuses):04d}-{number}"
                status, told, _ = await one.call("alice", "OpenShell", {}, shell=shell)
                statuses.append(status)
        kept = one.tables.rows("core", "h-", ShellRow)
        assert told["error"]["code"] == "TooManyShells"
        # those that a new process lets through unasked, while the user's bucket there is more than half full
        assert len(kept) <= 20 + 4 * 15
        assert (await one.call("bob", "OpenShell", {}, shell="shell-one"))[0] == 201

    played_exactly(story, DEVBOXGPU_USER_OPENINGS_PER_MINUTE="30", DEVBOXGPU_SHELLS_PER_USER="20")


def test_a_shell_that_is_there_is_answered_for_with_many_others(played_exactly):
    async def story(one: Plane) -> None:
        for number in range(10):
            await one.call("alice", "OpenShell", {}, shell=f"shell-{number:04d}")
        status, told, headers = await one.call("alice", "OpenShell", {}, shell="shell-9999")
        assert (status, told["error"]["code"], headers["retry-after"]) == (429, "TooManyShells", "600")

        assert (await one.call("alice", "OpenShell", {}, shell="shell-0003"))[0] == 200

    played_exactly(story, DEVBOXGPU_USER_OPENINGS_PER_MINUTE="19", DEVBOXGPU_SHELLS_PER_USER="10")


def test_one_user_has_half_of_the_line_at_most(played_exactly):
    async def story(one: Plane) -> None:
        await one.enable(cap=1, per_user=1, line={"maxLength": 6})
        await one.open("carol", "shell-one")
        views = [await one.open(shell=f"shell-{number}x", wait=True) for number in range(5)]
        ended = [one.session(view["session"]) for view in views]
        assert [row.state for row in ended] == ["Waiting"] * 3 + ["Ended"] * 2
        assert "3 of your sessions wait already" in ended[-1].error_message

        bobs = await one.open("bob", "shell-one", wait=True)
        assert one.session(bobs["session"]).state == "Waiting"

    played_exactly(story)


# sizes


def sent(body: bytes = b"", *, headers: dict[str, str] | None = None, url_more: str = "") -> func.HttpRequest:
    _, request = request_for("alice", "OpenShell", body, headers=headers, shell="shell-one")
    return func.HttpRequest(
        request.method,
        request.url + url_more,
        headers=dict(request.headers),
        params=dict(request.params),
        route_params=dict(request.route_params),
        body=body,
    )


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (sent(b" " * (LARGEST_BODY - 2) + b"{}"), 201, None),
        (sent(b" " * (LARGEST_BODY - 1) + b"{}"), 413, "RequestBodyTooLarge"),
        (sent(headers={"x-long": "x" * (LARGEST_HEAD - 200)}), 201, None),
        (sent(headers={"x-long": "x" * LARGEST_HEAD}), 431, "RequestHeadersTooLarge"),
        (sent(headers={f"x-{number}": "x" * 100 for number in range(300)}), 431, "RequestHeadersTooLarge"),
        (sent(headers={"authorization": "Bearer " + "x" * LARGEST_HEAD}), 431, "RequestHeadersTooLarge"),
        (sent(url_more="?x=" + "x" * LONGEST_URL), 414, "RequestUrlTooLong"),
        (sent(json.dumps({"labels": {f"l{number}": "x" for number in range(16)}}).encode()), 201, None),
        (sent(json.dumps({"labels": {f"l{number}": "x" for number in range(17)}}).encode()), 400, "InvalidRequest"),
        (sent(json.dumps({"labels": {"l": "x" * 65}}).encode()), 400, "InvalidRequest"),
        (sent(json.dumps({"labels": {"l" * 33: "x"}}).encode()), 400, "InvalidRequest"),
        (sent(json.dumps({"sessionName": "x" * 65}).encode()), 400, "InvalidRequest"),
        (sent(json.dumps({"image": "x" * 301}).encode()), 400, "InvalidRequest"),
        (sent(b"[" * 8000 + b"]" * 8000), 400, "InvalidRequest"),
        (sent(b'{"labels":' * 1600), 400, "InvalidRequest"),
        (sent(b'{"waitTimeoutSeconds": ' + b"9" * 5000 + b"}"), 400, "InvalidRequest"),
        (sent(b'{"waitTimeoutSeconds": 1e999}'), 400, "InvalidRequest"),
    ],
)
def test_sizes_have_limits_that_hold_to_the_byte(played_exactly, request_, status, code):
    async def story(one: Plane) -> None:
        reply = answer(BY_NAME["OpenShell"], request_, one.world)
        assert (reply.status, reply.headers.get("x-ms-error-code")) == (status, code)

    played_exactly(story)


def test_settings_may_not_be_deeper_than_can_be_read(played_exactly):
    async def story(one: Plane) -> None:
        body = b'{"idle":' * DEEPEST_BODY + b"{}" + b"}" * DEEPEST_BODY
        status, told, _ = await one.call("olga", "UpdateSettings", body, headers={"if-match": "*"})
        assert (status, told["error"]["code"]) == (400, "InvalidRequest")

    played_exactly(story)


@pytest.mark.parametrize("name", ["ListSessions", "ListActivity"])
@pytest.mark.parametrize(("size", "status"), [("1", 200), ("1000", 200), ("0", 400), ("1001", 400), ("9" * 50, 400)])
def test_pages_have_a_largest_size(played_exactly, name, size, status):
    async def story(one: Plane) -> None:
        assert (await one.call("carol", name, query={"maxpagesize": size}))[0] == status

    played_exactly(story)


def test_every_operation_with_a_list_that_grows_takes_a_page_size():
    """ListShells is bounded by shells a user; offers, projects and usage by types, projects and groups."""
    paged = {entry.name for entry in BY_NAME.values() if "maxpagesize" in entry.query}

    assert paged == {"ListSessions", "ListActivity", "ListPlatformActivity"}
