"""The two HTTP APIs: codes, headers and bodies as the vendor's host gives them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import pytest

from localcloud.durable.web import DurableAddresses, DurableHttpApi, WebRequest, WebResponse
from tests.durable.hub import Hub, in_hub
from tests.durable.programs import Program, Story

PUBLIC, RPC = "http://localhost:7071", "http://127.0.0.1:17071"
PAIR = {"pair": [1, 2]}
program = Program()


@program.activity
def add(pair: list[int]) -> int:
    return sum(pair)


@program.activity
def fail_once(key: str) -> str:
    if len([call for call in program.calls if call == ("fail_once", key)]) == 1:
        raise ValueError("the first call")
    return "worked"


@program.orchestrator
def sums(context: Any) -> Story:
    pair = context.get_input()["pair"]
    return (yield context.call_activity("add", pair))


@program.orchestrator
def waits(context: Any) -> Story:
    return (yield context.wait_for_external_event("go"))


@program.orchestrator
def needs_repair(context: Any) -> Story:
    result = yield context.call_activity("fail_once", context.instance_id)
    return result


@program.orchestrator
def needs_repair_of_a_child(context: Any) -> Story:
    return (yield context.call_sub_orchestrator("needs_repair", None, f"{context.instance_id}-child"))


@program.orchestrator
def asks_counter(context: Any) -> Story:
    counter = df.EntityId("Counter", "k")
    context.signal_entity(counter, "add", 1)
    first = yield context.call_entity(counter, "add", 5)
    return first


@program.entity
def counter(context: Any) -> None:
    value = context.get_state(lambda: 0)
    if context.operation_name == "add":
        value += context.get_input()
        context.set_state(value)
    elif context.operation_name == "delete":
        context.destruct_on_exit()
    context.set_result(value)


class Caller:
    """Sends requests to both APIs of a hub."""

    def __init__(self, hub: Hub, key: str | None) -> None:
        self.hub = hub
        self.api = DurableHttpApi(hub.engine, DurableAddresses(public_origin=PUBLIC, rpc_origin=RPC, system_key=key))

    async def send(
        self, line: str, body: Any = ..., *, raw: bytes = b"", kind: str = "application/json"
    ) -> WebResponse:
        """Send "METHOD path?query" to the public API."""
        return await self.api.webhook(self.request(line, body, raw, kind, PUBLIC))

    async def rpc(self, line: str, body: Any = ..., *, raw: bytes = b"") -> WebResponse:
        return await self.api.rpc(self.request(line, body, raw, "application/json", RPC))

    def request(self, line: str, body: Any, raw: bytes, kind: str, origin: str) -> WebRequest:
        method, target = line.split(" ", 1)
        path, _, query = target.partition("?")
        content = raw if body is ... else json.dumps(body).encode()
        headers = {"content-type": kind} if content else {}
        return WebRequest(method=method, raw_path=path, query=query, headers=headers, body=content, origin=origin)


def value(answer: WebResponse) -> Any:
    return json.loads(answer.body) if answer.body else None


def play(tmp_path: Path, scene: Callable[[Caller], Awaitable[None]], *, key: str | None = "the-key") -> None:
    async def run(hub: Hub) -> None:
        await scene(Caller(hub, key))

    in_hub(tmp_path / "journal", program, run)


def test_a_start_is_accepted_with_the_urls_of_the_instance(tmp_path: Path) -> None:
    async def scene(caller: Caller) -> None:
        answer = await caller.send("POST orchestrators/sums/one", PAIR)
        assert answer.status == 202
        urls = value(answer)
        where = f"{PUBLIC}/runtime/webhooks/durabletask/instances/one"
        assert urls["statusQueryGetUri"] == f"{where}?taskHub=TestHubName&connection=Storage&code=the-key"
        assert answer.headers["Location"] == urls["statusQueryGetUri"]
        assert answer.headers["Retry-After"] == "10"
        assert "rewindPostUri" not in urls

    play(tmp_path, scene)


def test_the_status_goes_from_202_to_200_and_tells_the_history_on_request(tmp_path: Path) -> None:
    async def scene(caller: Caller) -> None:
        assert (await caller.send("GET instances/one")).status == 404
        await caller.send("POST orchestrators/waits/one")
        await caller.hub.settle()
        running = await caller.rpc("GET instances/one?showInput=True")
        assert (running.status, value(running)["runtimeStatus"]) == (202, "Running")
        assert running.headers["Location"] == f"{RPC}/durabletask/instances/one?showInput=True"
        await caller.send("POST instances/one/raiseEvent/go", {"n": 1})
        await caller.hub.settle()
        ended = await caller.send("GET instances/one?showHistory=true&showHistoryOutput=true")
        assert (ended.status, value(ended)["output"]) == (200, {"n": 1})
        kinds = [entry["EventType"] for entry in value(ended)["historyEvents"]]
        assert kinds == ["ExecutionStarted", "EventRaised", "ExecutionCompleted"]

    play(tmp_path, scene)


ODD_REQUESTS = [
    ("POST orchestrators/sums/x", b"{not json", "application/json", 400),
    ("POST instances/waiting/raiseEvent/go", b"text", "text/plain", 400),
    ("POST instances/waiting/raiseEvent/go", b"{not json", "application/json", 400),
    ("POST instances/waiting/raiseEvent/go", b"", "application/json", 400),
    ("POST instances/nobody/raiseEvent/go", b"1", "application/json", 404),
    ("POST instances/ended/raiseEvent/go", b"1", "application/json", 410),
    ("POST instances/nobody/terminate?reason=r", b"", "", 404),
    ("POST instances/ended/terminate?reason=r", b"", "", 410),
    ("POST instances/waiting/resume?reason=r", b"", "", 500),
    ("POST instances/ended/rewind?reason=r", b"", "", 412),
    ("POST instances/nobody/rewind?reason=r", b"", "", 404),
    ("POST instances/nobody/restart", b"", "", 400),
    ("POST instances/waiting/restart?restartWithNewInstanceId=false", b"", "", 409),
    ("POST orchestrators/sums/waiting", b"{}", "application/json", 409),
    ("DELETE instances/waiting", b"", "", 412),
    ("DELETE instances/nobody", b"", "", 404),
    ("DELETE instances", b"", "", 400),
    ("POST instances/waiting/explode", b"", "", 404),
    ("PUT instances/waiting", b"", "", 404),
    ("GET nothing", b"", "", 404),
    ("POST orchestrators/sums/a/b", b"{}", "application/json", 404),
    ("GET instances?createdTimeFrom=yesterday", b"", "", 400),
    ("POST entities/no_such_entity/k?op=add", b"1", "application/json", 400),
    ("GET entities/counter/nobody", b"", "", 404),
]


@pytest.mark.parametrize(("line", "body", "kind", "status"), ODD_REQUESTS, ids=lambda part: str(part)[:60])
def test_odd_requests_are_answered_as_the_vendors_host_does(
    line: str, body: bytes, kind: str, status: int, tmp_path: Path
) -> None:
    async def scene(caller: Caller) -> None:
        await caller.send("POST orchestrators/sums/ended", PAIR)
        await caller.send("POST orchestrators/waits/waiting")
        await caller.hub.settle()
        answer = await caller.send(line, raw=body, kind=kind)
        assert answer.status == status

    play(tmp_path, scene)


def test_create_and_wait_gives_the_output_or_after_the_time_the_urls(tmp_path: Path) -> None:
    async def scene(caller: Caller) -> None:
        in_time = await caller.send("POST orchestrators/sums?timeout=20&pollingInterval=0.001", PAIR)
        assert (in_time.status, value(in_time)) == (200, 3)
        waiting = asyncio.create_task(caller.send("POST orchestrators/waits/one?timeout=60&pollingInterval=0.001"))
        await caller.hub.settle()
        caller.hub.clock.advance(timedelta(minutes=2))
        too_late = await waiting
        assert (too_late.status, value(too_late)["id"]) == (202, "one")

    play(tmp_path, scene)


def test_a_rewound_instance_repeats_only_what_failed_also_in_a_child(tmp_path: Path) -> None:
    async def scene(caller: Caller) -> None:
        await caller.send("POST orchestrators/needs_repair_of_a_child/one")
        await caller.hub.settle()
        assert caller.hub.status() == "Failed"
        assert (await caller.send("POST instances/one/rewind?reason=repaired")).status == 202
        await caller.hub.settle()
        assert (caller.hub.output(), caller.hub.output("one-child")) == ("worked", "worked")
        assert caller.hub.events("one-child").count("GenericEvent") == 4

    play(tmp_path, scene)


def test_a_restart_runs_again_with_the_same_input(tmp_path: Path) -> None:
    async def scene(caller: Caller) -> None:
        await caller.send("POST orchestrators/sums/one", PAIR)
        await caller.hub.settle()
        answer = await caller.rpc("POST instances/one/restart?restartWithNewInstanceId=true")
        again = value(answer)["id"]
        await caller.hub.settle()
        assert (answer.status, again != "one", caller.hub.output(again)) == (202, True, 3)
        assert value(answer)["statusQueryGetUri"].startswith(f"{RPC}/runtime/webhooks/durabletask/instances/{again}?")

    play(tmp_path, scene)


def test_lists_come_in_pages_with_a_token(tmp_path: Path) -> None:
    async def scene(caller: Caller) -> None:
        for name in ("a1", "a2", "b1"):
            await caller.send(f"POST orchestrators/sums/{name}", PAIR)
        await caller.hub.settle()
        page = await caller.send("GET instances?instanceIdPrefix=a&top=1&runtimeStatus=Completed,Failed")
        assert [one["instanceId"] for one in value(page)] == ["a1"]
        request = caller.request("GET instances?instanceIdPrefix=a&top=1", ..., b"", "", PUBLIC)
        token = {"x-ms-continuation-token": page.headers["x-ms-continuation-token"]}
        following = await caller.api.webhook(
            WebRequest(method="GET", raw_path=request.raw_path, query=request.query, headers=token, origin=PUBLIC)
        )
        assert [one["instanceId"] for one in value(following)] == ["a2"]
        assert "x-ms-continuation-token" not in following.headers

    play(tmp_path, scene)


def test_purge_by_filter_deletes_the_finished_and_leaves_the_others(tmp_path: Path) -> None:
    async def scene(caller: Caller) -> None:
        await caller.send("POST orchestrators/sums/ended", PAIR)
        await caller.send("POST orchestrators/waits/waiting")
        await caller.hub.settle()
        answer = await caller.send("DELETE instances?createdTimeFrom=2020-01-01T00:00:00Z")
        assert value(answer) == {"instancesDeleted": 1}
        assert (await caller.send("GET instances/ended")).status == 404
        assert (await caller.send("GET instances/waiting")).status == 202

    play(tmp_path, scene)


def test_entities_are_signalled_called_read_listed_and_deleted(tmp_path: Path) -> None:
    async def scene(caller: Caller) -> None:
        await caller.send("POST orchestrators/asks_counter/one")
        await caller.hub.settle()
        assert caller.hub.output() == 6
        await caller.rpc("POST entities/Counter/k?op=add", "2")
        await caller.hub.settle()
        assert value(await caller.rpc("GET entities/counter/k")) == 8
        listed = value(await caller.send("GET entities/counter?fetchState=true"))
        assert [(one["entityId"], one["state"]) for one in listed] == [({"name": "counter", "key": "k"}, 8)]
        await caller.send("DELETE entities/counter/k")
        await caller.hub.settle()
        gone = await caller.send("GET entities/counter/k")
        assert (gone.status, value(gone)) == (200, None)

    play(tmp_path, scene)


@pytest.mark.parametrize(("key", "required"), [("the key", "code=the%20key"), (None, "")])
def test_the_client_binding_tells_where_the_apis_are(key: str | None, required: str, tmp_path: Path) -> None:
    async def scene(caller: Caller) -> None:
        binding = json.loads(caller.api.client_binding())
        assert binding["rpcBaseUrl"] == f"{RPC}/durabletask/"
        assert binding["baseUrl"] == f"{PUBLIC}/runtime/webhooks/durabletask"
        assert binding["requiredQueryStringParameters"] == required
        assert binding["managementUrls"]["id"] == "INSTANCEID"
        assert "rewindPostUri" in binding["managementUrls"]
        assert binding["taskHubName"] == "TestHubName"

    play(tmp_path, scene, key=key)
