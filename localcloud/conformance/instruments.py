"""The three instruments of ../shared/conformance: what each plays, against which app, and with what it is compared."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from localcloud.conformance.served_app import ServedApp, serve
from localcloud.conformance.verdicts import Verdict, expectations, judge

_SHARED_SETTING = "DEVBOXGPU_SHARED"
_REPOSITORY = Path(__file__).resolve().parents[2]
_PROGRAM_JOBS = 24  # most programs only wait; more at once would measure the machine


class InstrumentsMissing(FileNotFoundError):
    """The recorded answers are not on this machine; the text says where they were looked for."""


class Instrument(StrEnum):
    """What can be played."""

    NO_KEYS = "no-keys"
    KEYS = "keys"
    PROGRAMS = "programs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """The folder of the kit, as seen by one instrument."""

    place: Path
    instrument: Instrument

    @property
    def is_programs(self) -> bool:
        return self.instrument is Instrument.PROGRAMS

    @property
    def tools(self) -> Path:
        return self.place / "programs" if self.is_programs else self.place

    @property
    def app(self) -> Path:
        return self.tools / "app"

    @property
    def golden(self) -> Path:
        return self.tools / "golden" if self.is_programs else self.place / "golden" / self.instrument

    def recorded(self) -> set[str]:
        """The names of all that was recorded."""
        if self.is_programs:
            lines = (self.golden / "programs.jsonl").read_text(encoding="utf-8").splitlines()
            return {json.loads(line)["id"] for line in lines if line}
        return {path.stem for path in self.golden.glob("*.json") if not path.name.startswith("_")}

    def golden_programs(self, names: set[str]) -> dict[str, Any]:
        """The recorded results of some programs; none for scenarios, whose compare.py knows expected differences."""
        if not self.is_programs:
            return {}
        lines = (self.golden / "results.jsonl").read_text(encoding="utf-8").splitlines()
        results = (json.loads(line) for line in lines if line)
        return {result["program"]: result for result in results if result["program"] in names}


def find_kit() -> Path:
    """The folder `conformance` of the shared material; raises InstrumentsMissing."""
    named = os.environ.get(_SHARED_SETTING)
    place = (Path(named) if named else _REPOSITORY.parent / "shared").resolve() / "conformance"
    if not (place / "run.py").is_file():
        raise InstrumentsMissing(
            f"{place} does not hold the conformance kit (run.py, golden, programs); "
            f"put the folder `shared` beside the checkout, or name it in {_SHARED_SETTING}"
        )
    return place


def examine(kit: Kit, *, work: Path, only: Sequence[str] = ()) -> Verdict:
    """Serve the instrument's app, play all of it (or those that `only` names), and compare.

    `work` is an empty folder for the app's copy, the host's state and log, and the results. Raises HostFailed,
    BadExpectations, and ValueError where `only` names nothing.
    """
    wanted = {name for name in kit.recorded() if not only or any(fnmatchcase(name, pattern) for pattern in only)}
    if not wanted:
        raise ValueError(f"nothing that was recorded for {kit.instrument} is called {', '.join(only)}")
    may_differ = [entry for entry in expectations() if any(fnmatchcase(name, entry["scenario"]) for name in wanted)]
    results = work / "results"
    with serve(kit.app, work=work, with_keys=kit.instrument is Instrument.KEYS) as app:
        played = _run(kit, "run.py", *_play_arguments(kit, app, results, only))
    arguments = [str(kit.golden), str(results)]
    if kit.is_programs:
        arguments.append("--only-played")
    else:
        expected = work / "expected.json"
        expected.write_text(json.dumps(may_differ), encoding="utf-8")
        arguments += ["--expected", str(expected)]
    compared = _run(kit, "compare.py", *arguments)
    return judge(
        wanted=wanted,
        results=results,
        compared=compared,
        may_differ=may_differ,
        golden=kit.golden_programs({entry["scenario"] for entry in may_differ}),
        text=f"{played}\n{compared}",
    )


def _play_arguments(kit: Kit, app: ServedApp, results: Path, only: Sequence[str]) -> list[str]:
    arguments = [app.base_url, "--out", str(results)]
    for name in only:
        arguments += ["--only", name]
    if kit.is_programs:
        arguments += ["--programs", str(kit.golden), "--jobs", str(_PROGRAM_JOBS)]
    if app.keys_file is not None:
        arguments += ["--keys", str(app.keys_file)]
    return arguments


def _run(kit: Kit, tool: str, *arguments: str) -> str:
    """What a program of the kit prints. Its exit code says no more than that, and is judged by name instead."""
    command = [sys.executable, "-B", str(kit.tools / tool), *arguments]
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return ended.stdout
