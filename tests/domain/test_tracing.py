"""W3C trace contexts as they are read, and the spans that follow from an orchestration's name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.names import SessionId
from shared.domain.tracing import Trace, driver_trace, read_trace, sweep_trace

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SESSION = SessionId("a" * 26)


def test_a_traceparent_is_read():
    assert read_trace(f"00-{TRACE}-{SPAN}-01") == Trace(TRACE, SPAN, sampled=True)
    assert read_trace(f"00-{TRACE}-{SPAN}-00") == Trace(TRACE, SPAN, sampled=False)


def test_a_later_version_is_read_as_far_as_this_one_goes():
    assert read_trace(f"42-{TRACE}-{SPAN}-03-what-else") == Trace(TRACE, SPAN, sampled=True)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\n",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
    ],
)
def test_what_names_no_span_is_none(text):
    assert read_trace(text) is None


@given(st.text(max_size=80) | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}.{0,3}", fullmatch=True))
def test_any_text_is_a_span_that_reads_back_or_none(text):
    trace = read_trace(text)

    assert trace is None or read_trace(str(trace)) == trace


def test_a_driver_has_the_same_span_however_often_it_is_asked_for_and_another_one_in_each_epoch():
    parent = f"00-{TRACE}-{SPAN}-01"

    first = driver_trace(parent, SESSION, 1)

    assert first == driver_trace(parent, SESSION, 1)
    assert first is not None
    assert first.trace_id == TRACE
    assert first.span_id not in {SPAN, driver_trace(parent, SESSION, 2).span_id}
    assert read_trace(str(first)) == first


def test_a_session_that_was_opened_in_no_trace_is_driven_in_none():
    assert driver_trace(None, SESSION, 1) is None


def test_every_sweep_is_a_trace_of_its_own():
    assert sweep_trace(5) == sweep_trace(5)
    assert sweep_trace(5).trace_id != sweep_trace(6).trace_id
    assert read_trace(str(sweep_trace(5))) == sweep_trace(5)
