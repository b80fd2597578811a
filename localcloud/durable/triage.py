"""Which messages of a batch an execution takes, and which are dropped, held or left."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from localcloud.durable.execution import Execution, execution_of
from localcloud.durable.executions import Executions
from localcloud.durable.faults import Faults
from localcloud.durable.history import Event, EventType, kind_of
from localcloud.durable.options import DurableOptions
from localcloud.durable.rows import Message
from localcloud.durable.versions import may_run


@dataclass(slots=True)
class Sorted:
    """A batch after triage; `handled` are the messages that the journal need not keep any longer."""

    execution: Execution | None
    accepted: list[Event] = field(default_factory=list)
    handled: list[Message] = field(default_factory=list)
    stale_timers: int = 0

    @property
    def has_begun(self) -> bool:
        return self.execution is not None and bool(self.execution.history or self.accepted)


class Triage:
    """Sorts the mail of one hub.

    Messages of earlier executions and to finished instances are dropped. A start whose version this host may not run
    stays where it is, unseen (functions-host.md 1.5).
    """

    def __init__(
        self, *, executions: Executions, options: DurableOptions, faults: Faults, now: Callable[[], datetime]
    ) -> None:
        self._now = now
        self._executions = executions
        self._options = options
        self._faults = faults
        self._held: dict[str, list[Message]] = {}

    def sort(self, instance_id: str, batch: list[Message]) -> Sorted:
        row = self._executions.row(instance_id)
        found = Sorted(None if row is None or row.status.is_final else self._executions.get(instance_id))
        if found.execution is not None and not found.execution.history:
            batch = self._with_start_first(instance_id, batch)
        for message in batch:
            if kind_of(message.event) is EventType.EXECUTION_STARTED:
                self._take_start(found, message)
                continue
            found.handled.append(message)
            if found.execution is None or not found.has_begun:
                continue
            if message.execution_id in (None, found.execution.row.execution_id):
                found.accepted.append(message.event)
            else:
                found.stale_timers += self._is_stale_timer(message)
        found.accepted = [
            entry
            for entry in found.accepted
            if not self._is_lost(instance_id, entry, beside_timer=found.stale_timers > 0)
        ]
        return found

    def _is_stale_timer(self, message: Message) -> bool:
        if kind_of(message.event) is not EventType.TIMER_FIRED:
            return False
        self._faults.note_stale_timer(self._now(), message.instance_id)
        return True

    def _take_start(self, found: Sorted, message: Message) -> None:
        """A start begins anew, unless it is that of the execution which runs already."""
        if not may_run(message.event["Version"], self._options):
            return
        found.handled.append(message)
        running = found.execution
        if running is None or not running.history or message.execution_id != running.row.execution_id:
            found.execution, found.accepted = execution_of(message), [message.event]

    def _with_start_first(self, instance_id: str, batch: list[Message]) -> list[Message]:
        """What comes before the start of a Pending instance is held until that can be seen, and then follows it."""
        held = [*self._held.pop(instance_id, ()), *batch]
        starts = [message for message in held if kind_of(message.event) is EventType.EXECUTION_STARTED]
        others = [message for message in held if kind_of(message.event) is not EventType.EXECUTION_STARTED]
        if any(may_run(message.event["Version"], self._options) for message in starts):
            return [*starts, *others]
        self._held[instance_id] = others
        return starts

    def _is_lost(self, instance_id: str, entry: Event, *, beside_timer: bool) -> bool:
        """Whether an event is swallowed by the message of a timer of an earlier generation."""
        if kind_of(entry) is not EventType.EVENT_RAISED:
            return False
        if beside_timer and self._faults.loses_beside_timer(instance_id, entry["Name"]):
            return True
        return self._faults.loses_near_stale_timer(self._now(), instance_id)
