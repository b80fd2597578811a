"""The project's own checks find what they are there to find."""

from __future__ import annotations

import pytest

from scripts.contracts import faults_in, names, orchestrator_faults, spelling_faults


def test_the_contracts_are_spelt_as_agreed_and_the_orchestrators_keep_the_rules():
    assert list(spelling_faults(names())) == []
    assert list(orchestrator_faults()) == []


@pytest.mark.parametrize(
    "line",
    [
        "x = yield context.call_activity_with_retry('a', None)",
        "context.continue_as_new(1)",
        "w = context.wait_for_external_event('wake')",
        "for x in {1, 2}: yield x",
        "await something()",
        "print('x')",
    ],
)
def test_an_orchestrator_that_breaks_a_rule_is_found(line):
    keyword = "async def" if "await" in line else "def"

    assert len(list(faults_in(f"{keyword} story(context):\n    {line}\n", "story.py"))) >= 1


def test_a_yield_in_finally_is_found():
    source = "def story(context):\n    try:\n        yield 1\n    finally:\n        yield 2\n"

    assert any("finally" in fault for fault in faults_in(source, "story.py"))


def test_a_changed_or_a_new_name_is_found():
    present = names()
    present["states"] = ["Running"]
    present["tables"] = [*present["tables"], "invented"]

    faults = list(spelling_faults(present))

    assert any("'Ended'" in fault for fault in faults)
    assert any("'invented' is new" in fault for fault in faults)
