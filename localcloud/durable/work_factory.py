"""Makes messages, with the numbers that the journal knows them by and the time when they are to be seen."""

import itertools
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from localcloud.durable.faults import Faults
from localcloud.durable.history import Event
from localcloud.durable.ports import Clock
from localcloud.durable.rows import Message


class WorkFactory:
    """Numbers rise in the order of making, which is the order of delivery."""

    def __init__(self, *, clock: Clock, faults: Faults) -> None:
        self._clock = clock
        self._faults = faults
        self._numbers = itertools.count(1)
        self._began_after = 0

    def begin_after(self, highest: int) -> None:
        """Go on after the numbers that the journal holds."""
        self._numbers = itertools.count(highest + 1)
        self._began_after = highest

    def now(self) -> datetime:
        return self._clock.now()

    async def sleep(self, span: timedelta) -> None:
        await self._clock.sleep_until(self.now() + span)

    def next_id(self) -> int:
        return next(self._numbers)

    def new_guid(self, instance_id: str = "") -> UUID:
        """A random id; with the vendor's faults by seed, the same one in each run of that seed."""
        mix = self._faults.mix
        return uuid4() if mix is None else mix.guid(instance_id, f"{self._began_after}/{self.now().isoformat()}")

    def message(
        self,
        instance_id: str,
        entry: Event,
        *,
        execution_id: str | None = None,
        timer_at: datetime | None = None,
        to_entity: bool = False,
    ) -> Message:
        """A message that is seen at once, or about when its timer is due."""
        return Message(
            id=self.next_id(),
            instance_id=instance_id,
            execution_id=execution_id,
            visible_at=self.now() if timer_at is None else self._faults.timer_due(self.now(), timer_at, instance_id),
            event=entry,
            to_entity=to_entity,
        )

    def start(self, started: Event) -> Message:
        """The message that begins an execution."""
        identity = started["OrchestrationInstance"]
        return Message(
            id=self.next_id(),
            instance_id=identity["InstanceId"],
            execution_id=identity["ExecutionId"],
            visible_at=self._faults.start_seen(self.now(), identity["InstanceId"]),
            event=started,
        )
