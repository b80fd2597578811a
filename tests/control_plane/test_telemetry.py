"""What a session's life tells an exporter: one trace from the command to the last step, measures, and nobody's name."""

from __future__ import annotations

import logging

import msgspec
import pytest

from activities.traced import REPLACED, traced
from shared.domain.measures import MEANINGS, Metric
from shared.domain.steps import DRIVE_SESSION, RUN_SWEEP, Step
from shared.domain.tracing import sweep_trace
from shared.ports.telemetry import SpanKind
from tests.control_plane.plane import Plane
from tests.control_plane.test_sweep import STRAY, make_behind_our_back

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
PUT = "PUT /api/projects/{project}/users/{user}/shells/{shell}"


async def opened_in_trace(one: Plane, flags: str = "01") -> str:
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-{flags}"}
    status, view, _ = await one.call("alice", "OpenShell", {}, headers=headers, shell="shell-one")
    assert status == 201
    await one.run_for(30)
    return view["session"]


def spans_of(one: Plane, trace_id: str = TRACE):
    return [span for span in one.telemetry.spans if span.trace.trace_id == trace_id]


def test_one_trace_leads_from_the_command_over_the_request_and_the_orchestration_to_every_step(played_exactly):
    async def story(one: Plane) -> None:
        session = await opened_in_trace(one)
        await one.call("alice", "CloseShell", shell="shell-one")
        await one.run_for(60)

        spans = spans_of(one)
        (asked,) = [span for span in spans if span.name == PUT]
        (driver,) = [span for span in spans if span.name == DRIVE_SESSION]
        steps = [span for span in spans if span not in (asked, driver)]
        assert (asked.parent_id, asked.kind) == (SPAN, SpanKind.SERVER)
        assert asked.words["http.response.status_code"] == 201
        assert driver.parent_id == asked.trace.span_id
        assert {span.parent_id for span in steps} == {driver.trace.span_id}
        in_order = list(dict.fromkeys(step.name for step in steps))
        assert in_order == [Step.CREATE, Step.LOOK, Step.TEND, Step.REMOVE, Step.SETTLE]
        assert {span.words["session"] for span in [*steps, driver]} == {session}
        assert driver.began_at <= min(span.ended_at for span in steps)
        assert not [span for span in spans if span.fault]

    played_exactly(story)


def test_a_trace_that_its_beginner_does_not_want_recorded_is_not(played_exactly):
    async def story(one: Plane) -> None:
        await opened_in_trace(one, flags="00")

        assert spans_of(one) == []
        assert one.telemetry.sum_of(Metric.TIME_TO_SHELL) > 0

    played_exactly(story)


def test_a_request_without_a_trace_begins_one(played_exactly):
    async def story(one: Plane) -> None:
        await one.opened()

        (asked,) = [span for span in one.telemetry.spans if span.name == PUT]
        assert asked.parent_id is None
        assert Step.CREATE in {span.name for span in spans_of(one, asked.trace.trace_id)}

    played_exactly(story)


def test_the_next_driver_goes_on_in_the_trace_and_the_lost_one_is_told_of(played_exactly):
    async def story(one: Plane) -> None:
        one.drivers.lose_starts = 1
        await opened_in_trace(one)
        await one.run_for(30)

        (lost,) = [span for span in spans_of(one) if span.name == DRIVE_SESSION]
        assert (lost.fault, lost.words["epoch"]) == (REPLACED, 1)
        created = [span for span in spans_of(one) if span.name == Step.CREATE]
        assert [span.words["epoch"] for span in created] == [2]
        assert created[0].parent_id != lost.trace.span_id
        assert one.telemetry.sum_of(Metric.REPAIRS, what="driverReplaced") == 1

    played_exactly(story)


def test_a_step_of_a_driver_that_an_older_version_started_is_carried_out_and_is_part_of_no_trace(played_exactly):
    async def story(one: Plane) -> None:
        order = {"project": "demo", "session": "a" * 26, "epoch": 1, "round": 1, "wake": "wake-1-0"}
        before = len(one.telemetry.spans)

        assert traced(Step.TEND, lambda wire, _: {"seen": wire["round"]})(order, one.world) == {"seen": 1}
        assert len(one.telemetry.spans) == before

    played_exactly(story)


def test_a_sweep_is_a_trace_of_its_own_and_its_repairs_are_counted(played_exactly):
    async def story(one: Plane) -> None:
        make_behind_our_back(one)
        await one.run_for(300)
        await one.sweep()
        await one.run_for(10)

        (swept,) = [span for span in one.telemetry.spans if span.name == RUN_SWEEP]
        assert swept.trace == sweep_trace(int(swept.words["slot"]))
        steps = [span for span in spans_of(one, swept.trace.trace_id) if span is not swept]
        assert {span.parent_id for span in steps} == {swept.trace.span_id}
        assert STRAY not in one.azure.there()
        assert one.telemetry.sum_of(Metric.REPAIRS, what="orphanRemoved") == 1

    played_exactly(story)


def test_the_way_to_a_shell_is_timed_by_phase_and_gpu_seconds_are_those_that_are_metered(played_exactly):
    async def story(one: Plane) -> None:
        session = await opened_in_trace(one)
        ready_s = (one.session(session).running_at - one.session(session).created_at).total_seconds()
        await one.hold_for(300)
        await one.call("alice", "CloseShell", shell="shell-one")
        await one.run_for(60)

        told = one.telemetry
        assert told.sum_of(Metric.TIME_TO_SHELL, gpuType="T4") == ready_s
        phases = [dict(m.words)["phase"] for m in told.measures if m.metric is Metric.PHASE_DURATION]
        assert phases == ["Creating", "Assigning", "Waiting"]
        assert told.sum_of(Metric.PHASE_DURATION) == pytest.approx(ready_s)
        assert told.sum_of(Metric.GPU_SECONDS, project="demo") == one.session(session).metered_s > 300
        assert told.sum_of(Metric.SESSIONS_ENDED, reason="ShellsClosed", code="none") == 1

    played_exactly(story)


def test_sessions_by_state_and_the_line_are_told_and_told_as_nought_when_they_are_over(played_exactly):
    async def story(one: Plane) -> None:
        await one.enable(cap=1, line={"enabled": True, "maxLength": 5, "timeoutMinutes": 60})
        await one.opened()
        await one.open("bob", "shell-two", wait=True)
        await one.run_for(10)
        told = one.telemetry
        assert told.sum_of(Metric.SESSIONS, state="Running", gpuType="T4") == 1
        assert told.sum_of(Metric.SESSIONS, state="Waiting", gpuType="T4") == 1
        assert told.sum_of(Metric.LINE_LENGTH, project="demo") == 1

        await one.call("bob", "CloseShell", shell="shell-two")
        await one.call("alice", "CloseShell", shell="shell-one")
        await one.run_for(120)

        assert told.sum_of(Metric.SESSIONS, state="Running", gpuType="T4") == 0
        assert told.sum_of(Metric.LINE_LENGTH, project="demo") == 0

    played_exactly(story)


def test_refusals_are_counted_by_code_those_of_requests_and_those_of_admission(played_exactly):
    async def story(one: Plane) -> None:
        await one.call(None, "ListProjects")
        await one.call("dave", "OpenShell", {}, shell="shell-one")
        await one.enable(per_user=1)
        await one.opened()
        await one.open(shell="shell-two")
        await one.run_for(10)

        told = one.telemetry
        assert told.sum_of(Metric.REFUSALS, code="Unauthenticated", operation="ListProjects") == 1
        assert told.sum_of(Metric.REFUSALS, code="NotEntitled", operation="OpenShell") == 1
        assert told.sum_of(Metric.REFUSALS, code="UserGpuLimitReached", operation="admission") == 1

    played_exactly(story)


def test_no_span_measure_or_log_line_tells_a_name_a_label_or_a_token(played_exactly, caplog):
    caplog.set_level(logging.DEBUG, "devboxgpu")

    async def story(one: Plane) -> None:
        body = {"sessionName": "private-name", "labels": {"team": "private-label"}, "origin": {"devBox": "private-box"}}
        await one.call("alice", "OpenShell", body, headers=TRACEPARENT, shell="private-shell")
        await one.call("alice", "OpenShell", {"image": "private-image"}, shell="private-other")
        one.drivers.lose_starts = 1
        await one.open("bob", "shell-two")
        await one.run_for(60)
        await one.call("alice", "ConnectShell", shell="private-shell")
        await one.call("alice", "CloseShell", shell="private-shell")
        await one.sweep()
        await one.run_for(60)

        told = [msgspec.json.encode([span.words, span.fault, span.name]).decode() for span in one.telemetry.spans]
        told += [str(measure.words) for measure in one.telemetry.measures]
        lines = [record.getMessage() for record in caplog.records if record.name.startswith("devboxgpu")]
        assert len(lines) > 1, "this life was to leave lines in the log"
        for secret in ("private", "alice", "bob", "demo.example", "Bearer", "canary-token"):
            assert [text for text in [*told, *lines] if secret in text] == []

    played_exactly(story)


def test_every_measure_has_a_meaning():
    assert set(MEANINGS) == set(Metric)
