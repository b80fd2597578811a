"""Estimated and actual cost beside each other, as people see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import click

from devboxgpu.api import ControlPlane
from devboxgpu.data_output import Column, show, tell
from devboxgpu.wire import Json, Money, count_of, items_of, mapping_of, text_of
from devboxgpu.wording import money

NOTES = {"actual": "not billed yet", "estimated": "billed, and not in our books"}


def show_reconciliation(api: ControlPlane, asked: Mapping[str, str], *, output: str, query: str | None) -> None:
    """Asks and shows."""
    told = api.reconcile_usage(asked)
    if output == "json" or query is not None:
        show(told, output, query)
        return
    lines = [{**line, "currency": told.get("currency")} for line in items_of(told, "value")]
    show(lines, output, None, columns=RECONCILIATION_COLUMNS, empty="nothing was used or billed in this time")
    if output == "table" and lines:
        click.echo()
        tell(_total(told))


def _money(name: str) -> Callable[[Json], str]:
    def text(line: Json) -> str:
        found = Money.read(line, name)
        return money(found) if found is not None else ""

    return text


def _actual(line: Json) -> str:
    return _money("actual")({**line, "currency": line.get("actualCurrency") or line.get("currency")})


def _note(line: Json) -> str:
    if (missing := text_of(line, "missing")) is not None:
        return NOTES.get(missing, missing)
    if line.get("actualCurrency"):
        return "billed in another currency"
    return "" if line.get("estimated") else "no price was known"


def _total(told: Json) -> str:
    totals = {**(mapping_of(told, "totals") or {}), "currency": told.get("currency")}
    missing = f"{count_of(totals, 'missingActual') or 0} not billed yet"
    unbooked = f"{count_of(totals, 'missingEstimated') or 0} not in our books"
    return f"{_compared(totals)} · {missing} · {unbooked}"


def _compared(totals: Json) -> str:
    """The sums of what is on both sides. Where nothing is, they would be zeros that say nothing of the bill."""
    compared = count_of(totals, "compared") or 0
    if not compared:
        return "nothing can be compared yet"
    sums = f"estimated {_money('estimated')(totals)} · actual {_money('actual')(totals)}"
    return f"{compared} compared: {sums} · difference {_money('difference')(totals)}"


RECONCILIATION_COLUMNS = (
    Column("SESSION", lambda line: line.get("session")),
    Column("ESTIMATED", _money("estimated")),
    Column("ACTUAL", _actual),
    Column("DIFFERENCE", _money("difference")),
    Column("NOTE", _note),
)
