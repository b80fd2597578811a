"""The sums are right: what the kit's programs print is sorted by name, and nothing is excused without an entry."""

import json

import pytest

from localcloud.conformance.instruments import InstrumentsMissing, find_kit
from localcloud.conformance.verdicts import BadExpectations, expectations, judge

COMPARED = """same       a
same       b
           expected: because
DIFFERENT  c: shows something
    --- golden
    -same       d
DIFFERENT  e: shows more
1 same, 2 different, 1 missing
"""


@pytest.fixture
def results(tmp_path):
    for name in "abce":
        (tmp_path / f"{name}.json").write_text("{}")
    (tmp_path / "_run.json").write_text("{}")
    return tmp_path


def judged(results, may_differ, golden=None):
    return judge(
        wanted=set("abcde"), results=results, compared=COMPARED, may_differ=may_differ, golden=golden or {}, text=""
    )


def test_names_are_sorted_by_what_was_found(results):
    verdict = judged(results, [{"scenario": "c", "reason": "r"}, {"scenario": "a", "reason": "r"}])

    assert (verdict.same, verdict.expected, verdict.different) == (1, ("b", "c"), ("e",))
    assert (verdict.missing, verdict.unneeded) == (("d",), ("a",))
    assert not verdict.is_good
    assert str(verdict) == "1 same, 2 different as expected, 1 different, 1 missing"


def test_an_entry_for_a_place_in_a_result_excuses_no_difference_elsewhere(results):
    verdict = judged(results, [{"scenario": "c", "path": "exchanges.*", "reason": "r"}])

    assert verdict.different == ("c", "e")


GOLDEN = {"c": {"program": "c", "output": 1, "info": 5, "instances": {"main": {"history": [1, 2], "status": "x"}}}}


@pytest.mark.parametrize(
    ("found", "different"),
    [
        ({"program": "c", "output": 1, "info": 6, "instances": {"main": {"history": [1], "status": "x"}}}, ("e",)),
        ({"program": "c", "output": 2, "info": 5, "instances": {"main": {"history": [1], "status": "x"}}}, ("c", "e")),
        ({"program": "c", "output": 1, "instances": {"main": {"history": [1], "status": "y"}}}, ("c", "e")),
        ({"program": "c", "output": 1, "instances": {}}, ("c", "e")),
    ],
)
def test_a_program_is_excused_where_it_differs_only_in_the_places_that_may(results, found, different):
    (results / "c.json").write_text(json.dumps(found))

    verdict = judged(results, [{"scenario": "c", "path": "instances.*.history", "reason": "r"}], GOLDEN)

    assert verdict.different == different


def test_all_is_good_where_each_difference_is_expected_and_nothing_is_missing(results):
    (results / "d.json").write_text("{}")

    assert judged(results, [{"scenario": "[ce]", "reason": "r"}]).is_good


@pytest.mark.parametrize("text", ["{", '{"scenario": "a"}', '[{"scenario": "a"}]', '[{"scenario": "a", "reason": ""}]'])
def test_a_file_of_expectations_without_reasons_is_refused(tmp_path, text):
    path = tmp_path / "expected.json"
    path.write_text(text)

    with pytest.raises(BadExpectations, match=r"expected\.json"):
        expectations(path)


def test_expectations_are_read_and_may_be_absent(tmp_path):
    path = tmp_path / "expected.json"
    assert expectations(path) == []
    path.write_text(json.dumps([{"scenario": "a", "reason": "r"}]))

    assert expectations(path) == [{"scenario": "a", "reason": "r"}]


def test_where_the_kit_is_absent_the_places_to_put_it_are_told(monkeypatch, tmp_path):
    monkeypatch.setenv("DEVBOXGPU_SHARED", str(tmp_path))

    with pytest.raises(InstrumentsMissing, match="DEVBOXGPU_SHARED") as missing:
        find_kit()

    assert str(tmp_path) in str(missing.value)
