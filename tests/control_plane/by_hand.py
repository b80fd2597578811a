"""The control plane without an engine: every request and every step of a driver is called by the test, one by one.

What runs is the real API and the real steps. A process dies where a test says, and the next one begins with nothing
but the tables; ids and clocks are told by the test, so that the same calls do the same in every run.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Any
from unittest.mock import Mock, patch

from activities.handover import book_if_current
from activities.keeping import drain_outbox
from activities.promoting import look_around, promote_line
from api.serve import answer
from shared.domain.driving import MAX_ROUNDS, Drive, Facts
from shared.domain.names import ProjectId, SessionId
from shared.domain.records import SessionRow
from shared.domain.states import SessionState
from shared.ports.tables import Change
from tests.control_plane.fakes import Crashed, MemoryTables
from tests.control_plane.hands import Hand
from tests.control_plane.surroundings import START, STEPS, Surroundings, request_for

DEMO = ProjectId("demo")
Crash = tuple[int, str]
"""The process dies at this write from now, before or after it."""


class MortalTables(MemoryTables):
    """Tables as a process sees them that dies at a chosen write: nothing is read or written by it from then on."""

    dead = False

    def commit(self, table: str, partition: str, changes: Sequence[Change]) -> bool:
        try:
            return super().commit(table, partition, changes)
        except Crashed:
            self.dead = True
            raise

    def _answer(self) -> None:
        if self.dead:
            raise Crashed("this process is dead")
        super()._answer()


class ByHand(Surroundings):
    """One process of the control plane at a time, and the drivers of its sessions."""

    def __init__(self, **settings: str) -> None:
        self.at, self._waited_s = START, 0.0
        self.hands: list[Hand] = []
        self._still = ExitStack()
        self._hold_still()
        super().__init__(lambda: self.at, MortalTables(), **settings)

    def _hold_still(self) -> None:
        """Let nothing go by the machine's own clock, randomness or threads."""
        numbers = itertools.count()
        for place, stand_in in (
            ("shared.ports.sessions.elapsed_s", self._elapsed_s),
            ("shared.ports.sessions.wait", self._wait),
            ("shared.ports.capacity_memory.elapsed_s", self._elapsed_s),
            ("activities.provisioning.elapsed_s", self._elapsed_s),
            ("shared.ports.ids.new_session_id", lambda: SessionId(_in_base32(next(numbers)))),
            ("shared.ports.ids.new_op", lambda: f"{next(numbers):016x}"),
            ("api.opening.glance_around", look_around),
            ("api.serve.log", Mock()),  # a process that dies says nothing
        ):
            self._still.enter_context(patch(place, stand_in))

    def _elapsed_s(self) -> float:
        return (self.at - START).total_seconds() + self._waited_s

    def _wait(self, seconds: float) -> None:
        self._waited_s += max(seconds, 0.01)

    def close(self) -> None:
        self._still.close()

    def pass_time(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def attempt(self, act: Callable[[], Any], crash: Crash | None = None) -> bool:
        """Do something that may die at one of its writes; then a new process takes over. Tell whether it lived."""
        tables = self.tables
        if crash is not None:
            self.crash_in(crash)
        try:
            act()
        except Exception:
            if not tables.dead:
                raise
        if crash is not None:
            tables.crash_at = None
        if died := tables.dead:
            tables.dead = False
            self.start_process()
        return not died

    def crash_in(self, crash: Crash) -> None:
        """Let the process die at a write that is yet to come."""
        self.tables.crash_at = (self.tables.commits + crash[0], crash[1])

    def call(self, who: str, name: str, body: Any = None, **parts: Any) -> tuple[int, Any]:
        """Call an operation as a user; return status and body. A driver begins where one is started."""
        operation, request = request_for(who, name, body, **parts)
        reply = answer(operation, request, self.world)
        if reply.start is not None and not self.tables.dead:
            known = Facts(state=reply.start.state) if reply.start.state is not None else None
            self.hands.append(Hand(reply.start, known))
        self.world.sessions.ledgers.take_promoted()
        return reply.status, reply.body

    def step(self, hand: Hand) -> None:
        """Let a driver do its next step; one that has done its share hands over to the next."""
        if hand.round >= MAX_ROUNDS:
            self.adopt(hand.drive)
            hand.facts = Facts(state=SessionState.ENDED, superseded=True)
            return
        step = hand.next_step()
        told = Facts.from_wire(STEPS[step](hand.next_order(), self.world))
        hand.chapter = hand.facts.state if hand.facts is not None else None
        hand.facts = told

    def adopt(self, drive: Drive) -> None:
        """Give the session its next driver, if this is its present one."""
        if book_if_current(self.world, drive.project, drive.session, drive.epoch):
            after = Drive(project=drive.project, session=drive.session, epoch=drive.epoch + 1)
            self.hands.append(Hand(after))

    def keep_house(self) -> None:
        """Publish the outbox, and give the free places to those who wait."""
        drain_outbox(self.world)
        for project in self.world.sessions.projects_with_a_line():
            promote_line(self.world, project)
        self.world.sessions.ledgers.take_promoted()

    def settings(self, *, cap: int = 1, per_user: int = 1, mode: str = "AutoDeploy", **more: Any) -> None:
        """Write the project's settings."""
        section = {"serverlessGpuSessionsMode": mode, "maxConcurrentSessionsPerProject": cap}
        body = {"serverlessGpuSessionsSettings": section, "maxConcurrentSessionsPerUser": per_user, **more}
        created = {"if-none-match": "*"} if self.world.sessions.settings(DEMO) is None else {"if-match": "*"}
        status, answer = self.call("olga", "ReplaceSettings", body, headers=created)
        assert status in (200, 201), answer

    def open(self, who: str, shell: str, **body: Any) -> SessionRow:
        """Open a shell; return its session."""
        status, view = self.call(who, "OpenShell", body, shell=shell)
        assert status == 201, view
        return self.session(view.session)

    def drive(self, session: str, until: SessionState) -> SessionRow:
        """Let the session's driver work until the session is in this state."""
        hand = next(hand for hand in self.live_hands() if hand.drive.session == session)
        for _ in range(40):
            if self.session(session).state is until:
                break
            self.step(hand)
            self.pass_time(4)
        row = self.session(session)
        assert row.state is until, row
        return row

    def live_hands(self) -> list[Hand]:
        return [hand for hand in self.hands if not hand.over]

    def all_hands(self) -> list[Hand]:
        """Return the drivers of all sessions that need one, after those that were lost have been replaced."""
        alive = {(hand.drive.session, hand.drive.epoch) for hand in self.live_hands()}
        for row in self.world.sessions.unsettled():
            if (row.session, row.epoch) not in alive:
                self.adopt(Drive(project=row.project, session=row.session, epoch=row.epoch))
        return self.live_hands()

    def drive_to_the_end(self) -> None:
        """With no more crashes, let every driver work, each lost one replaced, until no session needs one any more."""
        self.tables.crash_at = None
        for _ in range(400):
            if not self.world.sessions.unsettled():
                return
            for hand in self.all_hands():
                self.step(hand)
            self.keep_house()
            self.pass_time(20)
        raise AssertionError(f"not at their end: {[row.session for row in self.world.sessions.unsettled()]}")


def _in_base32(number: int) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    return "".join(letters[number >> shift & 31] for shift in range(125, -1, -5))
