"""Runs activities: at least once each, as many at a time as host.json allows."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from localcloud.durable import history as events
from localcloud.durable.action_replay import HTTP_ACTIVITY
from localcloud.durable.call_http import call_http
from localcloud.durable.changes import Changes
from localcloud.durable.episode import WORKER_KILLED
from localcloud.durable.errors import activity_failure
from localcloud.durable.faults import Faults
from localcloud.durable.history import Event
from localcloud.durable.journal import NotWritten
from localcloud.durable.ports import FunctionCaller, FunctionFailed
from localcloud.durable.rows import Activity
from localcloud.durable.texts import carried, instant_text
from localcloud.durable.work_factory import WorkFactory

_log = logging.getLogger(__name__)


class ActivityRunner:
    """Calls activities and commits their outcomes."""

    def __init__(
        self,
        *,
        caller: FunctionCaller,
        factory: WorkFactory,
        faults: Faults,
        at_once: int,
        commit: Callable[[Changes], Awaitable[None]],
        run_later: Callable[[Activity, NotWritten], None],
    ) -> None:
        self._run_later = run_later
        self._caller = caller
        self._factory = factory
        self._faults = faults
        self._slots = asyncio.Semaphore(at_once)
        self._commit = commit
        self._closed = False
        self._running: dict[int, tuple[Activity, asyncio.Task[str | None]]] = {}

    @property
    def running(self) -> int:
        return len(self._running)

    def close(self) -> None:
        """Begin no further call; what waits is left to the next start of the engine."""
        self._closed = True

    async def run(self, work: Activity) -> None:
        """Make the call and commit what came of it: a message to the orchestration."""
        async with self._slots:
            if self._closed:
                return
            outcome = await self._outcome(work)
            changes = Changes()
            changes.remove_activity(work)
            changes.add_message(self._factory.message(work.instance_id, outcome, execution_id=work.execution_id))
            # The slot is held until the outcome is on the disk, so that a crash repeats no more calls than run at once.
            try:
                await self._commit(changes)
            except NotWritten as refused:
                self._run_later(work, refused)

    async def _outcome(self, work: Activity) -> Event:
        if self._faults.fails_activity(work.instance_id, work.name):
            return self._failed(work, worker_killed())
        call = asyncio.ensure_future(self.call(work))
        self._running[work.id] = (work, call)
        try:
            result = await call
        except FunctionFailed as failure:
            return self._failed(work, failure)
        except asyncio.CancelledError:
            own = asyncio.current_task()
            if own is not None and own.cancelling():
                raise  # the engine stops: the row stays, and the next start runs it again
            return self._failed(work, worker_killed())
        except Exception as error:  # a caller that breaks its word must not leave the orchestration waiting for ever
            _log.exception("durable.activity_broken name=%s instance_id=%s", work.name, work.instance_id)
            kind, told = type(error).__name__, str(error)
            text = f"Result: Failure\nException: {kind}: {told}\nStack: "
            return self._failed(work, FunctionFailed(text, exception_type=kind, message=told, stack=""))
        finally:
            del self._running[work.id]
        return events.task_completed(instant_text(self._factory.now()), work.task_id, carried(result))

    async def call(self, work: Activity) -> str | None:
        """The call itself, without what the engine does about its outcome."""
        if work.name == HTTP_ACTIVITY:
            return await call_http(work.input_text or "{}")
        return await self._caller.call_activity(work.name, work.input_text, work.instance_id)

    def _failed(self, work: Activity, failure: FunctionFailed) -> Event:
        reason, details = activity_failure(work.name, failure)
        return events.task_failed(instant_text(self._factory.now()), work.task_id, reason, details)

    def kill_running(self, struck: Callable[[str, str], bool]) -> None:
        """End those running activities as the loss of their worker does; asked by instance id and name."""
        for work, call in list(self._running.values()):
            if struck(work.instance_id, work.name):
                call.cancel()


def worker_killed() -> FunctionFailed:
    """What the vendor's host says of a call whose worker was killed (durable-measured.md 4)."""
    return FunctionFailed(WORKER_KILLED, exception_type="WorkerProcessExitException", message=WORKER_KILLED, stack="")
