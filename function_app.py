"""Every trigger and binding of the app, on one screen. No logic, no environment, no clients made at import."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from activities import (
    admission,
    handover,
    holding,
    inbound,
    keeping,
    orphans,
    promoting,
    provisioning,
    settlement,
    stopping,
    surveying,
    sweep_lease,
    sweeping,
    waiting,
)
from activities.traced import traced, traced_driving
from api import bridge
from api.operations import OPERATIONS, Operation
from orchestrators.session import drive_session
from orchestrators.sweep import run_sweep
from shared.domain.steps import DRIVE_SESSION, RUN_SWEEP, Step, SweepStep
from shared.ports.drivers import DurableDrivers
from shared.ports.inbound_events import read_event, take_any_time
from shared.ports.rows import know_types
from shared.ports.world import world

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)  # callers are told apart by their tokens: api/serve.py
logging.getLogger("azure").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", "Potential duplicate Task completion")  # a wake-up raised twice is expected
take_any_time()


know_types()


def operation(entry: Operation) -> None:
    """Register one operation of the API as a function of its own; only those that command get the durable client."""

    def answer(req: func.HttpRequest) -> func.HttpResponse:
        return bridge.serve_reading(entry, req)

    async def command(req: func.HttpRequest, client: str) -> func.HttpResponse:
        return await bridge.serve_command(entry, req, client)

    answer.__name__ = command.__name__ = entry.name
    bound = app.durable_client_input(client_name="client")(command) if entry.commands else answer
    app.function_name(entry.name)(app.route(route=entry.route, methods=[entry.method])(bound))


def activity(step: Step | SweepStep, body: Callable[[dict[str, Any], Any], dict[str, Any]]) -> None:
    """Register a step, handing it the ports at call time."""
    steps_body = traced(step, body)

    def run(order: dict) -> dict:  # type: ignore[type-arg]  # the worker reads plain annotations only
        return steps_body(order, world())

    run.__name__ = step.value
    app.function_name(step.value)(app.activity_trigger(input_name="order", activity=step.value)(run))


def driving_activity(step: Step | SweepStep, body: Callable[..., Awaitable[dict[str, Any]]]) -> None:
    """Register a step that asks the engine itself: it starts, wakes or looks for drivers."""
    steps_body = traced_driving(step, body)

    async def run(order: dict, client: str) -> dict:  # type: ignore[type-arg]
        return await steps_body(order, world(), DurableDrivers(client))

    run.__name__ = step.value
    bound = app.durable_client_input(client_name="client")(run)
    app.function_name(step.value)(app.activity_trigger(input_name="order", activity=step.value)(bound))


def ledger_activity(step: Step, body: Callable[[dict[str, Any], Any], dict[str, Any]]) -> None:
    """Register a step that may promote sessions out of the line: their drivers are woken when it is done."""
    driving_activity(step, partial(promoting.carry_out, body))


for entry in OPERATIONS:
    operation(entry)

app.function_name(DRIVE_SESSION)(app.orchestration_trigger(context_name="context")(drive_session))

ledger_activity(Step.ADMIT, admission.admit_session)
ledger_activity(Step.WAIT, waiting.wait_in_line)
activity(Step.CREATE, provisioning.create_app)
ledger_activity(Step.LOOK, provisioning.look_at_app)
activity(Step.TEND, holding.tend_session)
ledger_activity(Step.REMOVE, stopping.remove_app)
activity(Step.SETTLE, settlement.settle_session)


driving_activity(Step.HAND_OVER, handover.hand_over_session)

app.function_name(RUN_SWEEP)(app.orchestration_trigger(context_name="context")(run_sweep))

activity(SweepStep.BEGIN, sweep_lease.begin_sweep)
activity(SweepStep.SURVEY, surveying.survey_apps)
driving_activity(SweepStep.MISSING, surveying.wake_for_missing_apps)
driving_activity(SweepStep.PROJECT, sweeping.sweep_project)
activity(SweepStep.ORPHANS, orphans.remove_orphans)
activity(SweepStep.FINISH, sweep_lease.finish_sweep)


@app.function_name("keep_house")
@app.timer_trigger(arg_name="timer", schedule="*/5 * * * * *", use_monitor=False)
@app.durable_client_input(client_name="client")
async def keep_house(timer: func.TimerRequest, client: str) -> None:
    """Repeat unseen wake-ups, replace lost drivers, publish the outbox."""
    await keeping.keep_house(world(), DurableDrivers(client))


@app.function_name("sweep_when_due")
@app.timer_trigger(arg_name="timer", schedule="*/30 * * * * *", use_monitor=False)
@app.durable_client_input(client_name="client")
async def sweep_when_due(timer: func.TimerRequest, client: str) -> None:
    """Start the sweep of this slot unless it has begun: a slot has many ticks, so a lost start is made up for."""
    await sweep_lease.start_if_due(world(), DurableDrivers(client))


@app.function_name("on_resource_event")
@app.event_grid_trigger(arg_name="event")
@app.durable_client_input(client_name="client")
async def on_resource_event(event: func.EventGridEvent, client: str) -> None:
    """Act on what Azure says of our apps, and the customer's automation of Dev Boxes."""
    await inbound.receive(read_event(event), world(), DurableDrivers(client))
