"""The replay of one generation: history in, decisions out.

This is the vendor's executor (DurableTask.Core) in small: sequence ids, open tasks, the check of the history against
what the replay asks for, suspension, termination, and the gate that lets an orchestration end only without open tasks.
"""

from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from localcloud.durable.decisions import (
    VENDOR_NAMES,
    Complete,
    CreateSubOrchestration,
    CreateTimer,
    Decision,
    ScheduleActivity,
    SendEvent,
    Status,
)
from localcloud.durable.errors import (
    NonDeterministic,
    OrchestrationFailed,
    TaskFailure,
    not_scheduled,
    other_kind,
    other_name,
    timer_not_scheduled,
)
from localcloud.durable.history import Event, EventType, kind_of
from localcloud.durable.promises import Cancelled, Promise, start
from localcloud.durable.texts import parse_instant

Orchestrator = Callable[["Replay"], Coroutine[Promise[Any], None, str | None]]
_UNSUSPENDABLE = (EventType.EXECUTION_RESUMED, EventType.EXECUTION_TERMINATED)


@dataclass(slots=True)
class Timer:
    """A timer of the replay; cancelling takes it off the open tasks, while its message still arrives later."""

    id: int
    fired: Promise[None]


class Replay:
    """The context of one generation while its history is played."""

    def __init__(self, *, instance_id: str, execution_id: str, on_event: Callable[[str, str | None], None]) -> None:
        """`on_event` is told of each external event by name and JSON text."""
        self.instance_id = instance_id
        self.execution_id = execution_id
        self.now = datetime.min.replace(tzinfo=UTC)
        self._on_event = on_event
        self.next_id = 0
        self._open: dict[int, Promise[Any]] = {}
        self._decisions: dict[int, Decision] = {}
        self._parked: dict[int, Decision] = {}
        self._while_suspended: list[Event] = []
        self._suspended = False
        self._ended = False
        self._next_generation: Complete | None = None
        self._outcome: Promise[str | None] | None = None
        self._playing: Event | None = None
        self.mismatch: Event | None = None

    # -- what strict mode asks ----------------------------------------------------------------------------------
    @property
    def is_held(self) -> bool:
        """Whether it is suspended, or was ended."""
        return self._suspended or self._ended

    def open_tasks(self) -> list[int]:
        """The ids of what has neither ended nor been cancelled."""
        return list(self._open)

    # -- what the orchestrator asks for -------------------------------------------------------------------------
    def schedule_activity(self, name: str, input_text: str | None) -> Promise[str | None]:
        task = self._take_id()
        self._decisions[task] = ScheduleActivity(id=task, name=name, input_text=input_text)
        return self._opened(task)

    def schedule_child(
        self, name: str, version: str | None, instance_id: str | None, input_text: str | None
    ) -> Promise[str | None]:
        """A sub-orchestration; without an id it gets one made of this execution's id and the sequence id."""
        task = self._take_id()
        child = instance_id if instance_id and instance_id.strip() else f"{self.execution_id}:{task}"
        self._decisions[task] = CreateSubOrchestration(
            id=task, name=name, version=version, instance_id=child, input_text=input_text
        )
        return self._opened(task)

    def create_timer(self, fire_at: datetime) -> Timer:
        task = self._take_id()
        self._decisions[task] = CreateTimer(id=task, fire_at=fire_at)
        return Timer(id=task, fired=self._opened(task))

    def cancel_timer(self, timer: Timer) -> None:
        """Nothing happens where it has fired."""
        if not timer.fired.settled:
            self._open.pop(timer.id, None)
            timer.fired.reject(Cancelled())

    def send_event(self, target: str, name: str, input_text: str) -> None:
        task = self._take_id()
        self._decisions[task] = SendEvent(id=task, target=target, name=name, input_text=input_text)

    def continue_as_new(self, input_text: str | None) -> None:
        """Begin anew with this input once the orchestrator returns; asked twice, the last input counts."""
        self._next_generation = Complete(id=-1, status=Status.CONTINUED_AS_NEW, result=input_text)

    def _take_id(self) -> int:
        taken = self.next_id
        self.next_id += 1
        return taken

    def _opened(self, task: int) -> Promise[Any]:
        promise: Promise[Any] = Promise()
        self._open[task] = promise
        return promise

    # -- playing ------------------------------------------------------------------------------------------------
    def play(self, past: Iterable[Event], new: Iterable[Event], orchestrator: Orchestrator) -> list[Decision]:
        """Play the whole history and return the decisions in the order of their ids.

        The new events are marked as played; those of the past keep the mark with which they were stored.
        """
        try:
            for entry in past:
                self._play_one(entry, orchestrator)
            for entry in new:
                if self._play_one(entry, orchestrator):
                    entry["IsPlayed"] = True
            self._end_if_done()
        except NonDeterministic as error:
            self.mismatch = self._playing
            self._complete(Status.FAILED, error.reason, error.details)
        return [self._decisions[number] for number in sorted(self._decisions)]

    def _play_one(self, entry: Event, orchestrator: Orchestrator) -> bool:
        """False for the event that only moves the clock, which the vendor's executor never marks."""
        kind = kind_of(entry)
        self._playing = entry
        if kind is EventType.ORCHESTRATOR_STARTED:
            self.now = parse_instant(entry["Timestamp"])
            return False
        if kind is EventType.EXECUTION_STARTED:
            self._outcome = start(orchestrator(self))
        else:
            self._take(entry)
        return True

    def _end_if_done(self) -> None:
        if self._open or self._outcome is None or not self._outcome.settled:
            return
        error = self._outcome.error
        if error is None:
            self._complete(Status.COMPLETED, self._outcome.result())
        elif isinstance(error, OrchestrationFailed):
            self._complete(Status.FAILED, error.reason, error.details)
        else:
            raise error

    def _complete(self, status: Status, result: str | None, details: str | None = None) -> None:
        task = self._take_id()
        if status is Status.COMPLETED and self._next_generation is not None:
            self._decisions[task] = replace(self._next_generation, id=task)
        elif not self._ended:
            self._ended = True
            self._decisions[task] = Complete(id=task, status=status, result=result, details=details)

    def _take(self, entry: Event) -> None:
        kind = kind_of(entry)
        if self._suspended and kind not in _UNSUSPENDABLE:
            if kind is not EventType.EXECUTION_SUSPENDED:
                self._while_suspended.append(entry)
            return
        handler = _HANDLERS.get(kind)
        if handler is not None:
            handler(self, entry)

    # -- the history against the replay -------------------------------------------------------------------------
    def _activity_was_scheduled(self, entry: Event) -> None:
        task, name = entry["EventId"], entry["Name"]
        decision = self._decisions.get(task)
        if decision is None:
            raise not_scheduled(
                f"an activity task with sequence ID {task} and name '{name}' (version '{entry['Version']}')"
            )
        what = f"an activity task with sequence number {task} named '{name}'"
        if not isinstance(decision, ScheduleActivity):
            raise other_kind(what, ",", VENDOR_NAMES[type(decision)])
        if decision.name.lower() != name.lower():
            raise other_name(what, "an activity task", decision.name)
        del self._decisions[task]

    def _timer_was_created(self, entry: Event) -> None:
        task = entry["EventId"]
        decision = self._decisions.get(task)
        if decision is None:
            raise timer_not_scheduled(task)
        if not isinstance(decision, CreateTimer):
            raise other_kind(f"a timer task with sequence number {task} named", "", VENDOR_NAMES[type(decision)])
        del self._decisions[task]

    def _child_was_created(self, entry: Event) -> None:
        task, name = entry["EventId"], entry["Name"]
        decision = self._decisions.get(task)
        version = entry["Version"] or ""
        told = f"and name '{name}' (version '{version}', instance ID '{entry['InstanceId']}')"
        if decision is None:
            raise not_scheduled(f"a sub-orchestration task with sequence ID {task} {told}")
        if not isinstance(decision, CreateSubOrchestration):
            what = f"a sub-orchestration task with sequence ID {task} {told}"
            raise other_kind(what, ",", VENDOR_NAMES[type(decision)])
        if decision.name.lower() != name.lower():
            what = f"a sub-orchestration task with sequence ID {task} of type '{name}'"
            raise other_name(what, "a sub-orchestration task", decision.name)
        del self._decisions[task]

    def _event_was_sent(self, entry: Event) -> None:
        task = entry["EventId"]
        decision = self._decisions.get(task)
        what = (
            f"a send event task with sequence number {task}, type 'EventSent' name '{entry['Name']}', "
            f"instance ID '{entry['InstanceId']}'"
        )
        if decision is None:
            raise not_scheduled(what)
        if not isinstance(decision, SendEvent):
            raise other_kind(what, ",", VENDOR_NAMES[type(decision)])
        del self._decisions[task]

    # -- completions --------------------------------------------------------------------------------------------
    def _settled(self, task: int) -> Promise[Any] | None:
        """The open task of an id, which is open no more; None for one that is a duplicate or was cancelled."""
        return self._open.pop(task, None)

    def _task_completed(self, entry: Event) -> None:
        promise = self._settled(entry["TaskScheduledId"])
        if promise is not None:
            promise.resolve(entry["Result"])

    def _task_failed(self, entry: Event) -> None:
        promise = self._settled(entry["TaskScheduledId"])
        if promise is not None:
            promise.reject(TaskFailure(entry["Reason"]))

    def _timer_fired(self, entry: Event) -> None:
        promise = self._settled(entry["TimerId"])
        if promise is not None:
            promise.resolve(None)

    def _event_raised(self, entry: Event) -> None:
        if self._next_generation is None:
            self._on_event(entry["Name"], entry["Input"])
        else:
            carried = (*self._next_generation.carried, entry)
            self._next_generation = replace(self._next_generation, carried=carried)

    # -- control ------------------------------------------------------------------------------------------------
    def _terminated(self, entry: Event) -> None:
        if not self._ended:
            self._complete(Status.TERMINATED, entry["Input"])

    def _suspend(self, _entry: Event) -> None:
        self._suspended = True
        if self._decisions:
            self._parked = dict(self._decisions)
            self._decisions.clear()

    def _resume(self, _entry: Event) -> None:
        self._suspended = False
        self._decisions.update(self._parked)
        self._parked = {}
        waiting, self._while_suspended = self._while_suspended, []
        for entry in waiting:
            self._take(entry)


_HANDLERS: dict[EventType, Callable[[Replay, Event], None]] = {
    EventType.TASK_SCHEDULED: Replay._activity_was_scheduled,
    EventType.TIMER_CREATED: Replay._timer_was_created,
    EventType.SUB_ORCHESTRATION_INSTANCE_CREATED: Replay._child_was_created,
    EventType.EVENT_SENT: Replay._event_was_sent,
    EventType.TASK_COMPLETED: Replay._task_completed,
    EventType.SUB_ORCHESTRATION_INSTANCE_COMPLETED: Replay._task_completed,
    EventType.TASK_FAILED: Replay._task_failed,
    EventType.SUB_ORCHESTRATION_INSTANCE_FAILED: Replay._task_failed,
    EventType.TIMER_FIRED: Replay._timer_fired,
    EventType.EVENT_RAISED: Replay._event_raised,
    EventType.EXECUTION_TERMINATED: Replay._terminated,
    EventType.EXECUTION_SUSPENDED: Replay._suspend,
    EventType.EXECUTION_RESUMED: Replay._resume,
}
