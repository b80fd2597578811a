"""Bugs planted in the sweep, the audit and the outbox trip the checks of I2, I13 and I14."""

from __future__ import annotations

import msgspec
import pytest

from activities import orphans, publishing, surveying, sweeping
from shared.domain import sweeping as decisions
from shared.domain.records import OutboxRow
from shared.domain.states import SessionState
from shared.ports.tables import Delete
from tests.control_plane.plane import Plane
from tests.control_plane.test_events import two_lives
from tests.control_plane.test_planted_bugs import trips
from tests.control_plane.test_sweep import make_behind_our_back, told


async def an_orphan(one: Plane) -> None:
    """I2: an app that nobody owns is gone after one sweep, an app that somebody owns is not."""
    view = await one.opened()
    make_behind_our_back(one)
    await one.sweep()
    await one.run_for(10)
    one.check_invariants()
    assert one.azure.there() == [f"dbg-{view['session']}"], "a live session's app was deleted"


def test_i2_a_survey_that_suspects_nobody_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(surveying, "unowned", lambda *_: [])

    assert "without a session" in trips(tmp_path, an_orphan)


def test_i2_a_sweep_without_a_second_look_at_the_rows_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(surveying, "unowned", lambda apps, _: apps)
    monkeypatch.setattr(orphans, "is_orphan", lambda _: True)

    assert "was deleted" in trips(tmp_path, an_orphan)


def test_i2_a_list_that_broke_off_and_is_believed_is_found(tmp_path, monkeypatch):
    """An empty list where there was no answer makes every session look as if its app were gone."""
    monkeypatch.setattr(surveying, "list_for_a_while", lambda *_: ([], None))

    async def story(one: Plane) -> None:
        await one.opened()
        one.azure.list_fails_on_page = 1
        await one.sweep()
        assert told(one, "Sweep.Repaired") == [], "something followed from a list that there was not"

    assert "followed from" in trips(tmp_path, story)


def test_i2_an_app_that_was_just_created_and_is_removed_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(orphans, "may_be_removed", lambda *_: True)

    async def story(one: Plane) -> None:
        make_behind_our_back(one)
        await one.drivers.start_sweep(10**8)
        await one.run_for(5)
        assert one.azure.there(), "an app was removed at first sight"

    assert "at first sight" in trips(tmp_path, story)


async def one_audit_row_a_change(one: Plane) -> None:
    """I13: every change of state has one audit row, found by its sequence number."""
    await two_lives(one)
    make_behind_our_back(one)
    await one.sweep()
    await one.run_for(300)
    await one.sweep()
    rows = one.tables.rows("audit", "o-", OutboxRow)
    changes = [(row.subject, row.seq, row.event_type) for row in rows if row.event_type.startswith("DevBoxGpu.Session")]
    assert len(set(changes)) == len(changes), "a change has two audit rows"
    ended = [change for change in changes if change[2].endswith("Ended")]
    assert len(ended) == 2, "a change has no audit row"
    assert len(told(one, "Sweep.OrphanRemoved")) == 1, "a removal is not told once"


def test_i13_an_audit_that_is_written_after_the_outbox_is_emptied_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(publishing, "_audit", lambda *_: None)

    assert "no audit row" in trips(tmp_path, one_audit_row_a_change)


def test_i13_a_removal_that_is_told_anew_with_every_look_is_found(tmp_path, monkeypatch):
    names = iter(range(1000))
    sound = orphans.outbox_entry

    def renamed(*parts, op=None, **more):
        return sound(*parts, **more, op=f"{next(names):016d}")

    monkeypatch.setattr(orphans, "outbox_entry", renamed)
    monkeypatch.setattr(orphans, "REMOVE_AGAIN_AFTER", orphans.timedelta(0))

    tell = orphans._tell

    def tell_anew(world, suspect):
        tell(world, msgspec.structs.replace(suspect, told=False))

    monkeypatch.setattr(orphans, "_tell", tell_anew)

    async def story(one: Plane) -> None:
        one.azure.delete_takes = orphans.timedelta(hours=1)
        make_behind_our_back(one)
        await one.sweep()
        await one.sweep()
        assert len(told(one, "Sweep.OrphanRemoved")) == 1, "a removal is not told once"

    assert "not told once" in trips(tmp_path, story)


async def every_change_is_published_in_order(one: Plane) -> None:
    """I14: what is committed is published, in order for a session, whatever becomes of other sessions' events."""
    one.topic.away = True
    subjects = await two_lives(one)
    one.topic.away = False
    await one.run_for(900)
    for subject in subjects:
        seen = [row.event_type.rpartition(".")[2] for _, _, row in one.topic.published if row.subject == subject]
        assert seen == ["Requested", "Started", "Ended"], f"published: {seen}"


def test_i14_an_outbox_that_forgets_what_the_topic_did_not_take_is_found(tmp_path, monkeypatch):
    def forget(world, batch):
        publishing._change(world, batch, lambda stored: Delete(stored.key, stored.etag))

    monkeypatch.setattr(publishing, "_postpone", forget)

    assert "published: []" in trips(tmp_path, every_change_is_published_in_order)


def test_i14_an_outbox_in_which_events_overtake_is_found(tmp_path, monkeypatch):
    sound = publishing.round_of

    def overtaking(waiting, now):
        offer = sound(waiting, now)
        offer.together.extend(offer.behind)
        offer.behind.clear()
        return offer

    monkeypatch.setattr(publishing, "round_of", overtaking)

    assert "published: [" in trips(tmp_path, every_change_is_published_in_order)


def test_i17_a_sweep_that_asks_the_engine_for_nobody_is_found(tmp_path, monkeypatch):
    async def fine(*_):
        return False

    monkeypatch.setattr(sweeping, "has_lost_driver", fine)

    async def story(one: Plane) -> None:
        view = await one.opened()
        one.keeps_house_every_s = 10_000.0
        await one.drivers._api.terminate(f"{view['session']}-1", "test")
        await one.run_for(1)
        await one.sweep()
        assert one.session(view["session"]).epoch == 2, "nobody drives"

    assert "nobody drives" in trips(tmp_path, story)


@pytest.mark.parametrize("state", list(SessionState))
def test_only_an_app_of_an_ended_session_is_an_orphan(state):
    class Row:
        def __init__(self, state):
            self.state = state

    assert decisions.is_orphan(Row(state)) is (state is SessionState.ENDED)
