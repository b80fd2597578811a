"""What the sweep decides: suspects, lost drivers, drift, slots and leases; when an event is offered again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.delivery import LONGEST_PAUSE, is_given_up, next_try, round_of
from shared.domain.names import ProjectId, SessionId, UserId, app_name
from shared.domain.pricing import GpuType
from shared.domain.records import OutboxRow, SessionRow
from shared.domain.states import COUNTED, SessionState
from shared.domain.sweep_records import GlanceRow, SuspectRow, SweepRow
from shared.domain.sweeping import (
    SILENT_AFTER,
    ListedApp,
    begun_at,
    days_past_keeping,
    drift,
    driver_is_lost,
    is_due,
    is_overdue,
    is_past_keeping,
    lag,
    lease_of,
    may_be_removed,
    may_lead,
    reservations,
    slot_of,
    takes_estimates,
    unowned,
    without_app,
)

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
FIVE = timedelta(minutes=5)
GRACE = timedelta(seconds=30)
instants = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))
spans = st.timedeltas(timedelta(seconds=1), timedelta(hours=1))
STATES = list(SessionState)


def session(number: int = 0, **more: object) -> SessionRow:
    given_ = {
        "project": ProjectId("demo"),
        "session": sid(number),
        "user": UserId("u"),
        "state": SessionState.RUNNING,
        "gpu_type": GpuType.T4,
        "image": "i",
        "regions": ["westus3"],
        "created_at": NOW,
        "shells": [],
        "idle_timeout_s": 60.0,
        "max_lifetime_s": 60.0,
        "booked_at": NOW - timedelta(minutes=10),
        "next_look_at": NOW + timedelta(minutes=5),
    }
    return SessionRow(**{**given_, **more})


def sid(number: int) -> SessionId:
    return SessionId(f"{'abcdefghij'[number % 10] * 26}")


def glance(number: int, **more: object) -> GlanceRow:
    given_ = {"project": ProjectId("demo"), "session": sid(number), "state": SessionState.RUNNING}
    return GlanceRow(**{**given_, "app_put_at": NOW - FIVE, **more})


def app(name: str, **more: object) -> ListedApp:
    return ListedApp(**{"name": name, "project": "demo", "created_at": None, "deleting": False, **more})


# slots and leases


@given(instants, spans)
def test_slots_follow_one_another_without_a_gap(now, every):
    slot = slot_of(now, every)

    assert begun_at(slot, every) <= now + timedelta(milliseconds=1)
    assert begun_at(slot + 1, every) > now - timedelta(milliseconds=1)


def lease(**more: object) -> SweepRow:
    return SweepRow(**{"slot": 5, "holder": "sweep-5", "started_at": NOW, "expires_at": NOW + FIVE, **more})


def test_a_sweep_is_due_once_a_slot_and_overdue_after_two_without_one():
    assert is_due(None, NOW, FIVE)
    assert not is_due(lease(), NOW + FIVE - timedelta(seconds=1), FIVE)
    assert is_due(lease(), NOW + FIVE, FIVE)
    assert not is_overdue(lease(), NOW + 2 * FIVE, FIVE)
    assert is_overdue(lease(), NOW + 2 * FIVE + timedelta(seconds=1), FIVE)
    assert is_overdue(None, NOW, FIVE)


@given(spans, spans)
def test_another_interval_never_silences_the_sweep(before, after):
    """Numbers of slots are of one interval only: five seconds number them sixty times as high as five minutes."""
    last = lease(slot=slot_of(NOW, before), started_at=NOW)

    assert is_due(last, NOW + after, after)
    slot = slot_of(NOW + after, after)
    assert may_lead(msgspec.structs.replace(last, finished_at=NOW), f"sweep-{slot}", slot, NOW + after, after)


def test_one_sweep_leads_at_a_time_and_the_next_slot_takes_over_from_a_dead_one():
    slot = slot_of(NOW, FIVE)
    here, there = f"sweep-{slot}", f"sweep-{slot + 1}"
    last, done = lease(slot=slot, holder=here), lease(slot=slot, holder=here, finished_at=NOW)

    assert may_lead(None, here, slot, NOW, FIVE)
    assert may_lead(last, here, slot, NOW, FIVE), "its own first step, repeated"
    assert not may_lead(done, here, slot, NOW, FIVE), "this slot is done"
    assert not may_lead(last, there, slot + 1, NOW, FIVE)
    assert may_lead(done, there, slot + 1, NOW, FIVE)
    assert may_lead(last, there, slot + 1, NOW + lease_of(FIVE), FIVE)
    assert not may_lead(done, "sweep-1", slot - 1, NOW, FIVE), "a late one of an earlier slot"


def test_a_sweep_is_late_by_what_is_over_a_slot_since_the_last_one():
    assert lag(lease(), NOW + FIVE, FIVE) == timedelta(0)
    assert lag(lease(), NOW + 7 * FIVE, FIVE) == 6 * FIVE
    assert lag(None, NOW, FIVE) == timedelta(0)


@pytest.mark.parametrize("minutes", [1, 5, 15, 60])
def test_estimates_are_taken_every_quarter_of_an_hour_or_with_every_sweep_where_those_are_rarer(minutes):
    every = timedelta(minutes=minutes)
    slots = range(0, 24 * 60 // minutes)

    taken = sum(takes_estimates(slot, every) for slot in slots)
    assert taken == min(24 * 4, len(slots))


# apps


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(STATES))), st.sets(st.integers(0, 9)))
def test_no_app_of_a_session_that_has_not_ended_is_ever_suspected(sessions, apps):
    rows = [glance(number, state=state) for number, state in sessions]
    live = {number for number, state in sessions if state is not SessionState.ENDED}

    suspects = unowned([app(app_name(sid(number))) for number in apps], rows)

    assert {suspect.name for suspect in suspects} == {app_name(sid(number)) for number in apps - live}


def test_an_app_that_is_being_deleted_is_no_suspect_and_names_are_compared_without_case():
    assert unowned([app("dbg-x", deleting=True)], []) == []
    assert unowned([app(app_name(sid(1)).upper())], [glance(1)]) == []


@pytest.mark.parametrize("state", STATES)
def test_an_app_is_missed_only_of_a_session_that_holds_a_gpu(state):
    assert bool(without_app([glance(1, state=state)], [], NOW)) is (state in COUNTED)


@pytest.mark.parametrize(
    "more",
    [{"app_put_at": None}, {"app_put_at": NOW + GRACE}, {"next_region": "swedencentral"}, {"wakes": 1}],
    ids=["not asked for yet", "asked for since", "between two places", "to be looked at anyway"],
)
def test_an_app_is_not_missed_where_there_may_be_none(more):
    assert without_app([glance(1, **more)], [], NOW) == []


@given(st.timedeltas(timedelta(0), FIVE), st.timedeltas(timedelta(0), FIVE))
def test_a_suspect_goes_only_after_a_second_look_and_never_just_after_its_creation(suspected_for, age):
    suspect = SuspectRow(app="a", first_seen_at=NOW - suspected_for, created_at=NOW - age)

    assert may_be_removed(suspect, NOW, GRACE) is (suspected_for >= GRACE and age >= GRACE)


def test_a_suspect_of_unknown_age_is_as_old_as_it_is_known():
    assert not may_be_removed(SuspectRow(app="a", first_seen_at=NOW), NOW, GRACE)
    assert may_be_removed(SuspectRow(app="a", first_seen_at=NOW - GRACE), NOW, GRACE)


# drivers and books


def test_a_driver_is_lost_where_the_engine_says_so_or_it_is_silent():
    assert driver_is_lost(session(), alive=False, now=NOW, grace=GRACE)
    assert not driver_is_lost(session(), alive=True, now=NOW, grace=GRACE)
    silent = session(next_look_at=NOW - SILENT_AFTER - timedelta(seconds=1))
    assert driver_is_lost(silent, alive=True, now=NOW, grace=GRACE)
    assert not driver_is_lost(session(booked_at=NOW - GRACE), alive=False, now=NOW, grace=GRACE)
    over = session(state=SessionState.ENDED, settled=True)
    assert not driver_is_lost(over, alive=False, now=NOW, grace=GRACE)


@given(st.lists(st.tuples(st.sampled_from(list(GpuType)), st.sampled_from("xyz"), st.integers(0, 1))))
def test_reservations_add_up_alike_by_type_and_by_user(held):
    rows = [session(gpu_type=gpu, user=UserId(user), holds=holds) for gpu, user, holds in held]

    by_type, by_user = reservations(rows)

    assert sum(by_type.values()) == sum(by_user.values()) == sum(holds for _, _, holds in held)
    assert 0 not in by_type.values()
    assert drift(by_type, by_type) == ""


def test_drift_is_told_in_words():
    assert drift({"T4": 2, "A100": 1}, {"T4": 1, "A100": 1}) == "T4: 2 counted, 1 held"
    assert drift({}, {"x": 1}) == "x: 0 counted, 1 held"


def test_what_has_ended_is_kept_for_its_time_and_what_is_not_settled_for_ever():
    day = timedelta(hours=24)
    ended = {"state": SessionState.ENDED, "ended_at": NOW - day - GRACE}

    assert is_past_keeping(session(**ended, settled=True), NOW, day)
    assert not is_past_keeping(session(**ended, settled=False), NOW, day)
    assert not is_past_keeping(session(state=SessionState.ENDED, ended_at=NOW, settled=True), NOW, day)


def test_days_past_keeping_are_whole_days_before_what_is_kept():
    days = days_past_keeping(datetime(2026, 3, 1, 0, 30, tzinfo=UTC), timedelta(hours=48))

    assert [f"{day:%m%d}" for day in days] == ["0226", "0225", "0224", "0223", "0222", "0221", "0220"]


# offering events


@dataclass(frozen=True)
class Entry:
    key: str
    row: OutboxRow


def entry(key: int, subject: str = "s", seq: int = 0, **more: object) -> tuple[ProjectId, Entry]:
    row = OutboxRow(event_type="t", subject=subject, at=NOW, data={}, actor="a", seq=seq, **more)
    return ProjectId("demo"), Entry(f"{key:04d}", row)


entries = st.lists(
    st.tuples(st.integers(0, 99), st.sampled_from("abc"), st.integers(0, 3), st.integers(0, 3), st.booleans()),
    unique_by=lambda one: one[0],
)


@given(entries)
def test_of_one_subject_nothing_is_offered_before_what_came_before_it(drawn):
    waiting = [
        entry(key, subject, seq, attempts=attempts, next_try_at=NOW + GRACE if later and attempts else None)
        for key, subject, seq, attempts, later in drawn
    ]
    offer = round_of(waiting, NOW)
    offered = [one for _, one in (*offer.together, *offer.alone)]

    for subject in "abc":
        chain = sorted(
            (one for _, one in waiting if one.row.subject == subject), key=lambda one: (one.row.seq, one.key)
        )
        mine = [one for one in offered if one.row.subject == subject]
        assert mine == chain[: len(mine)]
        assert all(one.row.next_try_at is None or one.row.next_try_at <= NOW for one in mine[:1])


def test_what_failed_before_is_offered_alone_and_what_is_behind_it_waits():
    offer = round_of([entry(1, attempts=1), entry(2), entry(3, "other")], NOW)

    assert [one.key for _, one in offer.together] == ["0003"]
    assert [one.key for _, one in offer.alone] == ["0001"]
    assert [one.key for _, one in offer.behind] == ["0002"]


def test_pauses_double_up_to_five_minutes():
    pauses = [(next_try(attempts, NOW) - NOW).total_seconds() for attempts in (1, 2, 3, 4, 7, 8, 500)]

    assert pauses == [5, 10, 20, 40, LONGEST_PAUSE.total_seconds(), LONGEST_PAUSE.total_seconds(), 300]


def test_only_what_was_offered_in_vain_is_given_up_and_only_when_it_is_old():
    day = timedelta(hours=24)
    _, old = entry(1, attempts=3)
    _, untried = entry(1)

    assert is_given_up(old.row, NOW + day + GRACE, day)
    assert not is_given_up(old.row, NOW + day, day)
    assert not is_given_up(untried.row, NOW + 2 * day, day)
