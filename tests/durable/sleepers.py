"""Orchestrators that live by their timers."""

from datetime import timedelta
from typing import Any

from tests.durable.programs import Program, Story

program = Program()


@program.activity
def note(value: Any) -> Any:
    return value


@program.orchestrator
def sleeps_an_hour(context: Any) -> Story:
    yield context.create_timer(context.current_utc_datetime + timedelta(hours=1))
    return "slept"


@program.orchestrator
def wakes_daily(context: Any) -> Story:
    """Thirty days of one-day timers, with a note each day."""
    days = []
    for number in range(30):
        yield context.create_timer(context.current_utc_datetime + timedelta(days=1))
        noted = yield context.call_activity("note", number)
        days.append([noted, context.current_utc_datetime.isoformat()])
    return days


@program.orchestrator
def waits_a_fortnight(context: Any) -> Story:
    """Longer than the longest timer of the storage: the engine and the SDK chain shorter ones."""
    began = context.current_utc_datetime
    yield context.create_timer(began + timedelta(days=14))
    return (context.current_utc_datetime - began).days


@program.orchestrator
def waits_for_ever(context: Any) -> Story:
    yield context.wait_for_external_event("never")
