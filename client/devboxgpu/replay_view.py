"""A policy replay as a person reads it: three columns, a sentence that sums it up, and what is not known about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from devboxgpu.data_output import Column
from devboxgpu.wire import Json, Money, count_of, instant_of, items_of, mapping_of, number_of, text_of
from devboxgpu.wording import SECONDS_AN_HOUR, duration, moment, money, printable

SCENARIOS = ("really", "present", "proposed")
UNKNOWN, NONE = "unknown", "none"
REPLAY_COLUMNS = (
    Column("", lambda row: row.get("figure")),
    Column("REALLY", lambda row: row.get("really")),
    Column("PRESENT SETTINGS", lambda row: row.get("present")),
    Column("PROPOSED SETTINGS", lambda row: row.get("proposed")),
)
DOUBTS = {
    "atLeast": "were cut short, or live: they count with the time that they had, and would have taken more",
    "atMost": "were left idle: they count as idle to the end of a longer limit, the most that they would take",
    "idleUnknown": "may have been quiet for so long in between: that is not recorded, they count as not stopped",
    "assumed": "never had a GPU: they count as used as the median session was",
    "unknown": "never had a GPU, and no session has run that could tell how they would be used: they count as no time",
}


def replay_rows(report: Json) -> list[Json]:
    """One row a figure, with its value in each scenario."""
    found = {name: mapping_of(report, name) or {} for name in SCENARIOS}
    rows: list[Json] = [
        {"figure": figure, **{name: shown(found[name]) for name in SCENARIOS}} for figure, shown in FIGURES
    ]
    codes = dict.fromkeys(code for name in SCENARIOS for code in mapping_of(found[name], "refused") or {})
    refusals: list[Json] = [
        {"figure": f"refused: {code}", **{name: _refused(found[name], code) for name in SCENARIOS}} for code in codes
    ]
    return [*rows[:AFTER_WAITS], *refusals, *rows[AFTER_WAITS:]]


def summary(report: Json) -> str:
    """The difference of the proposed settings to the present ones, in one sentence."""
    difference = mapping_of(report, "difference") or {}
    proposed = mapping_of(report, "proposed") or {}
    told = [_money_told(difference), _waiting_told(difference, proposed), *_people_told(difference)]
    return printable(f"Against the present settings, these would have {told[0]}; {', '.join(told[1:])}.")


def caveats(report: Json) -> Iterator[str]:
    """What is not known, or not in it."""
    begins = instant_of(report, "begins")
    if report.get("truncated") is True and begins is not None:
        yield f"there was more than is read: what was asked before {moment(begins)} is not in it"
    proposed = mapping_of(report, "proposed") or {}
    for doubt, count in (mapping_of(proposed, "doubts") or {}).items():
        yield f"{count} of the proposed settings' sessions {DOUBTS.get(doubt, f'are in doubt ({doubt})')}"
    if unpriced := count_of(proposed, "unpricedSessions"):
        yield f"{unpriced} sessions have no known price and are not in the cost"
    for user in items_of(mapping_of(report, "difference") or {}, "mostDelayed"):
        who = text_of(user, "userName") or text_of(user, "user") or UNKNOWN
        sessions, added_s = count_of(user, "sessions"), number_of(user, "addedWaitSeconds") or 0.0
        yield f"{who} would have waited {duration(added_s)} longer in all ({_counted(sessions or 0, 'session')})"


def _money_told(difference: Json) -> str:
    saved = Money.read(mapping_of(difference, "saved"), "amount")
    hours = (number_of(difference, "gpuSecondsSaved") or 0.0) / SECONDS_AN_HOUR
    unknown = bool(count_of(difference, "notCompared"))
    if saved is not None and not (saved.amount or hours or unknown):
        return "cost the same"
    gpu_hours = f"{abs(hours):.1f} GPU-hours {'less' if hours >= 0 else 'more'}"
    if saved is None or (unknown and not saved.amount):
        return f"saved an amount that is unknown ({gpu_hours})"
    amount = money(Money(amount=abs(saved.amount), currency=saved.currency))
    where = " where prices are known" if unknown else ""
    return f"saved {amount}{where} ({gpu_hours})" if saved.amount >= 0 else f"cost {amount} more{where} ({gpu_hours})"


def _waiting_told(difference: Json, proposed: Json) -> str:
    users = count_of(difference, "usersWaitingLonger") or 0
    waits = mapping_of(proposed, "waits")
    if not users:
        return "nobody would have waited longer"
    longest = number_of(waits, "maxSeconds") if waits else None
    return f"{_people(users)} would have waited longer" + (f" (at most {duration(longest)})" if longest else "")


def _people_told(difference: Json) -> Iterator[str]:
    turned_away, stopped = count_of(difference, "usersTurnedAway") or 0, count_of(difference, "usersStopped") or 0
    if turned_away:
        yield f"{_people(turned_away)} would have been turned away"
    if stopped:
        yield f"{_people(stopped)} would have been stopped"


def _people(number: int) -> str:
    return _counted(number, "person", "people")


def _counted(number: int, one: str, more: str = "") -> str:
    return f"{number} {one if number == 1 else more or f'{one}s'}"


def _plain(key: str) -> Callable[[Json], str]:
    def shown(figures: Json) -> str:
        count = count_of(figures, key)
        return UNKNOWN if count is None else str(count)

    return shown


def _wait(key: str) -> Callable[[Json], str]:
    def shown(figures: Json) -> str:
        waits = mapping_of(figures, "waits")
        wait_s = number_of(waits, key) if waits else None
        return NONE if wait_s is None else duration(wait_s)

    return shown


def _refused(figures: Json, code: str) -> str:
    return str(count_of(mapping_of(figures, "refused") or {}, code) or 0)


def _hours(figures: Json) -> str:
    seconds = number_of(figures, "gpuSeconds")
    return UNKNOWN if seconds is None else f"{seconds / SECONDS_AN_HOUR:.1f}"


def _cost(figures: Json) -> str:
    cost = Money.read(mapping_of(figures, "cost"), "amount")
    unpriced = count_of(figures, "unpricedSessions") or 0
    if cost is None or (unpriced and not cost.amount):
        return UNKNOWN
    return money(cost) + (f" and {unpriced} without a price" if unpriced else "")


def _part(figures: Json) -> str:
    part = number_of(figures, "utilisation")
    return UNKNOWN if part is None else f"{part:.0%}"


FIGURES: tuple[tuple[str, Callable[[Json], str]], ...] = (
    ("sessions asked for", _plain("sessions")),
    ("admitted at once", _plain("admittedAtOnce")),
    ("waited", _plain("waited")),
    ("half waited up to", _wait("p50Seconds")),
    ("19 of 20 waited up to", _wait("p95Seconds")),
    ("longest wait", _wait("maxSeconds")),
    ("still waiting", _plain("stillWaiting")),
    ("out of time in line", _plain("timedOut")),
    ("gave up in line", _plain("gaveUp")),
    ("never came up", _plain("neverRan")),
    ("stopped idle", _plain("stoppedIdle")),
    ("stopped by lifetime", _plain("stoppedLifetime")),
    ("GPU-hours", _hours),
    ("cost", _cost),
    ("most at once", _plain("mostAtOnce")),
    ("places held", _part),
)
AFTER_WAITS = 9
"""Where the refusals stand, by reason: after all that is about waiting."""
