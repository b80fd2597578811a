"""Every comparison by which a session is admitted matters: turned, loosened or left out, it is found at once.

The function that compares with the caps is rewritten, one condition at a time, and put in its own place.
"""

from __future__ import annotations

import ast
import copy
import inspect
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from shared.domain import admission
from shared.domain.admission import Book
from shared.domain.errors import ErrorCode, Problem
from shared.domain.fairness import Shares
from shared.domain.ledger import Ledger
from shared.domain.line import Line, Waiter
from shared.domain.names import SessionId, UserId
from shared.domain.pricing import GpuType, Rate
from shared.domain.settings import (
    BudgetSettings,
    GpuSettings,
    GpuTypeSetting,
    Mode,
    ServerlessGpuSessionsSettings,
)

TURNED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.IsNot: (ast.Is,),
    ast.Is: (ast.IsNot,),
}
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
ALICE = UserId("alice")
T4, A100 = GpuType.T4, GpuType.A100


def variants(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what a condition might have been by mistake."""
    match node:
        case ast.Compare(ops=[op]):
            for other in TURNED[type(op)]:
                yield ast.Compare(node.left, [other()], node.comparators)
        case ast.BoolOp(op=ast.Or()):
            yield ast.BoolOp(ast.And(), node.values)
            yield from node.values
        case ast.BoolOp(op=ast.And()):
            yield ast.BoolOp(ast.Or(), node.values)
            for left_out in range(len(node.values)):
                kept = [value for number, value in enumerate(node.values) if number != left_out]
                yield ast.BoolOp(ast.And(), kept) if len(kept) > 1 else kept[0]
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand
        case ast.If():
            yield ast.If(ast.Constant(False), node.body, node.orelse)


class Exchange(ast.NodeTransformer):
    def __init__(self, before: ast.AST, after: ast.AST) -> None:
        self._before, self._after = before, after

    def visit(self, node: ast.AST) -> ast.AST:
        return self._after if node is self._before else super().visit(node)


PRICED = {T4: Rate(amount_per_second=Decimal("0.001"), currency="USD")}
"""A slice of 15 minutes costs 0.90."""

COMPARING = ("admissible_type", "_type_with_room", "_is_covered")
"""The functions that compare with caps, quota and budget."""


def mutants() -> dict[str, tuple[str, ast.Module]]:
    """Return every rewritten function with its name, by what was written and what stands there now."""
    found: dict[str, tuple[str, ast.Module]] = {}
    for name in COMPARING:
        tree = ast.parse(inspect.getsource(getattr(admission, name)))
        for place, node in enumerate(ast.walk(tree)):
            for number, variant in enumerate(variants(node)):
                again = copy.deepcopy(tree)
                target = list(ast.walk(again))[place]
                changed = Exchange(target, list(variants(target))[number]).visit(again)
                before, after = (ast.unparse(one).split("\n")[0] for one in (node, variant))
                found[f"{name}: {before} => {after}"] = (name, ast.fix_missing_locations(changed))
    return found


MUTANTS = mutants()


def book(
    *, cap=2, own=2, t4=2, a100=1, mode=Mode.AUTO_DEPLOY, budget=None, spent="0", held=(), quota=None, rates=None
) -> Book:
    """Return a book in which these (user, type) hold a GPU."""
    types = [GpuTypeSetting(type=T4, max_concurrent=t4)]
    if a100 is not None:
        types.append(GpuTypeSetting(type=A100, max_concurrent=a100, fallback=True))
    limit = BudgetSettings(monthly_amount=Decimal(budget), hard_stop=True) if budget else None
    settings = GpuSettings(
        serverless_gpu_sessions_settings=ServerlessGpuSessionsSettings(
            serverless_gpu_sessions_mode=mode, max_concurrent_sessions_per_project=cap
        ),
        max_concurrent_sessions_per_user=own,
        gpu_types=tuple(types),
        budget=limit,
    )
    ledger = Ledger(spent=Decimal(spent))
    for user, gpu_type in held:
        ledger = ledger.with_one(gpu_type, UserId(user))
    line = Line([], Shares(), settings.line)
    return Book(
        settings=settings,
        ledger=ledger,
        line=line,
        now=NOW,
        quota=quota or {},
        rates=PRICED if rates is None else rates,
    )


def scenario() -> Iterator[tuple[Book, tuple[GpuType, ...], object]]:
    """Yield books, what alice would take, and what she is to be told: below, at and above each limit."""
    yield book(), (T4,), T4
    yield book(mode=Mode.DISABLED), (T4,), ErrorCode.GPU_DISABLED
    for spent, told in (
        ("9.09", T4),
        ("9.10", T4),
        ("9.11", ErrorCode.BUDGET_EXHAUSTED),
        ("10", ErrorCode.BUDGET_EXHAUSTED),
    ):
        yield book(budget="10", spent=spent), (T4,), told
    yield book(budget="10", rates={}), (T4,), ErrorCode.BUDGET_EXHAUSTED
    yield book(rates={}), (T4,), T4
    mine = (("alice", T4), ("alice", T4))
    for own, told in ((3, T4), (2, ErrorCode.USER_LIMIT_REACHED), (1, ErrorCode.USER_LIMIT_REACHED)):
        yield book(cap=4, t4=4, own=own, held=mine), (T4,), told
    others = (("bob", T4), ("carol", T4))
    for cap, told in ((3, T4), (2, ErrorCode.PROJECT_CAP_REACHED), (1, ErrorCode.PROJECT_CAP_REACHED)):
        yield book(cap=cap, t4=9, held=others), (T4,), told
        yield book(cap=9, t4=cap, held=others), (T4,), told
    yield book(cap=9, t4=2, held=others), (T4, A100), A100
    yield book(cap=9, t4=2, held=(*others, ("dave", A100))), (T4, A100), ErrorCode.PROJECT_CAP_REACHED
    yield book(a100=None), (A100,), ErrorCode.PROJECT_CAP_REACHED
    yield book(quota={T4: 1}), (T4,), T4
    yield book(quota={T4: 0}), (T4,), ErrorCode.ENVIRONMENT_QUOTA_REACHED


def first_fault() -> str | None:
    """Return what the scenario says against the function as it stands, None where it holds."""
    for present, types, told in scenario():
        later = NOW + timedelta(hours=1)
        waiter = Waiter(session=SessionId("s"), user=ALICE, gpu_types=types, since=NOW, until=later)
        try:
            answer = admission.admissible_type(present, waiter)
        except Exception as error:  # whatever a mutant raises is a fault that was found
            return f"{type(error).__name__}: {error}"
        if (answer.code if isinstance(answer, Problem) else answer) != told:
            return f"{answer} and not {told}"
    return None


def loaded(name: str, module: ast.Module) -> Callable[..., object]:
    names = dict(vars(admission))
    exec(compile(module, "mutant", "exec"), names)  # our own function, rewritten
    return names[name]


def test_the_scenario_holds_for_the_function_as_it_is():
    assert first_fault() is None
    assert len(MUTANTS) >= 25


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_condition_of_admission_that_was_turned_is_found(monkeypatch, mutant):
    name, module = MUTANTS[mutant]
    monkeypatch.setattr(admission, name, loaded(name, module))

    assert first_fault() is not None, "the mutant lives"
