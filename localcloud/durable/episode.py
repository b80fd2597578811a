"""One work item of an orchestration: messages in, one set of changes out.

It never touches the journal: what it returns is committed as a whole by whoever runs it, so that an episode that dies
before its commit has not happened, but for activities of the vendor's kind that the fault switches run too early.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from localcloud.durable import history as events
from localcloud.durable import sdk_sites
from localcloud.durable.action_replay import ActionReplay
from localcloud.durable.bill import Step
from localcloud.durable.changes import Changes
from localcloud.durable.decisions import (
    Complete,
    CreateSubOrchestration,
    CreateTimer,
    Decision,
    ScheduleActivity,
    SendEvent,
    Status,
)
from localcloud.durable.errors import OrchestrationFailed, no_such_function, orchestrator_failure
from localcloud.durable.events import ExternalEvents
from localcloud.durable.execution import Execution, after_control
from localcloud.durable.history import Event, EventType, kind_of
from localcloud.durable.payload import orchestration_payload
from localcloud.durable.ports import FunctionCaller, FunctionFailed
from localcloud.durable.replay import Replay
from localcloud.durable.rows import Activity
from localcloud.durable.sanitizer import without_credentials
from localcloud.durable.sdk_answer import SdkAnswer, answer_of, answer_of_failure
from localcloud.durable.strict import Played, failed_instead, first_trap
from localcloud.durable.texts import instant_text, to_json
from localcloud.durable.traps import Rule, Trap
from localcloud.durable.work_factory import WorkFactory

_log = logging.getLogger(__name__)
WORKER_KILLED = "python exited with code 137 (0x89)"


@dataclass(slots=True, kw_only=True)
class EpisodeSettings:
    """What all episodes of an engine share."""

    caller: FunctionCaller
    factory: WorkFactory
    default_version: str | None
    known_orchestrators: Callable[[], Sequence[str]] = tuple
    is_alive: Callable[[str], bool] = lambda _instance_id: False
    strict: bool = False
    loses_terminate: Callable[[], bool] = lambda: False
    store_inputs: bool = False


class Episode:
    """Runs the generations of one work item: the present one, and those that it continues as."""

    def __init__(self, settings: EpisodeSettings, execution: Execution) -> None:
        self._settings = settings
        self._factory = settings.factory
        self._row = execution.row
        self._past = execution.history
        self._new: list[Event] = []
        self._killed = False
        self._replaced_history = not execution.history
        self.changes = Changes()

    def kill_worker(self) -> None:
        """Have the episode end as with a worker that died in it, a fault of the vendor's (durable-measured.md 4)."""
        self._killed = True

    async def run(self, accepted: Sequence[Event]) -> Execution:
        """Take the events of the messages, in order; afterwards `changes` is complete."""
        self._new = [events.orchestrator_started(self._stamp()), *(dict(entry) for entry in accepted)]
        status_before = self._row.custom_status
        generations = 0
        while True:
            generations += 1
            answer = await self._ask()
            following = self._carry_out(self._play(answer))
            kept = status_before if generations > 1 else None
            self._row = replace(self._row, custom_status=answer.custom_status or kept)
            status_before = self._row.custom_status
            if following is None:
                break
            self._begin_next_generation(following)
        if kind_of(self._new[-1]) is not EventType.ORCHESTRATOR_COMPLETED:
            self._new.append(events.orchestrator_completed(self._stamp()))
        return self._stored(accepted)

    def _stored(self, accepted: Sequence[Event]) -> Execution:
        row = self._row
        if not row.status.is_final:
            row = after_control(row, accepted)
        row = replace(row, updated_at=self._factory.now())
        if self._replaced_history:
            self.changes.clear_history(row.instance_id)
        self.changes.append_history(row.instance_id, len(self._past), self._new)
        self.changes.put_instance(row)
        return Execution(row, [*self._past, *self._new])

    def _stamp(self) -> str:
        return instant_text(self._factory.now())

    # -- the function -------------------------------------------------------------------------------------------
    async def _ask(self) -> SdkAnswer:
        name = self._row.name
        caller = self._settings.caller
        if caller.kind_of(name) != "orchestration":
            told = no_such_function(name, "an orchestrator", self._settings.known_orchestrators())
            return SdkAnswer(failure=OrchestrationFailed(orchestrator_failure(name, told), told))
        payload = orchestration_payload(self._row, [*self._past, *self._new])
        try:
            text = await caller.call_orchestrator(name, payload)
        except FunctionFailed as failure:
            answer = answer_of_failure(name, failure)
            if self._settings.strict and without_credentials(failure.text) != failure.text:
                told = "the text of an error or of an input holds what looks like a credential, and hides the error"
                trap = {"rule": Rule.NO_CREDENTIALS, "told": told, "at": sdk_sites.raised_at(failure)}
                answer = replace(answer, notes={**answer.notes, "traps": [trap]})
            return answer
        if self._killed:
            lost = FunctionFailed(WORKER_KILLED, exception_type="WorkerProcessExitException", message="", stack="")
            return answer_of_failure(name, lost)
        return answer_of(name, text)

    def _play(self, answer: SdkAnswer) -> list[Decision]:
        external = ExternalEvents()
        replay = Replay(
            instance_id=self._row.instance_id, execution_id=self._row.execution_id, on_event=external.deliver
        )
        actions = ActionReplay(
            name=self._row.name,
            answer=answer,
            kind_of=self._settings.caller.kind_of,
            events=external,
            default_version=self._settings.default_version,
        )
        decisions = replay.play(self._past, self._new, actions.run)
        if not self._settings.strict:
            return decisions
        played = Played(
            answer=answer,
            kind_of=self._settings.caller.kind_of,
            is_alive=self._settings.is_alive,
            history=[*self._past, *self._new],
            replay=replay,
            actions=actions,
            external=external,
            decisions=decisions,
        )
        trap = first_trap(played)
        return decisions if trap is None else self._fail_in(trap, decisions)

    def _fail_in(self, trap: Trap, decisions: Sequence[Decision]) -> list[Decision]:
        told = trap.text(self._row.name)
        _log.error("durable.trap instance_id=%s %s", self._row.instance_id, told)
        return failed_instead(decisions, orchestrator_failure(self._row.name, told))

    # -- the decisions ------------------------------------------------------------------------------------------
    def _carry_out(self, decisions: Sequence[Decision]) -> Complete | None:
        """Turn decisions into events and changes; returns the one that asks for a next generation.

        A terminate in the batch that makes the instance continue as new wins, unless the vendor's fault is asked for.
        """
        following = None
        terminated = any(isinstance(d, Complete) and d.status is Status.TERMINATED for d in decisions)
        for decision in decisions:
            match decision:
                case ScheduleActivity():
                    self._schedule(decision)
                case CreateTimer():
                    self._create_timer(decision)
                case CreateSubOrchestration():
                    self._start_child(decision)
                case SendEvent():
                    self._send(decision)
                case Complete(status=Status.CONTINUED_AS_NEW):
                    following = decision
                case Complete():
                    self._complete(decision)
        if following is not None and terminated and not self._settings.loses_terminate():
            return None
        return following

    def _schedule(self, decision: ScheduleActivity) -> None:
        stored = to_json([decision.input_text]) if self._settings.store_inputs else None
        self.changes.book(self._row.instance_id, decision.name, Step.ACTIVITY)
        self._new.append(events.task_scheduled(self._stamp(), decision.id, decision.name, stored))
        self.changes.add_activity(
            Activity(
                id=self._factory.next_id(),
                instance_id=self._row.instance_id,
                execution_id=self._row.execution_id,
                task_id=decision.id,
                name=decision.name,
                input_text=decision.input_text,
            )
        )

    def _create_timer(self, decision: CreateTimer) -> None:
        created, fire_at = self._stamp(), instant_text(decision.fire_at)
        self._new.append(events.timer_created(created, decision.id, fire_at))
        fired = events.timer_fired(created, decision.id, fire_at)
        self.changes.add_message(
            self._factory.message(
                self._row.instance_id, fired, execution_id=self._row.execution_id, timer_at=decision.fire_at
            )
        )

    def _start_child(self, decision: CreateSubOrchestration) -> None:
        name, child = decision.name, decision.instance_id
        self._new.append(events.sub_orchestration_created(self._stamp(), decision.id, name, decision.version, child))
        parent = {
            "Name": self._row.name,
            "OrchestrationInstance": {
                "InstanceId": self._row.instance_id,
                "ExecutionId": self._row.execution_id,
            },
            "TaskScheduleId": decision.id,
            "Version": self._row.version,
        }
        started = events.execution_started(
            self._stamp(),
            name=name,
            instance_id=child,
            execution_id=self._factory.new_guid(child).hex,
            input_text=decision.input_text,
            version=decision.version,
            generation=None,
            parent=parent,
        )
        self.changes.book(child, name, Step.START)
        self.changes.add_message(self._factory.start(started))

    def _send(self, decision: SendEvent) -> None:
        self._new.append(
            events.event_sent(self._stamp(), decision.id, decision.target, decision.name, decision.input_text)
        )
        raised = events.event_raised(self._stamp(), decision.name, decision.input_text)
        self.changes.book(self._row.instance_id, self._row.name, Step.ENTITY)
        self.changes.add_message(self._factory.message(decision.target, raised, to_entity=True))

    def _complete(self, decision: Complete) -> None:
        self._new.append(events.execution_completed(self._stamp(), decision.id, decision.status.value, decision.result))
        self._row = replace(self._row, status=decision.status, output=decision.result)
        parent = self._row.parent
        if parent is None:
            return
        task = parent["TaskScheduleId"]
        if decision.status is Status.COMPLETED:
            told = events.sub_orchestration_completed(self._stamp(), task, decision.result)
        else:
            told = events.sub_orchestration_failed(self._stamp(), task, decision.result, decision.details)
        instance = parent["OrchestrationInstance"]
        self.changes.book(self._row.instance_id, self._row.name, Step.CHILD)
        self.changes.add_message(
            self._factory.message(instance["InstanceId"], told, execution_id=instance["ExecutionId"])
        )

    def _begin_next_generation(self, following: Complete) -> None:
        """A history of its own, in the same work item; events that came after continue_as_new go along."""
        execution = self._factory.new_guid(self._row.instance_id).hex
        now = self._factory.now()
        self._row = replace(
            self._row,
            execution_id=execution,
            input_text=following.result,
            status=Status.RUNNING,
            output=None,
            generation=None,
        )
        started = events.execution_started(
            instant_text(now),
            name=self._row.name,
            instance_id=self._row.instance_id,
            execution_id=execution,
            input_text=following.result,
            version=self._row.version,
            generation=None,
            parent=self._row.parent,
        )
        self._past = []
        self._replaced_history = True
        self._new = [
            events.orchestrator_started(instant_text(now)),
            started,
            *({**entry, "IsPlayed": False} for entry in following.carried),
            events.orchestrator_completed(instant_text(now)),
        ]
