"""The executions at work, in memory as long as that is worth it, else from the journal."""

from collections import OrderedDict

from localcloud.durable.execution import Execution
from localcloud.durable.journal import Journal
from localcloud.durable.rows import Instance

_KEPT_HISTORIES = 1000


class Executions:
    """What is known of instances, as of the last commit of each."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._kept: OrderedDict[str, Execution] = OrderedDict()

    def get(self, instance_id: str) -> Execution | None:
        """An instance with its history."""
        kept = self._kept.get(instance_id)
        if kept is not None:
            return kept
        row = self._journal.instance(instance_id)
        return None if row is None else Execution(row, self._journal.history(instance_id))

    def row(self, instance_id: str) -> Instance | None:
        kept = self._kept.get(instance_id)
        return self._journal.instance(instance_id) if kept is None else kept.row

    def is_alive(self, instance_id: str) -> bool:
        row = self.row(instance_id)
        return row is not None and not row.status.is_final

    def keep(self, execution: Execution) -> None:
        """Take note of an execution that was just committed; finished ones are not worth the memory."""
        name = execution.row.instance_id
        self._kept.pop(name, None)
        if not execution.row.status.is_final:
            self._kept[name] = execution
            while len(self._kept) > _KEPT_HISTORIES:
                self._kept.popitem(last=False)

    def forget(self, instance_id: str) -> None:
        """Look into the journal next time: the rows were changed from outside an episode."""
        self._kept.pop(instance_id, None)
