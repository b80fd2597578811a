"""functionTimeout: what runs too long ends, and takes the worker with it (reference/durable-measured.md 4)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from served_app import until

from localcloud.functions_host.time_spans import format_time_span, parse_time_span

SECOND = {"version": "2.0", "functionTimeout": "00:00:01"}
HOLDING = """
import asyncio, os, threading
gate = threading.Event()
seen = []

@app.route(route="hold")
def hold(req: func.HttpRequest) -> str:
    seen.append("hold")
    gate.wait(20)
    return "ended"

@app.route(route="wait")
async def wait(req: func.HttpRequest) -> str:
    seen.append("wait")
    await asyncio.sleep(20)
    return "ended"

@app.route(route="seen")
def look(req: func.HttpRequest) -> str:
    return ",".join(sorted(seen))

@app.route(route="open")
def open_gate(req: func.HttpRequest) -> str:
    gate.set()
    return "open"
"""
DURABLE = """
import threading
import azure.durable_functions as df
app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
gate = threading.Event()

@app.orchestration_trigger(context_name="context")
def story(context):
    try:
        return (yield context.call_activity("hang"))
    except Exception as error:
        return str(error)

@app.orchestration_trigger(context_name="context")
def stuck(context):
    gate.wait(20)
    return "never"
    yield

@app.activity_trigger(input_name="name")
def hang(name) -> str:
    gate.wait(20)
    return "ended"

@app.route(route="open")
def open_gate(req: func.HttpRequest) -> str:
    gate.set()
    return "open"
"""
WEBHOOK = "/runtime/webhooks/durabletask"


@pytest.mark.parametrize("path", ["hold", "wait"])
def test_a_call_that_runs_too_long_is_answered_500_and_named_in_the_log(serve, caplog, path):
    app = serve(HOLDING, host_json=SECOND)

    reply = app.get(f"/api/{path}")
    app.get("/api/open")

    assert (reply.status, reply.body) == (500, b"")
    assert f"function '{path}'" in caplog.text
    assert "ran longer than functionTimeout in host.json allows, 00:00:01" in caplog.text


def test_what_runs_beside_a_call_that_times_out_is_lost_with_the_worker_and_later_calls_are_served(serve, caplog):
    app = serve(HOLDING, host_json={"version": "2.0", "functionTimeout": "00:00:02"})

    with ThreadPoolExecutor(2) as pool:
        late = pool.submit(app.get, "/api/hold")
        until(lambda: app.get("/api/seen").body == b"hold")
        bystander = pool.submit(app.get, "/api/wait")

        assert (late.result().status, bystander.result().status) == (500, 500)
    assert app.get("/api/seen").body == b"hold,wait"
    app.get("/api/open")
    assert "1 other calls fail with it" in caplog.text
    assert "WorkerReplaced" in caplog.text


def test_an_activity_that_runs_too_long_fails_and_its_orchestration_may_catch_that(serve):
    app = serve(DURABLE, preamble="import azure.functions as func\n", host_json=SECOND)

    app.request("POST", f"{WEBHOOK}/orchestrators/story/i1", body=b"")
    ended = until(lambda: (reply := app.get(f"{WEBHOOK}/instances/i1")).status == 200 and reply.json())
    app.get("/api/open")

    assert ended["runtimeStatus"] == "Completed"
    assert "Activity function 'hang' failed" in ended["output"]
    assert "Timeout value of 00:00:01 was exceeded by function: Functions.hang" in ended["output"]


def test_an_orchestrator_that_is_caught_beside_a_call_that_times_out_fails_for_good(serve):
    app = serve(DURABLE, preamble="import azure.functions as func\n", host_json=SECOND)

    app.request("POST", f"{WEBHOOK}/orchestrators/stuck/i2", body=b"")
    ended = until(lambda: (reply := app.get(f"{WEBHOOK}/instances/i2")).status == 200 and reply.json())
    app.get("/api/open")

    assert ended["runtimeStatus"] == "Failed"


@pytest.mark.parametrize("text", ["-1", "00:10:00"])
def test_a_call_within_the_limit_or_without_one_ends_as_ever(serve, text):
    app = serve(HOLDING, host_json={"version": "2.0", "functionTimeout": text})

    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(app.get, "/api/hold")
        until(lambda: app.get("/api/seen").body == b"hold")
        app.get("/api/open")

        assert call.result().body == b"ended"


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("00:05:00", timedelta(minutes=5)),
        ("1.02:03:04", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("00:00:01.500000", timedelta(seconds=1.5)),
    ],
)
def test_time_spans_are_read_and_written_as_dotnet_does(text, span):
    assert parse_time_span(text) == span
    assert format_time_span(span) == text


@pytest.mark.parametrize(
    ("text", "days"), [("24:00:00", 24), ("5", 5), ("300:12:00", 300.5), ("30:00", None), ("1.23:59:60", None)]
)
def test_a_first_part_over_23_and_a_number_by_itself_are_days_as_in_dotnet(text, days):
    assert parse_time_span(text) == (timedelta(days=days) if days is not None else None)


@pytest.mark.parametrize("text", ["", "5 minutes", "1:2:3:4", "-00:01:00", "00:60:00", "1.24:00:00", "24:00:00.5"])
def test_what_is_no_time_span_is_none(text):
    assert parse_time_span(text) is None
