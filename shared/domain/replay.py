"""Policy replay: recorded demand under other settings, played through the very decisions that admit real sessions.

A discrete-event simulation: events in, fates out; no clock, no I/O. What Azure's quota and regions had to say is left
out, so that a refusal here is always one of the settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from heapq import heappop, heappush
from itertools import count
from typing import Any

from shared.domain.admission import Admit, Book, Refuse, Wait, Wish, acceptable_types, decide, ledger_after, promotions
from shared.domain.beginning import waits_until
from shared.domain.demand import Demand, Record
from shared.domain.fairness import Shares
from shared.domain.fates import Fate
from shared.domain.ledger import Ledger
from shared.domain.line import Line, Waiter
from shared.domain.names import SessionId, UserId
from shared.domain.pricing import GpuType, cost_of, metered_seconds
from shared.domain.replay_line import UnrankedLine, Usage
from shared.domain.settings import Fairness, GpuSettings
from shared.domain.states import EndReason
from shared.domain.use import Doubt, End, Use, end_of_use

NOTHING_KNOWN = Use(clears_s=0.0)
"""The use of a session that never had a GPU where none has ever run that could tell: none at all."""


def replay(record: Record, settings: GpuSettings) -> list[Fate]:
    """Return what would have become of each recorded session, in order of asking, under these settings."""
    stage = _Stage(record, settings)
    for demand in record.demands:
        stage.pass_time(demand.asked_at)
        stage.ask(demand)
    stage.pass_time(record.until)
    return stage.fates()


class _Stage:
    """The project as it stands at one instant of the replay."""

    def __init__(self, record: Record, settings: GpuSettings) -> None:
        self._record, self._settings = record, settings
        self._nobody = Line([], Shares(), settings.line)
        self._budgeted = settings.budget is not None and settings.budget.hard_stop
        self._ledger = Ledger()
        self._usage = Usage(settings.line)
        self._line: dict[SessionId, Waiter] = {}
        self._waiting: dict[SessionId, Demand] = {}
        self._fates: dict[SessionId, Fate] = {}
        self._due: list[tuple[datetime, int, Callable[[datetime], None]]] = []
        self._numbers = count()
        self._await_months()

    def fates(self) -> list[Fate]:
        return [self._fates[demand.session] for demand in self._record.demands]

    def pass_time(self, until: datetime) -> None:
        """Let everything happen that is due up to this instant."""
        while self._due and self._due[0][0] <= until:
            at, _, act = heappop(self._due)
            act(at)

    def ask(self, demand: Demand) -> None:
        """Decide over a request as the ledger's desk does."""
        at = demand.asked_at
        book = self._book(at, (demand.user,))
        waiter = Waiter(
            session=demand.session,
            user=demand.user,
            gpu_types=acceptable_types(self._settings, demand.gpu_type),
            since=at,
            until=waits_until(demand.waits_s, self._settings.line, at) if demand.waits else at,
        )
        match decide(book, Wish(waiter=waiter, wait=demand.waits)):
            case Admit(gpu_type=gpu_type):
                self._keep(ledger_after(book, gpu_type, demand.user, demand.session), at, (demand.user,))
                self._begin(demand, gpu_type, at)
            case Wait():
                self._line[demand.session], self._waiting[demand.session] = waiter, demand
                self._fates[demand.session] = _fate(demand)
                self._wait(waiter, demand)
            case Refuse(problem=problem):
                self._fates[demand.session] = _fate(demand, end=EndReason.REFUSED, refused=problem.code)

    def _wait(self, waiter: Waiter, demand: Demand) -> None:
        self._at(waiter.until, partial(self._leave, demand, EndReason.WAIT_TIMED_OUT))
        if demand.gives_up_s is not None:
            gives_up_at = demand.asked_at + timedelta(seconds=demand.gives_up_s)
            self._at(gives_up_at, partial(self._leave, demand, EndReason.CANCELLED))

    def _leave(self, demand: Demand, reason: EndReason, _: datetime) -> None:
        """Take a session out of the line, if it still stands there."""
        if self._line.pop(demand.session, None) is not None:
            del self._waiting[demand.session]
            self._fates[demand.session] = _fate(demand, end=reason)

    def _begin(self, demand: Demand, gpu_type: GpuType, at: datetime) -> None:
        """Give a session its place, and see when it will be free again."""
        use = demand.use or self._record.usual.get(gpu_type, NOTHING_KNOWN)
        end = self._end(demand, use, at)
        free_at = end.at + timedelta(seconds=use.clears_s)
        ended = free_at <= self._record.until
        seconds, cost = self._billed(demand, gpu_type, use, at, min(free_at, self._record.until))
        self._fates[demand.session] = _fate(
            demand,
            held_from=at,
            held_until=free_at if ended else None,
            end=end.reason if ended else None,
            ran=use.ready_s is not None,
            seconds=seconds,
            cost=cost,
            doubt=end.doubt,
        )
        self._at(free_at, partial(self._free, demand, gpu_type, cost or Decimal(0)))

    def _end(self, demand: Demand, use: Use, at: datetime) -> End:
        if use.ready_s is None:
            return End(at, use.leaves_as, Doubt.UNKNOWN if demand.use is None else None)
        end = end_of_use(use, at + timedelta(seconds=use.ready_s), self._settings)
        return replace(end, doubt=Doubt.ASSUMED) if demand.use is None else end

    def _billed(
        self, demand: Demand, gpu_type: GpuType, use: Use, at: datetime, until: datetime
    ) -> tuple[int, Decimal | None]:
        """Return the seconds that are paid for, and their cost; None where a price is not known."""
        started_at = at + timedelta(seconds=use.replica_s) if use.replica_s is not None else None
        seconds = metered_seconds(started_at, until)
        known = demand.use is not None and gpu_type is demand.met
        rate = demand.rate if known else self._record.rates.get(gpu_type)
        cost = Decimal(0) if not seconds else cost_of(seconds, rate) if rate else None
        total = None if cost is None or demand.vain_cost is None else cost + demand.vain_cost
        return seconds + demand.vain_s, total

    def _free(self, demand: Demand, gpu_type: GpuType, cost: Decimal, at: datetime) -> None:
        """Release a place, and give it on, in one."""
        ledger = self._ledger_at(at, (demand.user,)).without_one(gpu_type, demand.user)
        self._keep(ledger.settled(demand.session, cost) if self._budgeted else ledger, at, (demand.user,))
        self._promote(at)

    def _promote(self, at: datetime) -> None:
        if not self._line:
            return
        waiters = list(self._line.values())
        # They came in this order: where that is the rule, nothing needs to be ranked.
        among = waiters if self._settings.line.fairness is Fairness.FIFO else None
        ledger, grants = promotions(self._book(at, {waiter.user for waiter in waiters}), among=among)
        self._keep(ledger, at, [grant.waiter.user for grant in grants])
        for grant in grants:
            del self._line[grant.waiter.session]
            self._begin(self._waiting.pop(grant.waiter.session), grant.gpu_type, at)

    def _book(self, at: datetime, users: Iterable[UserId]) -> Book:
        """Return what is decided by at this instant, with the use of these users; of the line once it is ranked."""
        line = UnrankedLine(self._line.values(), partial(self._ranked, at)) if self._line else self._nobody
        rates = self._record.rates if self._budgeted else {}
        return Book(settings=self._settings, ledger=self._ledger_at(at, users), line=line, now=at, rates=rates)

    def _ranked(self, at: datetime) -> Line:
        waiters = list(self._line.values())
        return Line(waiters, self._usage.at(at, {waiter.user for waiter in waiters}), self._settings.line)

    def _ledger_at(self, at: datetime, users: Iterable[UserId]) -> Ledger:
        return replace(self._ledger, shares=self._usage.at(at, users)) if self._usage.counts else self._ledger

    def _keep(self, ledger: Ledger, at: datetime, changed: Iterable[UserId]) -> None:
        self._ledger = ledger
        self._usage.note(at, ledger.shares, changed)

    def _at(self, when: datetime, act: Callable[[datetime], None]) -> None:
        heappush(self._due, (when, next(self._numbers), act))

    def _await_months(self) -> None:
        """A new month has its budget whole."""
        first = self._record.demands[0].asked_at if self._record.demands else self._record.until
        year, month = first.year, first.month
        while (start := datetime(year, month, 1, tzinfo=UTC)) <= self._record.until:
            self._at(start, self._turn_month)
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)

    def _turn_month(self, at: datetime) -> None:
        self._ledger = replace(self._ledger, shares=Shares()).brought_to(at, self._settings.line)
        self._promote(at)


def _fate(demand: Demand, **became: Any) -> Fate:
    return Fate(
        session=demand.session, user=demand.user, user_name=demand.user_name, asked_at=demand.asked_at, **became
    )
