"""The durable engine: takes messages, runs episodes, entities and activities, and commits what they come to."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from localcloud.durable import sdk_sites, sdk_timestamps
from localcloud.durable.activity_runner import ActivityRunner
from localcloud.durable.bill import Reads, Step
from localcloud.durable.changes import Changes
from localcloud.durable.clock import VirtualClock
from localcloud.durable.decisions import Status
from localcloud.durable.entity_runner import EntityRunner
from localcloud.durable.episode import Episode, EpisodeSettings
from localcloud.durable.execution import execution_of
from localcloud.durable.executions import Executions
from localcloud.durable.faults import Faults
from localcloud.durable.history import EventType, generic_event, kind_of
from localcloud.durable.journal import Journal, JournalError, NotWritten
from localcloud.durable.mailroom import Mailroom
from localcloud.durable.options import DurableOptions
from localcloud.durable.ports import Clock, FunctionCaller, KnowsFunctions
from localcloud.durable.rows import Activity, InstanceQuery, Message
from localcloud.durable.texts import instant_text
from localcloud.durable.triage import Sorted, Triage
from localcloud.durable.work_factory import WorkFactory

_log = logging.getLogger(__name__)
_PUT_BACK_FOR = timedelta(seconds=10)


class DurableEngine:
    """One hub on one journal, started once; all methods belong to the event loop in which `start` was called."""

    def __init__(self, *, journal: Path, options: DurableOptions, caller: FunctionCaller, clock: Clock) -> None:
        self.options = options
        self.caller = caller
        self._clock = clock
        self.faults = Faults(polling_s=options.max_polling_interval_s)
        self.faults.change({"asAzure": options.as_azure})
        self._faults_file = journal.with_name(journal.name + ".faults.json")
        self.journal = Journal(journal, in_thread=not isinstance(clock, VirtualClock))
        self.factory = WorkFactory(clock=clock, faults=self.faults)
        self.reads = Reads()
        self._mailroom = Mailroom(clock, self._wake)
        self._activities = ActivityRunner(
            caller=caller,
            factory=self.factory,
            faults=self.faults,
            at_once=options.max_concurrent_activities,
            commit=self.commit,
            run_later=self._run_later,
        )
        self._entities = EntityRunner(caller=caller, factory=self.factory, journal=self.journal)
        self._episode_slots = asyncio.Semaphore(options.max_concurrent_orchestrators)
        self.executions = Executions(self.journal)
        self._episode_settings = EpisodeSettings(
            caller=caller,
            factory=self.factory,
            default_version=options.default_version,
            known_orchestrators=lambda: self.known_functions("orchestration"),
            store_inputs=options.store_inputs_in_history,
            is_alive=self.executions.is_alive,
            strict=options.strict,
            loses_terminate=self.faults.loses_terminate_in_batch,
        )
        self._triage = Triage(executions=self.executions, options=options, faults=self.faults, now=self.factory.now)
        self._at_work: set[str] = set()
        self._running_episodes: set[Episode] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._due: asyncio.Task[None] | None = None
        self._asleep: set[asyncio.Task[None]] = set()
        self._stopping = False
        self.episodes = 0

    # -- life ---------------------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Open the journal and go on where it stands: messages, timers and unfinished activities; JournalError."""
        sdk_timestamps.install()
        if self.options.strict:
            sdk_sites.install()
        self.journal.open()
        messages, activities = self.journal.messages(), self.journal.activities()
        self.factory.begin_after(max([0, *(m.id for m in messages), *(a.id for a in activities)]))
        self._stopping = False
        self.faults.recall(self._faults_file)
        self._due = asyncio.create_task(self._mailroom.show_what_comes_due())
        now = self.factory.now()
        back_at = self.faults.fetched_work_seen(now)
        self._mailroom.deliver(
            replace(message, visible_at=back_at) if message.visible_at <= now else message for message in messages
        )
        if back_at > now:
            self._sleep_then_run(back_at, activities)
        else:
            self._run_all(activities)

    def _sleep_then_run(self, when: datetime, activities: list[Activity]) -> None:
        sleeper = asyncio.create_task(self._run_at(when, activities))
        self._asleep.add(sleeper)
        sleeper.add_done_callback(self._asleep.discard)

    def _run_later(self, work: Activity, refused: NotWritten) -> None:
        """Its outcome could not be written, so nobody knows that it ran: it is run again."""
        _log.error("durable.outcome_not_written name=%s instance_id=%s %s", work.name, work.instance_id, refused)
        self._sleep_then_run(self._again_at(refused), [work])

    def _again_at(self, refused: NotWritten) -> datetime:
        if refused.again_at is None:
            return self.factory.now() + _PUT_BACK_FOR
        return self.faults.work_goes_on_at(refused.again_at)

    async def _run_at(self, when: datetime, activities: list[Activity]) -> None:
        await self._clock.sleep_until(when)
        self._run_all(activities)

    def _run_all(self, activities: list[Activity]) -> None:
        for work in activities:
            self._spawn(self._activities.run(work))

    async def stop(self, drain_s: float = 10.0) -> None:
        """Take no new work, give what runs so many seconds, then leave the rest to the next start."""
        self._stopping = True
        self._activities.close()
        for waiting in (self._due, *self._asleep):
            if waiting is not None:
                waiting.cancel()
        self._due = None
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=drain_s)
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self.journal.close()

    @property
    def is_quiet(self) -> bool:
        """Whether nothing runs and nothing is being written: only timers or callers can move anything now."""
        return not self._tasks and self.journal.is_idle and self._mailroom.is_waiting

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("durable.work_failed", exc_info=error)

    # -- committing ---------------------------------------------------------------------------------------------
    async def commit(self, changes: Changes) -> None:
        """Write the changes; then let the messages and activities among them take effect; raises JournalError."""
        back_at = self.faults.storage_back_at(self.factory.now())
        if back_at is not None:
            raise NotWritten("the storage is away, as the fault switch storageAway has it", again_at=back_at)
        changes.statements += self.reads.take()
        await self.journal.commit(changes)
        self._mailroom.deliver(changes.messages)
        if not self._stopping:
            self._run_all(changes.activities)

    def _wake(self, instance_id: str) -> None:
        if instance_id not in self._at_work and not self._stopping:
            self._at_work.add(instance_id)
            self._spawn(self._work(instance_id))

    async def _work(self, instance_id: str) -> None:
        """Deal with all mail of one instance, one batch at a time."""
        try:
            while self._mailroom.has_mail(instance_id) and not self._stopping:
                async with self._episode_slots:
                    if not self._stopping:
                        await self._one_batch(instance_id)
        finally:
            self._at_work.discard(instance_id)

    async def _one_batch(self, instance_id: str) -> None:
        batch = self._mailroom.take(instance_id)
        await self._or_put_back([message for message in batch if message.to_entity], instance_id, self._entity)
        await self._or_put_back([message for message in batch if not message.to_entity], instance_id, self._episode)

    async def _or_put_back(
        self, batch: list[Message], instance_id: str, run: Callable[[str, list[Message]], Awaitable[None]]
    ) -> None:
        try:
            if batch:
                await run(instance_id, batch)
        except NotWritten as refused:
            again = self._again_at(refused)
            _log.error("durable.work_put_back instance_id=%s until=%s %s", instance_id, again.isoformat(), refused)
            self._mailroom.deliver([replace(message, visible_at=again) for message in batch])
        except JournalError:
            raise
        except Exception:  # as the vendor's engine, put the work back: nothing of it was committed
            _log.exception("durable.work_put_back instance_id=%s", instance_id)
            again = self.factory.now() + _PUT_BACK_FOR
            self._mailroom.deliver([replace(message, visible_at=again) for message in batch])

    async def _entity(self, entity_id: str, batch: list[Message]) -> None:
        await self.commit(await self._entities.run(entity_id, batch))

    # -- episodes -----------------------------------------------------------------------------------------------
    async def _episode(self, instance_id: str, batch: list[Message]) -> None:
        found = self._triage.sort(instance_id, batch)
        if found.execution is None or not found.accepted:
            changes = Changes()
            changes.remove_messages(found.handled)
            self._book_timers(changes, found)
            await self.commit(changes)
            return
        self.episodes += 1
        episode = Episode(self._episode_settings, found.execution)
        if self.faults.fails_episode(instance_id):
            episode.kill_worker()
        self._running_episodes.add(episode)
        try:
            after = await episode.run(found.accepted)
        finally:
            self._running_episodes.discard(episode)
        episode.changes.remove_messages(found.handled)
        self._book_timers(episode.changes, found)
        await self._run_too_early(episode.changes.activities, is_first=not found.execution.history)
        self._announce_children(episode.changes)
        await self.commit(episode.changes)
        self.executions.keep(after)
        if after.row.execution_id != found.execution.row.execution_id:
            self.faults.note_continued(self.factory.now(), instance_id)

    def _book_timers(self, changes: Changes, found: Sorted) -> None:
        """A timer costs when its message has come, by whether its generation was still there."""
        came = [message for message in found.handled if kind_of(message.event) is EventType.TIMER_FIRED]
        row = self.executions.row(came[0].instance_id) if came else None
        if row is not None:
            for step, times in ((Step.STALE_TIMER, found.stale_timers), (Step.TIMER, len(came) - found.stale_timers)):
                if times:
                    changes.book(row.instance_id, row.name, step, times)

    async def _run_too_early(self, activities: list[Activity], *, is_first: bool) -> None:
        """The vendor's engine runs activities of episodes that never commit: a fault switch repeats that."""
        for work in activities:
            if self.faults.repeats_activity(work.instance_id, work.name, is_first=is_first):
                await asyncio.gather(self._activities.call(work), return_exceptions=True)

    def _announce_children(self, changes: Changes) -> None:
        """Children are Pending from the parent's commit on; a running instance of the id is left for its episode."""
        for message in changes.messages:
            if kind_of(message.event) is EventType.EXECUTION_STARTED:
                known = self.executions.row(message.instance_id)
                if known is None or known.status.is_final:
                    changes.put_instance(execution_of(message).row)
                    changes.clear_history(message.instance_id)
                    self.executions.forget(message.instance_id)

    # -- what is known of instances -----------------------------------------------------------------------------
    def forget_mail(self, instance_ids: Collection[str]) -> None:
        """Drop what is on its way to instances that were purged."""
        self._mailroom.forget(instance_ids)

    def known_functions(self, kind: str) -> list[str]:
        """The names for error texts; a caller need not be able to list them."""
        return list(self.caller.names_of(kind)) if isinstance(self.caller, KnowsFunctions) else ["(not listed)"]

    # -- faults -------------------------------------------------------------------------------------------------
    async def change_faults(self, wanted: Mapping[str, Any]) -> None:
        """Set fault switches; raises FaultsError."""
        self.faults.change(wanted, now=self.factory.now())
        self.faults.remember(self._faults_file)
        if wanted.get("killWorker"):
            self._activities.kill_running(lambda _instance, _name: True)
            for episode in self._running_episodes:
                episode.kill_worker()
        self._activities.kill_running(self.faults.fails_activity)
        prefix = self.faults.instances_to_wake(wanted)
        if prefix is not None:
            await self._poke(prefix)

    def clear_faults(self) -> None:
        """Set no fault switch any more."""
        self.faults.clear()
        self.faults.remember(self._faults_file)

    async def _poke(self, prefix: str) -> None:
        changes = Changes()
        for row in self.journal.instances(InstanceQuery(prefix=prefix, statuses=(Status.RUNNING,), top=10_000)):
            entry = generic_event(instant_text(self.factory.now()), None)
            changes.add_message(self.factory.message(row.instance_id, entry))
        await self.commit(changes)
