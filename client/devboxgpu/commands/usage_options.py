"""The options by which usage is asked for: which days, summed up how, told apart by what."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import TypeVar

import click

Decorated = TypeVar("Decorated", bound=Callable[..., object])


class Day(click.ParamType[date]):
    """A UTC day, as 2026-11-21."""

    name = "day"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        try:
            return datetime.strptime(str(value), "%Y-%m-%d").date()  # noqa: DTZ007 - a day alone
        except ValueError:
            self.fail(f"'{value}' is no day: write it as 2026-11-21", param, ctx)


class Month(click.ParamType[date]):
    """A month, as 2026-11: its first day."""

    name = "month"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        try:
            return datetime.strptime(str(value), "%Y-%m").date()  # noqa: DTZ007 - a day alone
        except ValueError:
            self.fail(f"'{value}' is no month: write it as 2026-11", param, ctx)


def usage_options(function: Decorated) -> Decorated:
    """--from, --to, --month, --by, --group-by."""
    for option in (
        click.option(
            "--group-by",
            metavar="LIST",
            help="Tell apart by, separated by commas: user, gpuType, region, session, label:NAME.",
        ),
        click.option("--by", type=click.Choice(["day", "month", "total"]), help="Sum up by. Default: day."),
        click.option("--month", metavar="YYYY-MM", type=Month(), help="The days of this month."),
        click.option("--to", "last", metavar="DATE", type=Day(), help="Last day. Default: today."),
        click.option("--from", "first", metavar="DATE", type=Day(), help="First day. Default: that of the month."),
    ):
        function = option(function)
    return function


def filter_options(function: Decorated) -> Decorated:
    """--user, --gpu, --region, --label: whose and which usage counts."""
    for option in (
        click.option("--label", metavar="KEY=VALUE", help="Only of sessions with this label; KEY alone: any value."),
        click.option("--region", metavar="REGION", help="Only in this region."),
        click.option("--gpu", metavar="TYPE", help="Only of this GPU type."),
        click.option("--user", metavar="ID", help="Only of this user: an object id, or 'me'."),
    ):
        function = option(function)
    return function


chart_option = click.option(
    "--chart/--no-chart", default=None, help="With bars above the table. Default: at a terminal."
)


def usage_query(options: Mapping[str, object]) -> dict[str, str]:
    """The query of GetUsage that the options mean."""
    first, last, month = options["first"], options["last"], options["month"]
    if isinstance(month, date):
        if first is not None or last is not None:
            raise click.UsageError("--month stands for --from and --to: leave it or them out")
        first, last = month, month.replace(day=calendar.monthrange(month.year, month.month)[1])
    asked = {
        "from": first,
        "to": last,
        "interval": options["by"],
        "groupBy": options["group_by"],
        "user": options.get("user"),
        "gpuType": options.get("gpu"),
        "region": options.get("region"),
        "label": options.get("label"),
    }
    return {name: said(name, str(value)) for name, value in asked.items() if value is not None}


def said(name: str, text: str) -> str:
    """An empty filter would let everything through: nobody means that."""
    if not text.strip():
        raise click.UsageError(f"'{name}' is empty: say what to look for, or leave it out")
    return text
