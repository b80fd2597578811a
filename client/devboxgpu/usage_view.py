"""Usage as people see it: bars, a table, and the sums of it all."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal

import click

from devboxgpu.api import ControlPlane
from devboxgpu.chart import Bar, drawn
from devboxgpu.data_output import Column, show, tell
from devboxgpu.wire import Json, Money, count_of, items_of, mapping_of, number_of, text_of
from devboxgpu.wording import duration, money

NOTHING_USED = "nothing was used in this time"
MOST_EMPTY_DAYS = 62

_GROUP_COLUMNS: dict[str, tuple[str, Callable[[Json], object]]] = {
    "user": ("USER", lambda line: line.get("userName") or line.get("user")),
    "gpuType": ("GPU", lambda line: line.get("gpuType")),
    "region": ("REGION", lambda line: line.get("region") or "none"),
    "session": ("SESSION", lambda line: line.get("session")),
}


def show_usage(
    api: ControlPlane, asked: Mapping[str, str], *, output: str, query: str | None, chart: bool | None
) -> None:
    """Asks and shows. `chart`: None is whether a person looks on."""
    if output == "csv":
        if query is not None or chart:
            raise click.UsageError("-o csv gives the control plane's own CSV: leave --query and --chart out")
        click.echo(api.get_usage_csv(asked), nl=False)
        return
    told = api.get_usage(asked)
    if output == "json" or query is not None:
        show(told, output, query)
        return
    lines = [{**line, "currency": told.get("currency")} for line in items_of(told, "value")]
    for_people = output == "table" and bool(lines)
    if for_people and (sys.stdout.isatty() if chart is None else chart):
        click.echo("\n".join(_bars(told, lines)) + "\n")
    show(lines, output, None, columns=_columns(told), empty=NOTHING_USED)
    if for_people:
        click.echo()
        tell(_total(told))


def _columns(told: Json) -> list[Column]:
    return [
        Column("WHOLE TIME" if told.get("interval") == "total" else "START", _when(told)),
        *(Column(*_group_column(name)) for name in _group_by(told)),
        Column("GPU TIME", lambda line: duration(number_of(line, "seconds") or 0)),
        Column("SESSIONS", lambda line: line.get("sessions")),
        Column("EST. COST", _cost),
    ]


def _group_by(told: Json) -> list[str]:
    names = told.get("groupBy")
    return [str(name) for name in names] if isinstance(names, list) else []


def _group_column(name: str) -> tuple[str, Callable[[Json], object]]:
    if name.startswith("label:"):
        return name.removeprefix("label:").upper(), lambda line: line.get("label") or "none"
    return _GROUP_COLUMNS.get(name, (name.upper(), lambda line: line.get(name)))


def _when(told: Json) -> Callable[[Json], object]:
    match told.get("interval"):
        case "total":
            return lambda _: f"{told.get('from')} to {told.get('to')}"
        case "month":
            return lambda line: (text_of(line, "start") or "")[: len("2026-11")]
        case _:
            return lambda line: line.get("start")


def _cost(line: Json) -> str:
    """`1.23 USD so far, 40 s unpriced`: what is known, and what is not."""
    cost, unpriced_s = Money.read(line, "cost"), number_of(line, "unpricedSeconds") or 0
    known = money(cost) if cost is not None else ""
    if known and line.get("estimated"):
        known += " so far"
    unpriced = f"{duration(unpriced_s)} unpriced" if unpriced_s else ""
    bundled = "at bundled prices" if line.get("bundled") else ""
    return ", ".join(filter(None, (known, bundled, unpriced)))


def _total(told: Json) -> str:
    totals = {**(mapping_of(told, "totals") or {}), "currency": told.get("currency")}
    sessions = count_of(totals, "sessions") or 0
    return " · ".join(
        (
            f"{told.get('from')} to {told.get('to')}",
            f"{sessions} session{'s' if sessions != 1 else ''}",
            f"{duration(number_of(totals, 'seconds') or 0)} of GPU time",
            f"est. {_cost(totals)}",
        )
    )


def _bars(told: Json, lines: Sequence[Json]) -> list[str]:
    """A bar for each line, by cost where all of it is known, else by time. Days without use have an empty one."""
    by_cost = not any(line.get("unpricedSeconds") for line in lines)
    names = [_when(told), *(_group_column(name)[1] for name in _group_by(told))]
    bars = [_bar("  ".join(str(name(line)) for name in names), line, by_cost=by_cost) for line in lines]
    if told.get("interval") == "day" and len(names) == 1:
        used = {bar.label for bar in bars}
        bars += [Bar(label=day, amount=Decimal(0), text="") for day in _days(told) if day not in used]
        bars.sort(key=lambda bar: bar.label)
    return drawn(bars)


def _bar(label: str, line: Json, *, by_cost: bool) -> Bar:
    cost, used_s = Money.read(line, "cost"), number_of(line, "seconds") or 0
    if by_cost and cost is not None:
        return Bar(label=label, amount=cost.amount, text=money(cost))
    return Bar(label=label, amount=Decimal(str(used_s)), text=duration(used_s))


def _days(told: Json) -> list[str]:
    """The days that were asked for, where they are not too many to show empty ones."""
    try:
        first, last = (date.fromisoformat(text_of(told, end) or "") for end in ("from", "to"))
    except ValueError:
        return []
    count = (last - first).days + 1
    return [(first + timedelta(days=number)).isoformat() for number in range(count)] if count <= MOST_EMPTY_DAYS else []
