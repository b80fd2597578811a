"""Telemetry that nobody waits for, and what OpenTelemetry makes of it: on the console, and at Azure Monitor's door."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import azure.durable_functions as df
import pytest

from shared.domain.driving import Drive
from shared.domain.measures import Metric, measure
from shared.domain.names import ProjectId, SessionId
from shared.domain.tracing import Trace
from shared.ports.drivers import DurableDrivers
from shared.ports.otel import OpenTelemetrySink, make_sink
from shared.ports.queued_telemetry import QueuedTelemetry
from shared.ports.settings import BadSettings, parse
from shared.ports.telemetry import Exporter, NoTelemetry, Span, SpanKind
from shared.ports.world import _telemetry

AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
TRACE = Trace("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
SPAN = Span(
    name="create_app",
    trace=TRACE,
    parent_id="00f067aa0ba902b7",
    began_at=AT,
    ended_at=AT + timedelta(seconds=2),
    kind=SpanKind.SERVER,
    words={"session": "s", "round": 3},
    fault="ArmUnknown",
)
SAMPLE = json.loads(Path("local.settings.sample.json").read_text())["Values"]


class KeptSink:
    """A sink that keeps what it is given, and holds its thread up while `free` is not set."""

    def __init__(self) -> None:
        self.records: list[object] = []
        self.free, self.closed = threading.Event(), False

    def span(self, span: Span) -> None:
        self.free.wait()
        self.records.append(span)

    def measure(self, measure: object) -> None:
        raise RuntimeError("this exporter fails")

    def close(self) -> None:
        self.closed = True


def test_records_are_exported_in_order_and_what_is_queued_is_exported_before_the_end():
    sink = KeptSink()
    told = QueuedTelemetry(lambda: sink)
    sink.free.set()

    for _ in range(100):
        told.span(SPAN)
    told.close()

    assert (len(sink.records), sink.closed) == (100, True)


def test_a_sink_that_hangs_holds_up_nobody_and_what_does_not_fit_is_dropped_and_told(caplog):
    sink = KeptSink()
    told = QueuedTelemetry(lambda: sink, most_queued=10)

    for _ in range(100):
        told.span(SPAN)

    dropped = [record.getMessage() for record in caplog.records]
    assert dropped[:3] == [f"telemetry.dropped records={number}" for number in (1, 2, 4)]
    sink.free.set()
    told.close()
    assert 10 <= len(sink.records) <= 11


def test_a_sink_that_fails_loses_one_record_and_says_so(caplog):
    sink = KeptSink()
    sink.free.set()
    told = QueuedTelemetry(lambda: sink)

    told.measure([measure(Metric.REPAIRS, 1)])
    told.span(SPAN)
    told.close()

    assert sink.records == [SPAN]
    assert [record.getMessage() for record in caplog.records] == ["telemetry.lost"]


def test_a_sink_that_cannot_be_made_leaves_the_service_without_telemetry(caplog):
    def make() -> KeptSink:
        raise ValueError("Invalid connection string")

    told = QueuedTelemetry(make)
    told.span(SPAN)
    told.close()

    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.ERROR, "telemetry.unusable")
    ]


def test_nothing_of_an_exporter_is_imported_by_the_app_before_something_is_exported():
    names = ("opentelemetry.sdk", "azure.monitor", "shared.ports.otel", "shared.ports.queued_telemetry")
    code = f"import sys, function_app\nprint([name for name in sys.modules if name.startswith({names})])"

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert shown.strip() == "[]"


def test_a_span_is_exported_with_the_ids_and_times_that_it_has(capsys):
    sink = make_sink(Exporter.CONSOLE, "test", None, None)
    sink.span(SPAN)
    sink.close()

    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (span,) = [line for line in told if line.get("name") == "create_app"]
    assert span["context"]["trace_id"] == f"0x{TRACE.trace_id}"
    assert (span["context"]["span_id"], span["parent_id"]) == (f"0x{TRACE.span_id}", "0x00f067aa0ba902b7")
    assert (span["start_time"], span["end_time"]) == ("2026-11-21T09:00:00.000000Z", "2026-11-21T09:00:02.000000Z")
    assert span["status"] == {"status_code": "ERROR", "description": "ArmUnknown"}
    assert span["attributes"] == {"session": "s", "round": 3}
    assert span["resource"]["attributes"]["service.name"] == "devboxgpu"


def test_measures_are_exported_under_their_names_as_what_they_are(capsys):
    sink = make_sink(Exporter.CONSOLE, "test", None, None)
    sink.measure(measure(Metric.SESSIONS, 7, state="Running"))
    sink.measure(measure(Metric.SESSIONS, 3, state="Running"))
    sink.measure(measure(Metric.REPAIRS, 1, what="orphanRemoved"))
    sink.measure(measure(Metric.REPAIRS, 1, what="orphanRemoved"))
    sink.measure(measure(Metric.TIME_TO_SHELL, 14.5, region="westus3"))
    sink.close()

    (line,) = [line for line in capsys.readouterr().err.splitlines() if "resource_metrics" in line]
    (scope,) = json.loads(line)["resource_metrics"][0]["scope_metrics"]
    told = {metric["name"]: metric for metric in scope["metrics"]}
    points = {name: metric["data"]["data_points"][0] for name, metric in told.items()}
    assert points["devboxgpu.sessions"]["value"] == 3
    assert points["devboxgpu.repairs"]["value"] == 2
    assert points["devboxgpu.session.time_to_shell"]["sum"] == 14.5
    assert 20 in points["devboxgpu.session.time_to_shell"]["explicit_bounds"]
    assert told["devboxgpu.session.time_to_shell"]["unit"] == "s"


@contextmanager
def door() -> Iterator[tuple[str, list[dict]]]:
    """Stand at Azure Monitor's door: take what its exporter sends, as its ingestion does."""
    taken: list[dict] = []

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            envelopes = json.load(io.BytesIO(body))
            taken.extend(envelopes)
            told = json.dumps({"itemsReceived": len(envelopes), "itemsAccepted": len(envelopes), "errors": []})
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told.encode())

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = HTTPServer(("127.0.0.1", 0), Taking)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", taken
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_azure_monitor_gets_the_spans_and_the_measures(monkeypatch):
    monkeypatch.setenv("APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL", "true")
    with door() as (url, taken):
        connection = f"InstrumentationKey=00000000-0000-4000-8000-000000000000;IngestionEndpoint={url}"
        sink = make_sink(Exporter.AZURE_MONITOR, "test", connection, None)
        sink.span(SPAN)
        sink.measure(measure(Metric.GPU_SECONDS, 30, gpuType="T4"))
        sink.close()

    (request,) = [one for one in taken if one["data"]["baseType"] == "RequestData"]
    assert request["tags"]["ai.operation.id"] == TRACE.trace_id
    assert request["tags"]["ai.operation.parentId"] == SPAN.parent_id
    assert request["data"]["baseData"]["id"] == TRACE.span_id
    assert request["data"]["baseData"]["success"] is False
    metrics = [one["data"]["baseData"]["metrics"][0] for one in taken if one["data"]["baseType"] == "MetricData"]
    assert ("devboxgpu.gpu.seconds", 30) in [(metric["name"], metric["value"]) for metric in metrics]


def test_nothing_is_exported_where_nothing_is_set_and_each_setting_is_taken_at_its_word():
    unset = parse({**SAMPLE, "DEVBOXGPU_TELEMETRY": ""})
    assert unset.telemetry is Exporter.NONE
    assert isinstance(_telemetry(unset, None), NoTelemetry)
    assert isinstance(_telemetry(parse(SAMPLE), None), QueuedTelemetry)
    with pytest.raises(BadSettings, match="DEVBOXGPU_TELEMETRY must be none, console, azureMonitor; it is 'printer'"):
        parse({**SAMPLE, "DEVBOXGPU_TELEMETRY": "printer"})
    with pytest.raises(BadSettings, match="APPLICATIONINSIGHTS_CONNECTION_STRING is not set"):
        parse({**SAMPLE, "DEVBOXGPU_TELEMETRY": "azureMonitor"})


def test_the_engine_is_told_of_the_trace_when_a_driver_starts():
    """The vendor's own tracing of orchestrations then goes on in the same trace."""
    told: list[str | None] = []

    async def post(url: str, data: object, trace_parent: str | None = None, *_: object, **__: object) -> list[object]:
        told.append(trace_parent)
        return [202, {"id": "one"}]

    binding = {
        "taskHubName": "hub",
        "creationUrls": {"createNewInstancePostUri": "http://127.0.0.1:1/{functionName}[/{instanceId}]"},
        "managementUrls": {"id": "INSTANCEID", "statusQueryGetUri": "http://127.0.0.1:1/INSTANCEID"},
        "baseUrl": "http://127.0.0.1:1",
        "requiredQueryStringParameters": "",
        "rpcBaseUrl": "http://127.0.0.1:1/",
    }
    client = df.DurableOrchestrationClient(json.dumps(binding))
    client._post_async_request = post

    async def start(trace: str | None) -> None:
        drive = Drive(project=ProjectId("demo"), session=SessionId("a" * 26), epoch=1, trace=trace)
        await DurableDrivers(client).start(drive)

    asyncio.run(start(str(TRACE)))
    asyncio.run(start(None))

    assert told == [str(TRACE), None]


def test_an_instrument_is_made_of_every_measure():
    sink = make_sink(Exporter.CONSOLE, "test", None, None)

    assert isinstance(sink, OpenTelemetrySink)
    for metric in Metric:
        sink.measure(measure(metric, 1))
    sink.close()
