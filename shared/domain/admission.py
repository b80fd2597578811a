"""Admission: may this session have a GPU now, shall it wait, or is it refused? Pure; the transaction is the desk's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from shared.domain.errors import ErrorCode, Problem
from shared.domain.ledger import Ledger
from shared.domain.line import Line, Waiter
from shared.domain.names import SessionId, UserId
from shared.domain.pricing import GpuType, Rate, worst_case
from shared.domain.settings import BudgetSettings, GpuSettings, LineSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """Everything that admission decides by, as it stands at `now` in one transaction.

    `settings`: as they hold, policy bounds included. `quota`: GPUs of a type that Azure's quota leaves in the
    project's environments; a type that is absent is unknown, which refuses nobody. `revision`, `index`: which write of
    the ledger this is, and the how manieth request in it.
    """

    settings: GpuSettings
    ledger: Ledger
    line: Line
    now: datetime
    quota: Mapping[GpuType, int] = field(default_factory=dict)
    rates: Mapping[GpuType, Rate] = field(default_factory=dict)
    slice: timedelta = timedelta(minutes=15)
    revision: int = 0
    index: int = 0

    @property
    def penalty(self) -> timedelta:
        return timedelta(minutes=self.settings.line.entry_penalty_minutes)

    @property
    def hard_budget(self) -> BudgetSettings | None:
        """The budget that nothing goes beyond; None where nothing stops the project."""
        budget = self.settings.budget
        return budget if budget is not None and budget.hard_stop else None

    @property
    def budget_left(self) -> Decimal | None:
        """What is neither spent this month nor taken by a session; None where nothing stops the project."""
        budget, ledger = self.hard_budget, self.ledger
        return budget.monthly_amount - ledger.spent - ledger.committed() if budget else None

    def first_hold(self, gpu_type: GpuType) -> Decimal | None:
        """Return what is held for a new session of this type: its worst case in one slice; None without a price."""
        rate = self.rates.get(gpu_type)
        return worst_case(rate, self.slice) if rate is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a session asks: it as it would stand in line, and whether it would rather wait than be refused."""

    waiter: Waiter
    wait: bool = False


@dataclass(frozen=True, slots=True)
class Admit:
    gpu_type: GpuType


@dataclass(frozen=True, slots=True)
class Wait:
    """Stand in line at this place, from 1. `estimate_s`: the expected wait in seconds, None where it is unknown."""

    place: int
    why: Problem
    estimate_s: float | None


@dataclass(frozen=True, slots=True)
class Refuse:
    """`problem`: why, and what would help."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class Grant:
    """A session in line that gets a GPU of this type now."""

    waiter: Waiter
    gpu_type: GpuType


Decision = Admit | Wait | Refuse


def decide(book: Book, wish: Wish) -> Decision:
    """Decide over a request that is not in line yet. A cap lowered below use admits nobody, and stops nobody.

    Whoever stands in line before it by the fairness rule, and could be admitted, has its GPU first.
    """
    waiter, settings = wish.waiter, book.settings
    if (refused := refusal_at_once(settings, waiter.gpu_types[0])) is not None:
        return Refuse(refused)
    free_for = admissible_type(book, waiter)
    if isinstance(free_for, GpuType) and len(book.line):
        free_for = admissible_type(_after_those_before(book, waiter), waiter)
    if isinstance(free_for, GpuType):
        return Admit(free_for)
    return _wait(book, waiter, free_for) if wish.wait else Refuse(_with_help(free_for, settings))


def _after_those_before(book: Book, newcomer: Waiter) -> Book:
    """Return the book as it will be when those who stand in line before the newcomer have what they can have."""
    _, grants = promotions(book, among=book.line.before(newcomer))
    for grant in grants:
        book = after_admission(book, grant.gpu_type, grant.waiter.user, grant.waiter.session)
    return book


def _wait(book: Book, waiter: Waiter, why: Problem) -> Wait | Refuse:
    line = book.settings.line
    if not line.enabled:
        return Refuse(_with_help(why, book.settings))
    if len(book.line) >= line.max_length:
        message = f"{why.message} {len(book.line)} sessions wait already, as many as may. Try again later."
        return Refuse(Problem(code=ErrorCode.LINE_FULL, message=message))
    if sum(one.user == waiter.user for one in book.line) >= most_of_one_user(line):
        message = f"{why.message} {most_of_one_user(line)} of your sessions wait already, as many as one user's may."
        return Refuse(Problem(code=ErrorCode.LINE_FULL, message=message))
    place = book.line.place_of_newcomer(waiter)
    return Wait(place, why, wait_estimate_s(book, waiter, place, why))


def most_of_one_user(line: LineSettings) -> int:
    """Return how many places in line one user may have: half of them, so that nobody shuts out all others."""
    return max(1, line.max_length // 2)


HELP = {
    ErrorCode.PROJECT_CAP_REACHED: "Try again when one has ended, or ask a project administrator for a higher cap.",
    ErrorCode.USER_LIMIT_REACHED: "Stop one: devboxgpu sessions list",
    ErrorCode.ENVIRONMENT_QUOTA_REACHED: "Try again later, or have the quota raised.",
    ErrorCode.BUDGET_EXHAUSTED: "Ask a project administrator for more.",
    ErrorCode.GPU_DISABLED: "Ask a project administrator to enable them.",
}
"""What helps one who is refused, by what stands against it."""


def _with_help(why: Problem, settings: GpuSettings) -> Problem:
    or_wait = " Or wait in line: --wait" if settings.line.enabled and why.code is not ErrorCode.GPU_DISABLED else ""
    return replace(why, message=f"{why.message} {HELP[why.code]}{or_wait}")


def promotions(
    book: Book,
    *,
    among: list[Waiter] | None = None,
    usable: Callable[[Waiter], bool] = lambda _: True,
    limit: int | None = None,
) -> tuple[Ledger, list[Grant]]:
    """Return who of the line gets a GPU now, in the line's order, and the ledger after it.

    Who cannot be admitted blocks nobody behind: not a user at the own limit, nor a GPU type that is used up. `usable`
    is asked last, of those only that would be next. What one waited for in vain, the next does too: it is not asked
    again, so that a long line costs little.
    """
    grants: list[Grant] = []
    present = book
    hopeful = {wanted for wanted in book.line.wanted if _type_with_room(book, wanted) is not None}
    at_limit: set[UserId] = set()
    for waiter in book.line if among is None else among:
        if not hopeful or len(grants) == limit:
            break
        if waiter.gpu_types not in hopeful or waiter.user in at_limit or waiter.until <= book.now:
            continue
        gpu_type = admissible_type(present, waiter)
        if isinstance(gpu_type, Problem) and gpu_type.code is ErrorCode.USER_LIMIT_REACHED:
            at_limit.add(waiter.user)
        elif isinstance(gpu_type, Problem):
            hopeful.discard(waiter.gpu_types)
        elif usable(waiter):
            grants.append(Grant(waiter, gpu_type))
            present = after_admission(present, gpu_type, waiter.user, waiter.session)
    return present.ledger, grants


def after_admission(book: Book, gpu_type: GpuType, user: UserId, session: SessionId | None = None) -> Book:
    """Return the book after one admission: ledger, what is held of the budget, what is known of Azure's quota."""
    quota, ledger = book.quota, ledger_after(book, gpu_type, user, session)
    if gpu_type in quota:
        quota = {**quota, gpu_type: quota[gpu_type] - 1}
    return replace(book, ledger=ledger, quota=quota)


def ledger_after(book: Book, gpu_type: GpuType, user: UserId, session: SessionId | None) -> Ledger:
    """Return the ledger after one admission, with what is held of a hard budget for this session."""
    ledger = book.ledger.with_one(gpu_type, user, penalty=book.penalty)
    if session is None or book.hard_budget is None:
        return ledger
    return ledger.authorising(session, book.first_hold(gpu_type) or Decimal(0))


def refusal_at_once(settings: GpuSettings, gpu_type: GpuType) -> Problem | None:
    """Return what the settings alone refuse, whatever is in use."""
    if not settings.enabled:
        return Problem(
            code=ErrorCode.GPU_DISABLED,
            message=f"GPU sessions are disabled for this project. {HELP[ErrorCode.GPU_DISABLED]}",
        )
    if settings.cap_of_type(gpu_type) is None:
        allowed = ", ".join(entry.type for entry in settings.gpu_types)
        return Problem(
            code=ErrorCode.GPU_TYPE_NOT_ALLOWED,
            message=f"This project does not allow {gpu_type} GPUs. Allowed: {allowed}.",
            target="gpuType",
        )
    return None


def acceptable_types(settings: GpuSettings, asked: GpuType | None) -> tuple[GpuType, ...]:
    """Return the GPU types that a session may get, in order: the one it named, else the first and the fallbacks."""
    if asked is not None:
        return (asked,)
    first, *others = settings.gpu_types
    return (first.type, *(entry.type for entry in others if entry.fallback))


def admissible_type(book: Book, waiter: Waiter) -> GpuType | Problem:
    """Return the first of its GPU types that the session could have now, else why not even the first."""
    settings, ledger = book.settings, book.ledger
    if not settings.enabled:
        return Problem(code=ErrorCode.GPU_DISABLED, message="GPU sessions are disabled for this project.")
    mine, own_cap = ledger.by_user.get(waiter.user, 0), settings.max_concurrent_sessions_per_user
    if mine >= own_cap:
        return Problem(
            code=ErrorCode.USER_LIMIT_REACHED,
            message=f"You have {mine} of {own_cap} GPU sessions in this project.",
        )
    return _type_with_room(book, waiter.gpu_types) or _obstacle(book, waiter.gpu_types[0])


def _type_with_room(book: Book, gpu_types: Sequence[GpuType]) -> GpuType | None:
    """Return the first of these GPU types of which the project, and Azure's quota, has one left."""
    settings, ledger = book.settings, book.ledger
    if ledger.reserved >= settings.project_cap:
        return None
    for gpu_type in gpu_types:
        cap = settings.cap_of_type(gpu_type)
        has_room = cap is not None and ledger.by_type.get(gpu_type, 0) < cap
        if has_room and book.quota.get(gpu_type, 1) > 0 and _is_covered(book, gpu_type):
            return gpu_type
    return None


def _is_covered(book: Book, gpu_type: GpuType) -> bool:
    """Tell whether the budget bears a session of this type for its first slice. No price, no promise."""
    left, hold = book.budget_left, book.first_hold(gpu_type)
    return left is None or (hold is not None and hold <= left)


def _obstacle(book: Book, gpu_type: GpuType) -> Problem:
    settings, ledger = book.settings, book.ledger
    type_cap = settings.cap_of_type(gpu_type) or 0
    if ledger.by_type.get(gpu_type, 0) >= type_cap:
        message = f"All {type_cap} {gpu_type} GPUs of this project are in use."
        return Problem(code=ErrorCode.PROJECT_CAP_REACHED, message=message)
    if ledger.reserved >= settings.project_cap:
        message = f"All {settings.project_cap} GPU sessions of this project are in use."
        return Problem(code=ErrorCode.PROJECT_CAP_REACHED, message=message)
    if not _is_covered(book, gpu_type):
        return _budget_exhausted(book, gpu_type)
    message = f"Azure's quota of {gpu_type} GPUs is used up in every environment of this project."
    return Problem(code=ErrorCode.ENVIRONMENT_QUOTA_REACHED, message=message)


def _budget_exhausted(book: Book, gpu_type: GpuType) -> Problem:
    budget, left, hold = book.hard_budget, book.budget_left, book.first_hold(gpu_type)
    if budget is None or left is None:
        msg = "only a budget that stops can be exhausted"
        raise ValueError(msg)
    what = f"{left:.2f} of {budget.monthly_amount} {budget.currency} are left this month"
    if hold is None:
        message = f"The price of a {gpu_type} is not known now, so the project's budget cannot be held to ({what})."
    else:
        minutes = book.slice.total_seconds() / 60
        message = f"The project's budget does not bear another session: {what}, and {hold:.2f} for {minutes:g} min."
    return Problem(code=ErrorCode.BUDGET_EXHAUSTED, message=message)


def wait_estimate_s(book: Book, waiter: Waiter, place: int, why: Problem) -> float | None:
    """Return the expected wait in seconds at this place, None where it cannot be told honestly.

    With n places in use that are each kept for a mean time m, one becomes free every m / n; the k-th of the line waits
    for k of them. Known only from recent sessions, and only where places are what is waited for.
    """
    if why.code is not ErrorCode.PROJECT_CAP_REACHED:
        return None
    gpu_type = waiter.gpu_types[0]
    hold_s = book.ledger.usual_hold_s(gpu_type)
    places = min(book.settings.cap_of_type(gpu_type) or 0, book.settings.project_cap)
    return round(place * hold_s / places, 1) if hold_s is not None and places else None


def free_for(book: Book, user: UserId, gpu_type: GpuType) -> tuple[int, int]:
    """Return how many sessions of this type the project, and this user, could still open now."""
    settings, ledger = book.settings, book.ledger
    type_left = (settings.cap_of_type(gpu_type) or 0) - ledger.by_type.get(gpu_type, 0)
    project_left = max(0, min(type_left, settings.project_cap - ledger.reserved)) if settings.enabled else 0
    project_left = max(0, min(project_left, book.quota.get(gpu_type, project_left)))
    user_left = settings.max_concurrent_sessions_per_user - ledger.by_user.get(user, 0)
    return project_left, max(0, min(project_left, user_left))
