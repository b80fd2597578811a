"""Small rules, each by its table: credentials, numbers and times of .NET, versions, host.json, queries."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.durable.errors import activity_failure, friendly_message
from localcloud.durable.net_json import rewritten, with_utc_times
from localcloud.durable.options import DurableOptions, OptionsError
from localcloud.durable.ports import FunctionFailed
from localcloud.durable.sanitizer import without_credentials
from localcloud.durable.texts import carried, json_or_text, to_json
from localcloud.durable.versions import may_run
from localcloud.durable.web_query import WebQuery, continuation_token, last_of_page


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('"https://x/b?sig=abc"', '"https://x/b[Hidden Credential]"'),
        ('"https://x/b?signature=abc"', '"https://x/b?signature=abc"'),
        ("AccountKey=a;EndpointSuffix=b", "[Hidden Credential]"),
        ("pwd=a' and PASSWORD=b<c", "[Hidden Credential]' and [Hidden Credential]<c"),
        ("Version=1, PublicKeyToken=abc", "Version=1, PublicKeyToken=abc"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_what_looks_like_a_credential_is_hidden_up_to_the_next_quote(text: str, shown: str) -> None:
    assert without_credentials(text) == shown


@given(st.text(alphabet="ab=?&sigkey\"'<"))
def test_hiding_credentials_always_ends(text: str) -> None:
    assert "?sig=" not in without_credentials(text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("1e21", "1E+21"),
        ("1.5e-7", "1.5E-07"),
        ("2.0", "2.0"),
        ('{"a": [1, -7, null, true], "ü": "€"}', '{"a":[1,-7,null,true],"ü":"€"}'),
        ("NaN", '"NaN"'),
        ("123456789012345678", "123456789012345678"),
        ("-1e15", "-1E+15"),
    ],
)
def test_json_is_rewritten_as_dotnet_writes_it(text: str, written: str) -> None:
    assert rewritten(text) == written


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_rewriting_changes_no_value(value: Any) -> None:
    assert json_or_text(rewritten(to_json(value))) == value


def test_times_with_an_offset_become_utc_and_others_stay() -> None:
    before = {"a": ["2021-03-04T05:06:07.1234567+02:00", "2021-03-04T05:06:07Z", "2021-03-04", 1]}
    assert with_utc_times(before) == {
        "a": ["2021-03-04T03:06:07.1234567+00:00", "2021-03-04T05:06:07Z", "2021-03-04", 1]
    }


def test_a_result_that_json_cannot_hold_becomes_a_text() -> None:
    assert carried(f'{{"x": {math.nan!r}}}'.replace("nan", "NaN")) == '{"x":"NaN"}'
    assert carried("null") is None


@pytest.mark.parametrize(
    ("version", "own", "allowed"),
    [(None, None, True), ("1.0", None, False), ("1.5", "1.5", True), ("1.10", "1.9", False), ("1.9", "1.10", True)],
)
def test_a_version_newer_than_the_hosts_is_not_run(version: str | None, own: str | None, allowed: bool) -> None:
    assert may_run(version, DurableOptions(default_version=own)) is allowed


def test_the_message_of_a_failed_activity_stands_between_exception_and_stack() -> None:
    text = "Result: Failure\nException: ValueError: two\nlines\nStack:   File x"
    assert friendly_message(text) == " ValueError: two\nlines"
    reason, details = activity_failure("f", FunctionFailed(text, exception_type="", message="", stack=""))
    assert reason == "Activity function 'f' failed:  ValueError: two\nlines"
    assert json_or_text(details)["InnerException"]["RemoteMessage"] == "ValueError: two\nlines"


def test_host_json_is_read_with_the_vendors_defaults() -> None:
    options = DurableOptions.from_host_json(
        {
            "extensions": {
                "durableTask": {
                    "hubName": "devboxgpu",
                    "maxConcurrentActivityFunctions": 3,
                    "storageProvider": {"maxQueuePollingInterval": "00:00:00.200"},
                    "storeInputsInOrchestrationHistory": True,
                }
            }
        }
    )
    assert (options.hub_name, options.max_concurrent_activities) == ("devboxgpu", 3)
    assert options.store_inputs_in_history
    assert DurableOptions.from_host_json({}).hub_name == "TestHubName"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"maxConcurrentActivityFunctions": 0}, "maxConcurrentActivityFunctions"),
        ({"hubName": 7}, "hubName"),
        ({"storeInputsInOrchestrationHistory": "yes"}, "storeInputsInOrchestrationHistory"),
        ({"defaultVersion": 1.5}, "defaultVersion"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, object], named: str) -> None:
    with pytest.raises(OptionsError, match=named):
        DurableOptions.from_host_json({"extensions": {"durableTask": settings}})


@given(st.text(min_size=1))
def test_a_continuation_token_stands_for_any_instance_id(name: str) -> None:
    assert last_of_page(continuation_token(name)) == name


def test_flags_of_a_query_are_read_in_any_case_and_otherwise_ignored() -> None:
    query = WebQuery("SHOWINPUT=FALSE&showHistory=maybe&reason=")
    assert query.flag("showInput", default=True) is False
    assert query.flag("showHistory", default=False) is False
    assert (query.reason(), WebQuery("").reason()) == ("", None)
