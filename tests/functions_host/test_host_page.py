"""docs/local-host.md names the flags and the strict rules that there are."""

import re
from pathlib import Path

from localcloud.durable.traps import Rule
from localcloud.functions_host.__main__ import _parser

PAGE = (Path(__file__).parents[2] / "docs" / "local-host.md").read_text(encoding="utf-8")


def first_cells(heading):
    section = re.split(r"^## ", PAGE.partition(f"## {heading}\n")[2], flags=re.MULTILINE)[0]
    return [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]


def test_every_flag_is_explained_and_none_that_is_gone():
    known = {word for action in _parser()._actions for word in action.option_strings} - {"-h", "--help"}

    assert {word for cell in first_cells("Flags") for word in re.findall(r"--[a-z-]+", cell)} == known


def test_every_strict_rule_is_explained():
    explained = [cell.strip(" `") for cell in first_cells("Strict mode")]

    assert explained == [*Rule, "4.2"]
