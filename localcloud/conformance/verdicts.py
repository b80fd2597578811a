"""What became of one instrument, read from what its compare.py prints, by name."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

EXPECTED_DIFFERENCES = Path(__file__).with_name("expected-differences.json")
_NEVER_COMPARED = ("info",)
_DIFFERENT = re.compile(r"^DIFFERENT +([\w.-]+)", re.MULTILINE)
_SAME_AS_EXPECTED = re.compile(r"^same +([\w.-]+)\n +expected: ", re.MULTILINE)


class BadExpectations(ValueError):
    """The project's file of expected differences cannot be used; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The names of an instrument by what was found; `text` is what its programs printed.

    `expected` differ and may; `unneeded` may differ as a whole and are the same.
    """

    same: int
    expected: tuple[str, ...]
    different: tuple[str, ...]
    missing: tuple[str, ...]
    unneeded: tuple[str, ...]
    text: str

    @property
    def is_good(self) -> bool:
        return not self.different and not self.missing

    def __str__(self) -> str:
        return (
            f"{self.same} same, {len(self.expected)} different as expected, {len(self.different)} different, "
            f"{len(self.missing)} missing"
        )


def judge(
    *,
    wanted: set[str],
    results: Path,
    compared: str,
    may_differ: Sequence[Mapping[str, str]],
    golden: Mapping[str, Any],
    text: str,
) -> Verdict:
    """Sort the `wanted` names by the files of results and the words of the comparison.

    `golden` holds recorded results by name where the comparison itself knows nothing of expected differences: then
    what differs is excused if nothing differs outside the places that may.
    """
    have = {path.stem for path in results.glob("*.json")} & wanted
    different = set(_DIFFERENT.findall(compared)) & have
    excused = {name for name in different if _is_excused(name, results, golden, may_differ)}
    named = {entry["scenario"] for entry in may_differ if "path" not in entry or entry["scenario"] in golden}
    expected = excused | (set(_SAME_AS_EXPECTED.findall(compared)) & have)
    return Verdict(
        same=len(have - different - expected),
        expected=tuple(sorted(expected)),
        different=tuple(sorted(different - excused)),
        missing=tuple(sorted(wanted - have)),
        unneeded=tuple(sorted(named & have - expected)),
        text=text,
    )


def _is_excused(name: str, results: Path, golden: Mapping[str, Any], may_differ: Sequence[Mapping[str, str]]) -> bool:
    entries = [entry for entry in may_differ if fnmatchcase(name, entry["scenario"])]
    if any("path" not in entry for entry in entries):
        return True
    if not entries or name not in golden:
        return False
    places = [*(entry["path"] for entry in entries), *_NEVER_COMPARED]
    found = json.loads((results / f"{name}.json").read_text(encoding="utf-8"))
    return bool(_without(golden[name], places) == _without(found, places))


def _without(value: Any, places: Sequence[str], here: str = "") -> Any:
    """A copy without the places that match, each written as its keys joined by dots."""
    if not isinstance(value, dict):
        return value
    kept = {key: f"{here}.{key}" if here else key for key in value}
    return {
        key: _without(value[key], places, place)
        for key, place in kept.items()
        if not any(fnmatchcase(place, pattern) for pattern in places)
    }


def expectations(path: Path = EXPECTED_DIFFERENCES) -> list[dict[str, str]]:
    """The entries of the project's file, in the form that the kit's compare.py reads; raises BadExpectations.

    `scenario` names a scenario or a program (patterns allowed), `path` a place in a scenario's result.
    """
    try:
        entries: list[dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
        for entry in entries:
            if not entry["scenario"] or not entry["reason"]:
                raise BadExpectations(f"{path}: each entry needs a scenario and a reason; this one does not: {entry}")
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise BadExpectations(f"{path} cannot be used: {type(error).__name__}: {error}") from error
    return entries
