"""The whole control plane in one process: the real API, steps and story, on the real durable engine and a virtual
clock, over fakes of Azure and storage. Days pass in milliseconds; faults strike where a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import azure.durable_functions as df
import azure.functions as func

from activities import handover, inbound, keeping, orphans, promoting, surveying, sweep_lease, sweeping
from activities.traced import traced, traced_driving
from api.bridge import ASIDE, serve_with
from localcloud.durable.client_api import DurableClientApi, IdInUse, Outcome
from localcloud.durable.clock import VirtualClock
from localcloud.durable.engine import DurableEngine
from localcloud.durable.options import DurableOptions
from localcloud.durable.ports import FunctionFailed
from orchestrators.session import drive_session
from orchestrators.sweep import run_sweep
from shared.domain.driving import Drive
from shared.domain.inbound import Event
from shared.domain.names import instance_id, sweep_instance
from shared.domain.states import SessionState
from shared.domain.steps import DRIVE_SESSION, RUN_SWEEP, Step, SweepStep
from shared.domain.sweep_records import SWEEP_KEY, SWEEPS, SweepRow
from shared.domain.sweeping import slot_of
from shared.ports.drivers import DriverState
from shared.ports.tables import Insert
from tests.control_plane.fakes import Crashed, MemoryTables
from tests.control_plane.surroundings import START, STEPS, Surroundings, request_for

SWEEP_STEPS = {
    SweepStep.BEGIN: sweep_lease.begin_sweep,
    SweepStep.SURVEY: surveying.survey_apps,
    SweepStep.ORPHANS: orphans.remove_orphans,
    SweepStep.FINISH: sweep_lease.finish_sweep,
}
DRIVING_STEPS = {
    Step.HAND_OVER: handover.hand_over_session,
    SweepStep.MISSING: surveying.wake_for_missing_apps,
    SweepStep.PROJECT: sweeping.sweep_project,
}


class EngineDrivers:
    """The durable client's calls, without HTTP."""

    def __init__(self, engine: DurableEngine) -> None:
        self._api = DurableClientApi(engine)
        self._engine = engine
        self.lose_starts = 0
        self.asked = 0

    async def start(self, drive: Drive) -> None:
        if self.lose_starts:
            self.lose_starts -= 1
            return
        text = json.dumps(json.dumps(drive.to_wire()))
        try:
            await self._api.start(DRIVE_SESSION, instance_id(drive.session, drive.epoch), text, None)
        except IdInUse:
            return

    async def wake(self, drive: Drive, wait: str) -> bool:
        outcome = await self._api.raise_event(instance_id(drive.session, drive.epoch), wait, "null")
        return outcome is Outcome.ACCEPTED

    async def start_sweep(self, slot: int) -> None:
        try:
            await self._api.start(RUN_SWEEP, sweep_instance(slot), json.dumps(json.dumps({"slot": slot})), None)
        except IdInUse:
            return

    async def state(self, drive: Drive) -> DriverState:
        self.asked += 1
        row = self._engine.executions.row(instance_id(drive.session, drive.epoch))
        if row is None:
            return DriverState.MISSING
        return DriverState.OVER if row.status.is_final else DriverState.ALIVE


class AppCaller:
    """The app's functions as the engine calls them: the real story through the SDK, the real steps over the fakes."""

    def __init__(self) -> None:
        self._stories = {
            DRIVE_SESSION: df.Orchestrator.create(drive_session),
            RUN_SWEEP: df.Orchestrator.create(run_sweep),
        }
        self.plane: Plane | None = None
        self.calls: list[str] = []
        self.episodes = 0

    def kind_of(self, name: str) -> Literal["orchestration", "activity", "entity"] | None:
        if name in self._stories:
            return "orchestration"
        return "activity" if name in [*Step, *SweepStep] else None

    def registered_name(self, name: str) -> str:
        return name

    async def call_orchestrator(self, name: str, payload: str) -> str:
        self.episodes += 1
        return str(self._stories[name](func._durable_functions.OrchestrationContext(payload)))

    async def call_entity(self, name: str, payload: str) -> str:
        raise NotImplementedError

    async def call_activity(self, name: str, input_text: str | None, instance_id: str) -> str | None:
        assert self.plane is not None
        self.calls.append(name)
        wire = json.loads(input_text or "null")
        try:
            if name in DRIVING_STEPS:
                step = SweepStep(name) if name in list(SweepStep) else Step(name)
                return json.dumps(
                    await traced_driving(step, DRIVING_STEPS[name])(wire, self.plane.world, self.plane.drivers)
                )
            if name in SWEEP_STEPS:
                return json.dumps(traced(SweepStep(name), SWEEP_STEPS[name])(wire, self.plane.world))
            facts = traced(Step(name), STEPS[Step(name)])(wire, self.plane.world)
            await promoting.wake_promoted(self.plane.world, self.plane.drivers)
            return json.dumps(facts)
        except Exception as error:
            text = f"Result: Failure\nException: {type(error).__name__}: {error}\nStack: "
            raise FunctionFailed(text, exception_type=type(error).__name__, message=str(error), stack="") from error


class Plane(Surroundings):
    """One control plane with its users."""

    def __init__(self, engine: DurableEngine, clock: VirtualClock, caller: AppCaller, **settings: str) -> None:
        super().__init__(clock.now, MemoryTables(), **settings)
        self.clock, self.engine, self.caller = clock, engine, caller
        self.drivers = EngineDrivers(engine)
        self.keeps_house_every_s = 5.0
        self.sweeps = False  # whether the timer that starts sweeps ticks
        self._called = self._ticks = 0
        caller.plane = self

    async def call(
        self,
        who: str | None,
        name: str,
        body: Any = None,
        /,
        *,
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        **parts: str,
    ) -> tuple[int, Any, dict[str, str]]:
        """Call an operation as a user; return status, body, headers (lower-case)."""
        operation, request = request_for(who, name, body, headers=headers, query=query, **parts)
        self._called += 1
        answer = await serve_with(operation, request, self.world, self.drivers)
        await asyncio.gather(*ASIDE)
        text = answer.get_body()
        told = {key.lower(): value for key, value in answer.headers.items()}
        is_json = answer.mimetype == "application/json"
        return answer.status_code, json.loads(text) if text and is_json else text.decode() or None, told

    @property
    def executed(self) -> int:
        """How many functions were executed: operations of the API, steps, episodes of orchestrations, timers."""
        return self._called + len(self.caller.calls) + self.caller.episodes + self._ticks

    async def receive(self, **event: Any) -> None:
        """Deliver an event as the host hands it over."""
        given = {"id": "event-1", "source": "/subscriptions/sub", "subject": None, "time": self.clock.now(), "data": {}}
        await inbound.receive(Event(**{**given, **event}), self.world, self.drivers)

    def has_been_swept(self) -> None:
        """Let the last sweep be of just now."""
        now = self.clock.now()
        slot = slot_of(now, self.world.settings.sweep_every)
        row = SweepRow(slot=slot, holder="sweep-before", started_at=now, expires_at=now, finished_at=now)
        assert self.tables.commit("seen", SWEEPS, [Insert(SWEEP_KEY, row)])

    async def sweep(self) -> None:
        """Let one sweep begin now, as if its slot had come, and come to its end."""
        last = self.tables.read("seen", SWEEPS, SWEEP_KEY, SweepRow)
        await self.drivers.start_sweep(last.row.slot + 1)
        await self.run_for(40)

    async def enable(self, project: str = "demo", *, cap: int = 4, per_user: int = 2, **more: Any) -> None:
        self.highest_cap = max(self.highest_cap, self.reserved(project) if self.highest_cap else 0)
        body = {
            "serverlessGpuSessionsSettings": {
                "serverlessGpuSessionsMode": "AutoDeploy",
                "maxConcurrentSessionsPerProject": cap,
            },
            "maxConcurrentSessionsPerUser": per_user,
            **more,
        }
        status, answer, _ = await self.call("olga", "ReplaceSettings", body, project=project, headers={"if-match": "*"})
        assert status in (200, 201), answer

    async def open(self, user: str = "alice", shell: str = "shell-one", **body: Any) -> dict[str, Any]:
        status, answer, _ = await self.call(user, "OpenShell", body, shell=shell)
        assert status == 201, answer
        return answer

    async def opened(self, user: str = "alice", shell: str = "shell-one") -> dict[str, Any]:
        """Open a shell and let the session come up."""
        view = await self.open(user, shell)
        await self.run_for(30)
        assert self.session(view["session"]).state is SessionState.RUNNING
        return view

    async def renew(
        self, user: str = "alice", shell: str = "shell-one", *, active_s_ago: float = 0.0, **more: float
    ) -> int:
        status, _, _ = await self.call(user, "RenewLease", {"activeSecondsAgo": active_s_ago, **more}, shell=shell)
        return status

    async def hold_for(self, seconds: float, *, active: bool = True, every_s: float = 60.0, **more: float) -> None:
        """Let time pass while a client renews the lease of shell-one, with these further figures."""
        began, end = self.clock.now(), self.clock.now() + timedelta(seconds=seconds)
        while self.clock.now() < end:
            await self.run_for(min(every_s, (end - self.clock.now()).total_seconds()))
            idle_s = 0.0 if active else (self.clock.now() - began).total_seconds()
            if await self.renew(active_s_ago=idle_s, **more) != 200:
                return

    async def settle(self) -> None:
        """Let everything that can happen now happen."""
        quiet_rounds = 0
        for _ in range(200_000):
            await asyncio.sleep(0)
            quiet_rounds = quiet_rounds + 1 if self.engine.is_quiet else 0
            if quiet_rounds > 5:
                return
        raise AssertionError("the engine does not come to rest")

    async def run_for(self, seconds: float) -> None:
        """Let virtual time pass, with the house kept in between."""
        end = self.clock.now() + timedelta(seconds=seconds)
        keeping_every = timedelta(seconds=self.keeps_house_every_s)
        next_keeping = self.clock.now() + keeping_every
        await self.settle()
        while True:
            due = self.clock.next_due()
            upcoming = min(when for when in (due, next_keeping, end) if when is not None)
            if upcoming >= end:
                self.clock.advance_to(end)
                await self.settle()
                return
            self.clock.advance_to(upcoming)
            await self.settle()
            if upcoming == next_keeping:
                next_keeping += keeping_every
                self._ticks += 1
                with suppress(Crashed):  # a timer's run that dies is followed by the next one
                    await keeping.keep_house(self.world, self.drivers)
                    if self.sweeps:
                        await sweep_lease.start_if_due(self.world, self.drivers)
                await self.settle()


@asynccontextmanager
async def plane(folder: Path, *, as_azure: int | None = None, **settings: str) -> AsyncIterator[Plane]:
    """Yield a control plane whose project `demo` is enabled.

    The engine is strict: each trap of the vendor's model is an error. With a seed in `as_azure` it loses, repeats and
    delays as the vendor's was measured to.
    """
    clock, caller = VirtualClock(START), AppCaller()
    read = DurableOptions.from_host_json(json.loads(Path("host.json").read_text()))
    options = replace(read, strict=True, as_azure=as_azure)
    engine = DurableEngine(journal=folder / "durable.sqlite", options=options, caller=caller, clock=clock)
    await engine.start()
    try:
        one = Plane(engine, clock, caller, **settings)
        one.has_been_swept()
        await one.enable()
        yield one
    finally:
        await engine.stop(0)
