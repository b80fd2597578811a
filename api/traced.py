"""Requests as spans and measures: in the trace that the caller's `traceparent` names, or in a new one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import azure.functions as func

from api.operations import Operation
from shared.domain.measures import Metric, measure
from shared.domain.tracing import read_trace
from shared.ports.clock import elapsed_s
from shared.ports.telemetry import SpanKind, Working, spanned
from shared.ports.world import World

log = logging.getLogger("devboxgpu.api")


class Watched:
    """A request under way."""

    def __init__(self, working: Working) -> None:
        self._working = working
        self.answer: func.HttpResponse | None = None

    def answered(self, answer: func.HttpResponse) -> func.HttpResponse:
        """Note the answer, with what its headers say of it."""
        self.answer = answer
        self._working.words |= {
            "http.response.status_code": answer.status_code,
            "devboxgpu.request_id": answer.headers.get("x-ms-request-id", ""),
        }
        if code := answer.headers.get("x-ms-error-code"):
            self._working.words["error.type"] = code
        if answer.status_code >= 500:
            self._working.fault = code or "failed"
        return answer


@contextmanager
def watched(operation: Operation, request: func.HttpRequest, world: World) -> Iterator[Watched]:
    """Let a request be told of when it is over. Whoever it was is not told: the audit knows."""
    words: dict[str, str | int | float | bool] = {
        "http.request.method": operation.method,
        "http.route": f"/api/{operation.route}",
        "devboxgpu.operation": operation.name,
    }
    began_s, parent = elapsed_s(), read_trace(request.headers.get("traceparent"))
    name = f"{operation.method} /api/{operation.route}"
    with spanned(world.telemetry, name, parent, kind=SpanKind.SERVER, words=words, now=world.now) as working:
        one = Watched(working)
        yield one
    if one.answer is not None:
        _count(operation, one.answer, elapsed_s() - began_s, working, world)


def _count(operation: Operation, answer: func.HttpResponse, seconds: float, working: Working, world: World) -> None:
    code, status = answer.headers.get("x-ms-error-code"), str(answer.status_code)
    measures = [measure(Metric.REQUEST_DURATION, seconds, operation=operation.name, status=status)]
    if code:
        measures.append(measure(Metric.REFUSALS, 1, code=code, operation=operation.name))
    world.telemetry.measure(measures)
    if answer.status_code >= 500:
        log.error(
            "call.answered operation=%s status=%s code=%s request=%s trace=%s",
            operation.name,
            status,
            code,
            answer.headers.get("x-ms-request-id"),
            working.trace.trace_id,
        )
