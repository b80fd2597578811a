"""What callers may do with instances and entities; every answer stands on what is committed."""

import logging
from dataclasses import replace
from datetime import datetime
from enum import Enum, auto

from localcloud.durable import history as events
from localcloud.durable.bill import Step
from localcloud.durable.changes import Changes
from localcloud.durable.decisions import Status
from localcloud.durable.engine import DurableEngine
from localcloud.durable.entity_messages import client_signal
from localcloud.durable.history import Event, EventType, kind_of
from localcloud.durable.rewind import rewound
from localcloud.durable.rows import Entity, Instance, InstanceQuery
from localcloud.durable.strict import trap_of_start
from localcloud.durable.texts import instant_text
from localcloud.durable.traps import StrictRefusal

_log = logging.getLogger(__name__)
_STEPS = {EventType.EVENT_RAISED: Step.EVENT, EventType.EXECUTION_TERMINATED: Step.TERMINATE}


class Outcome(Enum):
    """What became of an operation on an instance."""

    ACCEPTED = auto()
    NOT_FOUND = auto()
    FINISHED = auto()


class IdInUse(Exception):
    """A start under the id of an instance that has not finished."""

    def __init__(self, status: Status) -> None:
        super().__init__(f"An Orchestration instance with the status {status} already exists.")


class NoSuchInstance(Exception):
    """An operation that needs an instance met none."""


class WrongState(Exception):
    """The state of the instance does not allow the operation."""


class DurableClientApi:
    """The operations of the durable client, without HTTP."""

    def __init__(self, engine: DurableEngine) -> None:
        self._engine = engine
        self._starting: set[str] = set()

    def _stamp(self) -> str:
        return instant_text(self._engine.factory.now())

    # -- starting -----------------------------------------------------------------------------------------------
    async def start(self, name: str, instance_id: str | None, input_text: str | None, version: str | None) -> str:
        """Start an orchestration and return its id; a finished instance of the id is replaced.

        Raises IdInUse, and StrictRefusal in strict mode.
        """
        self._check_start(name, input_text)
        target = instance_id or self._engine.factory.new_guid().hex
        previous = self._engine.executions.row(target)
        if target in self._starting:
            raise IdInUse(Status.PENDING)
        if previous is not None and not previous.status.is_final:
            raise IdInUse(previous.status)
        self._starting.add(target)
        try:
            await self._begin(name, target, input_text, version, previous)
        finally:
            self._starting.discard(target)
        return target

    def _check_start(self, name: str, input_text: str | None) -> None:
        engine = self._engine
        if not engine.options.strict:
            return
        trap = trap_of_start(name, input_text, is_known=engine.caller.kind_of(name) == "orchestration")
        if trap is not None:
            _log.error("durable.trap start=%s %s", name, trap.text(name))
            raise StrictRefusal(trap.text(name))

    async def _begin(
        self, name: str, target: str, input_text: str | None, version: str | None, previous: Instance | None
    ) -> None:
        engine = self._engine
        now = engine.factory.now()
        row = Instance(
            instance_id=target,
            execution_id=str(engine.factory.new_guid(target)),
            name=name,
            version=version or engine.options.default_version,
            input_text=input_text,
            created_at=now,
            updated_at=now,
            generation=0 if previous is None else (previous.generation or 0) + 1,
        )
        started = events.execution_started(
            instant_text(now),
            name=row.name,
            instance_id=target,
            execution_id=row.execution_id,
            input_text=input_text,
            version=row.version,
            generation=row.generation,
        )
        changes = Changes()
        changes.clear_history(target)
        changes.put_instance(row)
        changes.book(target, name, Step.START)
        changes.add_message(engine.factory.start(started))
        engine.executions.forget(target)
        await engine.commit(changes)

    async def restart(self, instance_id: str, *, with_new_id: bool) -> str:
        """Start the same orchestration with the same input again; raises NoSuchInstance, IdInUse."""
        row = self._engine.executions.row(instance_id)
        if row is None:
            raise NoSuchInstance(instance_id)
        return await self.start(row.name, None if with_new_id else instance_id, row.input_text, row.version)

    # -- messages to instances ----------------------------------------------------------------------------------
    async def raise_event(self, instance_id: str, name: str, input_text: str) -> Outcome:
        """Send an event; accepted means that it is on the disk, not that anybody waits for it."""
        lost = self._engine.faults.loses_event(instance_id, name)
        return await self._send(instance_id, events.event_raised(self._stamp(), name, input_text), lost=lost)

    async def terminate(self, instance_id: str, reason: str | None) -> Outcome:
        lost = self._engine.faults.loses_terminate(self._engine.factory.now(), instance_id)
        return await self._send(instance_id, events.execution_terminated(self._stamp(), reason), lost=lost)

    async def suspend(self, instance_id: str, reason: str | None) -> Outcome:
        """Raises WrongState where the instance is suspended already."""
        self._refuse(instance_id, "suspend", (Status.SUSPENDED,))
        return await self._send(instance_id, events.execution_suspended(self._stamp(), reason))

    async def resume(self, instance_id: str, reason: str | None) -> Outcome:
        """Raises WrongState where the instance runs."""
        self._refuse(instance_id, "resume", (Status.RUNNING, Status.PENDING))
        return await self._send(instance_id, events.execution_resumed(self._stamp(), reason))

    def _refuse(self, instance_id: str, operation: str, states: tuple[Status, ...]) -> None:
        row = self._engine.executions.row(instance_id)
        if row is not None and row.status in states:
            raise WrongState(
                f"Cannot {operation} the orchestration instance {instance_id} because instance is in the "
                f"{row.status} state."
            )

    async def _send(self, instance_id: str, entry: Event, *, lost: bool = False) -> Outcome:
        row = self._engine.executions.row(instance_id)
        if row is None:
            self._engine.reads.note("", "")
            return Outcome.NOT_FOUND
        if row.status.is_final:
            self._engine.reads.note(instance_id, row.name)
            return Outcome.FINISHED
        if not lost:
            changes = Changes()
            changes.book(instance_id, row.name, _STEPS.get(kind_of(entry), Step.CONTROL))
            changes.add_message(self._engine.factory.message(instance_id, entry))
            await self._engine.commit(changes)
        return Outcome.ACCEPTED

    async def rewind(self, instance_id: str, reason: str | None) -> Outcome:
        """Run again what failed, for a Failed instance; raises WrongState for any other."""
        row = self._engine.executions.row(instance_id)
        if row is None:
            return Outcome.NOT_FOUND
        if row.status is not Status.FAILED:
            raise WrongState(
                f'This orchestration has status {row.status}, but only orchestrations in the "Failed" state can be '
                "rewound."
            )
        changes = rewound(self._engine, instance_id, reason)
        changes.book(instance_id, row.name, Step.CONTROL)
        await self._engine.commit(changes)
        return Outcome.ACCEPTED

    # -- purge --------------------------------------------------------------------------------------------------
    async def purge(self, instance_id: str) -> bool:
        """Delete a finished instance; false where there is none; raises WrongState where it has not finished."""
        row = self._engine.executions.row(instance_id)
        if row is None:
            return False
        if not row.status.is_final:
            raise WrongState(
                "Only orchestrations in a terminal state can be purged, but the orchestration with instance ID "
                f"{instance_id} has status {row.status}"
            )
        await self._remove([row])
        return True

    async def purge_by(self, query: InstanceQuery) -> int:
        """Delete the finished instances among those of a query; returns how many."""
        found = self._engine.journal.instances(replace(query, top=1_000_000))
        finished = [row for row in found if row.status.is_final]
        if finished:
            await self._remove(finished)
        return len(finished)

    async def _remove(self, rows: list[Instance]) -> None:
        changes = Changes()
        for row in rows:
            changes.remove_instance(row.instance_id)
            changes.book("", row.name, Step.PURGE)
            self._engine.executions.forget(row.instance_id)
        self._engine.forget_mail({row.instance_id for row in rows})
        await self._engine.commit(changes)

    # -- entities -----------------------------------------------------------------------------------------------
    async def signal_entity(self, name: str, key: str, operation: str, input_text: str) -> None:
        """Send an operation without waiting for its result."""
        target = f"@{name.lower()}@{key}"
        now: datetime = self._engine.factory.now()
        request = client_signal(
            operation=operation, input_text=input_text, request_id=str(self._engine.factory.new_guid(target)), now=now
        )
        changes = Changes()
        raised = events.event_raised(instant_text(now), "op", request)
        changes.book("", name, Step.ENTITY)
        changes.add_message(self._engine.factory.message(target, raised, to_entity=True))
        await self._engine.commit(changes)

    def entity(self, name: str, key: str) -> Entity | None:
        return self._engine.journal.entity(f"@{name.lower()}@{key}")

    def entities(self, name: str) -> list[Entity]:
        """All entities of a name, or all where it is empty."""
        return self._engine.journal.entities(f"@{name.lower()}@" if name else "@")
