"""The shortcut for the SDK's timestamps gives what the SDK's own parser gives, and is really used."""

import importlib
from datetime import UTC, datetime

from dateutil.parser import parse  # type: ignore[import-untyped]  # it has no types
from hypothesis import given
from hypothesis import strategies as st

from localcloud.durable.sdk_timestamps import TimestampParser, install
from localcloud.durable.texts import instant_text

PARSER = TimestampParser(parse)
OTHER_FORMS = ["2026-11-21T12:00:00Z", "2026-11-21T12:00:00.1234567Z", "2026-11-21 12:00+02:00", "Nov 21 2026"]


@given(st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)))
def test_the_engines_own_timestamps_are_parsed_to_the_same(moment: datetime) -> None:
    text = instant_text(moment)
    quick, slow = PARSER(text), parse(text)
    assert (quick, quick.tzinfo, quick.fold) == (slow, slow.tzinfo, slow.fold)
    assert repr(quick) == repr(slow)


def test_other_forms_go_to_the_general_parser() -> None:
    assert [PARSER(text) for text in OTHER_FORMS] == [parse(text) for text in OTHER_FORMS]


def test_the_sdk_uses_it_after_any_number_of_installations() -> None:
    assert install()
    assert install()
    module = importlib.import_module("azure.durable_functions.models.history.HistoryEvent")
    event = module.HistoryEvent(EventType=12, EventId=-1, IsPlayed=False, Timestamp="2026-11-21T12:00:00.1234560Z")
    assert isinstance(module.dt_parse, TimestampParser)
    assert event.timestamp == datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
