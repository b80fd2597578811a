"""The OpenTelemetry SDK behind telemetry: spans with the ids that they were given, instruments made from the table.

Imported by the thread of `queued_telemetry.py` only, never while the app starts.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime

from azure.core.credentials import TokenCredential
from opentelemetry.metrics import Counter, Histogram, Meter
from opentelemetry.metrics import _Gauge as Gauge
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, MetricExporter, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from shared.domain.measures import MEANINGS, Kind, Measure, Metric
from shared.ports import telemetry
from shared.ports.telemetry import Exporter, Span

SPANS_EVERY_MS = 1_000
MEASURES_EVERY_MS = 60_000
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
"""Bounds of the histograms: from an answer to half a day in line there is one that tells."""
KINDS = {telemetry.SpanKind.SERVER: SpanKind.SERVER, telemetry.SpanKind.INTERNAL: SpanKind.INTERNAL}


class OpenTelemetrySink:
    """One tracer and one meter of ours; the process's global ones are left alone."""

    def __init__(self, spans: SpanExporter, measures: MetricExporter, platform_name: str) -> None:
        resource = Resource.create({"service.name": "devboxgpu", "service.namespace": platform_name})
        self._ids = GivenIds()
        self._tracers = TracerProvider(
            sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False, id_generator=self._ids
        )  # what is not sampled does not come here
        self._tracers.add_span_processor(BatchSpanProcessor(spans, schedule_delay_millis=SPANS_EVERY_MS))
        self._tracer = self._tracers.get_tracer("devboxgpu")
        reader = PeriodicExportingMetricReader(measures, export_interval_millis=MEASURES_EVERY_MS)
        seconds = View(instrument_type=Histogram, aggregation=ExplicitBucketHistogramAggregation(SECONDS))
        self._meters = MeterProvider([reader], resource=resource, shutdown_on_exit=False, views=[seconds])
        meter = self._meters.get_meter("devboxgpu")
        self._instruments = {metric: _instrument(meter, metric) for metric in Metric}

    def span(self, span: Span) -> None:
        flags = TraceFlags(TraceFlags.SAMPLED)
        self._ids.give(int(span.trace.trace_id, 16), int(span.trace.span_id, 16))
        above = None
        if span.parent_id is not None:
            parent = SpanContext(
                int(span.trace.trace_id, 16), int(span.parent_id, 16), is_remote=True, trace_flags=flags
            )
            above = set_span_in_context(NonRecordingSpan(parent))
        told = self._tracer.start_span(
            span.name, above, KINDS[span.kind], attributes=span.words, start_time=_nanoseconds(span.began_at)
        )
        if span.fault is not None:
            told.set_status(Status(StatusCode.ERROR, span.fault))
        told.end(_nanoseconds(span.ended_at))

    def measure(self, measure: Measure) -> None:
        match self._instruments[measure.metric]:
            case Counter() as counter:
                counter.add(measure.value, dict(measure.words))
            case Histogram() as histogram:
                histogram.record(measure.value, dict(measure.words))
            case gauge:
                gauge.set(measure.value, dict(measure.words))

    def close(self) -> None:
        self._tracers.shutdown()
        self._meters.shutdown()


class GivenIds(IdGenerator):
    """Gives a span the id that it was told to have: an orchestration's is derived from its name."""

    def __init__(self) -> None:
        self._trace_id = self._span_id = 0

    def give(self, trace_id: int, span_id: int) -> None:
        self._trace_id, self._span_id = trace_id, span_id

    def generate_span_id(self) -> int:
        return self._span_id

    def generate_trace_id(self) -> int:
        return self._trace_id


def _instrument(meter: Meter, metric: Metric) -> Counter | Gauge | Histogram:
    meaning = MEANINGS[metric]
    match meaning.kind:
        case Kind.COUNTER:
            return meter.create_counter(metric, meaning.unit, meaning.text)
        case Kind.HISTOGRAM:
            return meter.create_histogram(metric, meaning.unit, meaning.text)
        case Kind.GAUGE:
            return meter.create_gauge(metric, meaning.unit, meaning.text)


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000) * 1000


def make_sink(
    exporter: Exporter, platform_name: str, connection: str | None, credential: TokenCredential
) -> OpenTelemetrySink:
    """Return the sink of this exporter; raise ValueError where the connection string of Azure Monitor is wrong."""
    if exporter is Exporter.AZURE_MONITOR:
        return OpenTelemetrySink(*_azure_monitor(connection, credential), platform_name)
    return OpenTelemetrySink(*_console(), platform_name)


def _console() -> tuple[SpanExporter, MetricExporter]:
    """Return exporters that write JSON, a line each, to standard error, which the host puts into its log."""
    return (
        ConsoleSpanExporter(out=sys.stderr, formatter=lambda span: span.to_json(indent=None) + os.linesep),
        ConsoleMetricExporter(out=sys.stderr, formatter=lambda told: told.to_json(indent=None) + os.linesep),
    )


def _azure_monitor(connection: str | None, credential: TokenCredential) -> tuple[SpanExporter, MetricExporter]:
    """Return exporters to Application Insights, as the app's own identity; nothing is written to this disk."""
    from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter, AzureMonitorTraceExporter

    how = {"connection_string": connection, "credential": credential, "disable_offline_storage": True}
    return AzureMonitorTraceExporter(**how), AzureMonitorMetricExporter(**how)
