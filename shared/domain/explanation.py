"""Why a session waits, comes up, lives or has ended, and what would change that. Facts in, sentences out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.activity import Activity, said_of
from shared.domain.admission import Book, admissible_type, wait_estimate_s
from shared.domain.errors import ErrorCode, Problem
from shared.domain.lease import Deadline, deadline
from shared.domain.records import SessionRow, ShellRow, hold_facts, ordered_end
from shared.domain.settings import Fairness
from shared.domain.states import EndReason, SessionState


@dataclass(frozen=True, slots=True)
class Remedy:
    """What would change a session's lot; `action` is a command line where there is one."""

    message: str
    action: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    summary: str
    reasons: tuple[Problem, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    place: int | None = None
    line_length: int | None = None
    estimate_s: float | None = None
    deadlines: tuple[Deadline, ...] = ()


def explanation(session: SessionRow, shells: Sequence[ShellRow], book: Book | None, now: datetime) -> Explanation:
    """Return why the session is as it is. `book` is needed only of a session in line."""
    match session.state:
        case SessionState.WAITING if book is not None:
            return _waits(session, book)
        case SessionState.REQUESTED | SessionState.WAITING:
            return Explanation(summary="It has been asked for and is about to be decided.")
        case SessionState.PROVISIONING:
            return _comes_up(session, now)
        case SessionState.RUNNING:
            return _lives(session, shells, now)
        case SessionState.STOPPING:
            why = _ended_because(session)
            return Explanation(
                summary=f"It is being stopped: {why} Its GPU counts until Azure says that it is gone.",
                reasons=_end_reasons(session),
            )
        case SessionState.ENDED:
            return Explanation(
                summary=f"It has ended: {_ended_because(session)}",
                reasons=_end_reasons(session),
                remedies=(Remedy("Open a new one", "devboxgpu shell"),),
            )


def _waits(session: SessionRow, book: Book) -> Explanation:
    place, why = book.line.place_of(session.session), admissible_type(book, session.waiter)
    if not isinstance(why, Problem) or place is None:
        return Explanation(summary="It is about to get a GPU.", place=place, line_length=len(book.line))
    estimate_s = wait_estimate_s(book, session.waiter, place, why)
    about = f"about {max(1, round(estimate_s / 60))} min" if estimate_s is not None else "for an unknown time"
    until = f" It gives up at {session.wait_until:%H:%M} UTC." if session.wait_until else ""
    rule = "the longest wait" if book.settings.line.fairness is Fairness.FIFO else "the least recent GPU use"
    return Explanation(
        summary=f"It is number {place} of {len(book.line)} in line, {about}: next is who has {rule}.{until}",
        reasons=(why,),
        remedies=tuple(_ways_out_of_line(session, why)),
        place=place,
        line_length=len(book.line),
        estimate_s=estimate_s,
    )


def _ways_out_of_line(session: SessionRow, why: Problem) -> Iterator[Remedy]:
    if why.code is ErrorCode.USER_LIMIT_REACHED:
        yield Remedy("Stop one of your own sessions", "devboxgpu sessions list --user me")
    elif why.code is ErrorCode.PROJECT_CAP_REACHED:
        yield Remedy("It gets a GPU when a session of the project ends, or when an administrator raises the cap.")
        yield Remedy("Other GPU types may be free now", "devboxgpu gpus")
    elif why.code is ErrorCode.ENVIRONMENT_QUOTA_REACHED:
        yield Remedy("It gets a GPU when one of the environment's ends, or when its Azure quota is raised.")
    elif why.code is ErrorCode.BUDGET_EXHAUSTED:
        yield Remedy("It gets a GPU next month, or when an administrator raises the budget.")
    yield Remedy("Leave the line", f"devboxgpu sessions stop {session.session}")


def _comes_up(session: SessionRow, now: datetime) -> Explanation:
    since = session.phase_since or session.created_at
    place = f"{session.region}/{session.gpu_type}"
    if session.next_region is not None:
        summary = f"There was no GPU at {place}; it goes on to {session.next_region}/{session.next_gpu_type}."
    else:
        summary = (
            f"It is in phase {session.phase} at {place} since {(now - since).total_seconds():.0f} s, "
            f"attempt {session.attempt}."
        )
    remedies = (Remedy("Cancel it", f"devboxgpu sessions stop {session.session}"),)
    return Explanation(summary=summary, reasons=_tries(session), remedies=remedies)


def _lives(session: SessionRow, shells: Sequence[ShellRow], now: datetime) -> Explanation:
    ends = tuple(sorted(_deadlines(session, shells), key=lambda end: end.at))
    still_open = sum(shell.closed_at is None for shell in shells)
    last = last_activity(shells) or Activity(at=session.running_at or now)
    quiet_s = max(0.0, (now - last.at).total_seconds())
    count = f"{still_open} open shell{'' if still_open == 1 else 's'}"
    summary = f"It runs for {count}; {said_of(last.signal, last.figure)} {quiet_s:.0f} s ago."
    waited_until = waits_for_client_until(session, shells, now)
    if waited_until is not None:
        summary += f" No client is heard; since it was busy, one is waited for until {waited_until:%H:%M:%S} UTC."
    planned = next((end for end in ends if end.reason is not EndReason.LEASE_LAPSED), None)
    if planned is not None:
        summary += f" Unless something happens it stops at {planned.at:%H:%M:%S} UTC ({planned.reason})."
    return Explanation(
        summary=summary,
        reasons=tuple(Problem(code=ErrorCode.STOPPED, message=WHEN[end.reason], target=end.reason) for end in ends),
        remedies=tuple(_ways_to_live_or_end(session, ends)),
        deadlines=ends,
    )


def last_activity(shells: Sequence[ShellRow]) -> Activity | None:
    """Return what counted last as use of the session whose shells these are, None where there are none."""
    return max((shell.activity for shell in shells), key=lambda one: one.at, default=None)


def waits_for_client_until(session: SessionRow, shells: Sequence[ShellRow], now: datetime) -> datetime | None:
    """Return until when a busy session is kept whose clients are silent, None where one is heard or none was busy."""
    still_open = [shell for shell in shells if shell.closed_at is None]
    busy = [shell.busy_until for shell in still_open if shell.busy_until is not None and shell.busy_until > now]
    if session.state is not SessionState.RUNNING or not busy or any(now < one.lease_expires_at for one in still_open):
        return None
    ends = [end.at for end in _deadlines(session, shells) if end.reason is not EndReason.IDLE]
    return min([max(busy), *ends])


WHEN: dict[EndReason, str] = {
    EndReason.LEASE_LAPSED: "It stops when no shell of it has been heard of for its lease and the grace.",
    EndReason.IDLE: "It stops when nothing has been typed, printed or computed for the project's idle time.",
    EndReason.MAX_LIFETIME: "It stops at the longest life that the project allows, used or not.",
    EndReason.PROJECT_DISABLED: "GPU sessions were disabled for the project, and those that run were told to end.",
    EndReason.SHELLS_CLOSED: "Its shells are closed.",
}


def _deadlines(session: SessionRow, shells: Sequence[ShellRow]) -> Iterator[Deadline]:
    """Yield every reason to stop with its own instant."""
    facts = hold_facts(session, list(shells), timedelta(seconds=session.lease_grace_s))
    if not facts.shells or all(shell.closed for shell in facts.shells):
        return
    never = timedelta(days=3650)
    if facts.running_at is not None:
        yield Deadline(at=facts.running_at + facts.max_lifetime, reason=EndReason.MAX_LIFETIME)
        awake = tuple(replace(shell, lease_expires_at=facts.running_at + never) for shell in facts.shells)
        yield deadline(replace(facts, shells=awake, max_lifetime=never, ordered=None))
        yield deadline(replace(facts, idle_timeout=never, max_lifetime=never, ordered=None))
    if (ordered := ordered_end(session)) is not None:
        yield ordered


def _ways_to_live_or_end(session: SessionRow, ends: tuple[Deadline, ...]) -> Iterator[Remedy]:
    if any(end.reason is EndReason.PROJECT_DISABLED for end in ends):
        yield Remedy("Save your work: this stop is not put off. An administrator can enable the project again.")
    elif ends:
        yield Remedy("Keep it longer", f"devboxgpu sessions extend {session.session} --minutes 60")
    yield Remedy("Stop it now", f"devboxgpu sessions stop {session.session}")


def _ended_because(session: SessionRow) -> str:
    if session.error_message:
        return session.error_message
    by = f" by {session.stop_by}" if session.stop_by and session.end_reason in BY_SOMEBODY else ""
    note = f" ({session.stop_note})" if session.stop_note else ""
    return f"{session.end_reason or session.stop_reason}{by}{note}."


BY_SOMEBODY = frozenset({EndReason.STOPPED_BY_ADMINISTRATOR, EndReason.STOPPED_BY_USER})


def _end_reasons(session: SessionRow) -> tuple[Problem, ...]:
    own = (session.error,) if session.error is not None else ()
    return (*own, *_tries(session))


def _tries(session: SessionRow) -> tuple[Problem, ...]:
    return tuple(
        Problem(code=one.code, message=one.message, target=f"{one.region}/{one.gpu_type}") for one in session.tries
    )
