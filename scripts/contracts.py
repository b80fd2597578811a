"""Checks that no linter knows: the contracts' spelling, and what an orchestrator must never do.

`python -m scripts.contracts` compares the names that others build against with scripts/contracts.json, and reads the
orchestrators for the traps of reference/functions-host.md 7.2. `--write` takes the present names as the contract; do
that only when a contract is meant to grow: names are stored in histories and tables, and never change or go.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FROZEN = ROOT / "scripts" / "contracts.json"
FORBIDDEN_CALLS = {
    "call_activity_with_retry": "P6: repeat by an explicit loop, never by SDK retries",
    "call_sub_orchestrator_with_retry": "P6: repeat by an explicit loop, never by SDK retries",
    "continue_as_new": "P8, P23: hand over to a driver with an instance id of its own",
    "call_http": "P15: do HTTP in activities",
    "call_entity": "entities are not used (functions-host.md 3)",
    "signal_entity": "entities are not used (functions-host.md 3)",
    "set": "the order of a set differs from replay to replay",
    "hash": "hash() differs from process to process",
    "id": "id() differs from process to process",
    "open": "an orchestrator does no I/O",
    "print": "an orchestrator does no I/O, and is replayed",
    "input": "an orchestrator does no I/O",
}


def main() -> int:
    present = names()
    if "--write" in sys.argv:
        FROZEN.write_text(json.dumps(present, indent=2) + "\n")
        return 0
    faults = [*spelling_faults(present), *orchestrator_faults()]
    for fault in faults:
        print(f"contracts: {fault}", file=sys.stderr)
    return 1 if faults else 0


def names() -> dict[str, list[str]]:
    """Return the names that others build against, as the code spells them."""
    from api.operations import API_VERSION, OPERATIONS
    from shared.domain.errors import ErrorCode
    from shared.domain.events import EventType
    from shared.domain.settings import GpuSettings
    from shared.domain.states import EndReason, Phase, SessionState
    from shared.domain.steps import DRIVE_SESSION, RUN_SWEEP, Step, SweepStep
    from shared.ports.tables import TABLES

    return {
        "api version": [API_VERSION],
        "operations": [f"{op.name} {op.method} /{op.route}" for op in OPERATIONS],
        "states": list(SessionState),
        "phases": list(Phase),
        "end reasons": list(EndReason),
        "error codes": list(ErrorCode),
        "events": list(EventType),
        "steps": [DRIVE_SESSION, *Step, RUN_SWEEP, *SweepStep],
        "tables": list(TABLES),
        "settings": list(GpuSettings.__struct_encode_fields__),
    }


def spelling_faults(present: dict[str, list[str]]) -> Iterator[str]:
    frozen: dict[str, list[str]] = json.loads(FROZEN.read_text())
    for kind, agreed in frozen.items():
        for name in agreed:
            if name not in present.get(kind, []):
                yield f"{kind}: '{name}' is part of the contract and is gone or spelt otherwise"
        for name in present.get(kind, []):
            if name not in agreed:
                yield f"{kind}: '{name}' is new; if it is meant, run: python -m scripts.contracts --write"


def orchestrator_faults() -> Iterator[str]:
    for path in sorted((ROOT / "orchestrators").glob("*.py")):
        yield from faults_in(path.read_text(), str(path.relative_to(ROOT)))


def faults_in(source: str, place: str) -> Iterator[str]:
    """Yield what this orchestrator source does that replay forbids."""
    for node in ast.walk(ast.parse(source)):
        where = f"{place}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Try) and any(contains_yield(part) for part in node.finalbody):
            yield f"{where}: a yield in finally runs out of turn at the end of every episode"
        if isinstance(node, ast.Set | ast.SetComp):
            yield f"{where}: {FORBIDDEN_CALLS['set']}"
        if isinstance(node, ast.AsyncFunctionDef | ast.Await):
            yield f"{where}: an orchestrator waits by yield, never by await"
        if isinstance(node, ast.Call):
            yield from faults_of_call(node, where)


def faults_of_call(node: ast.Call, where: str) -> Iterator[str]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in FORBIDDEN_CALLS:
        yield f"{where}: {name}: {FORBIDDEN_CALLS[name]}"
    if name == "wait_for_external_event" and node.args and isinstance(node.args[0], ast.Constant):
        yield f"{where}: P1, P2: every wait has a name of its own, never a constant one"


def contains_yield(node: ast.AST) -> bool:
    return any(isinstance(inner, ast.Yield | ast.YieldFrom) for inner in ast.walk(node))


if __name__ == "__main__":
    sys.exit(main())
