"""Usage of a project, summed up: for an administrator everybody's, for a member the member's own."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

from api.asked import days_asked, text_asked, user_asked, wrong
from api.call import Call, Reply
from api.usage_csv import csv_of
from api.usage_wire import UsageLine, UsageTotals, UsageView
from shared.domain.pricing import CURRENCY, GpuType
from shared.domain.usage_report import Amounts, Dimension, Filter, Interval, Line, Question, Report, report
from shared.ports.usage_days import usage_up_to_now

Choice = TypeVar("Choice", bound=StrEnum)
LABEL = f"{Dimension.LABEL}:"
CSV = "text/csv"


def get_usage(call: Call) -> Reply:
    """Sum up what was used up to now. A member's question is asked of the member's own rows, whatever it says."""
    question, as_csv = _question(call), _wants_csv(call)
    rows = usage_up_to_now(call.world.sessions, call.project, question.first, question.last, call.world.now())
    if not call.administers:
        rows = [row for row in rows if row.user == call.caller.user]
    view = _view(question, report(rows, question))
    if not as_csv:
        return Reply(status=200, body=view)
    name = f"usage-{call.project}-{question.first}-{question.last}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Reply(status=200, body=csv_of(view), media_type=CSV, headers=headers)


def _question(call: Call) -> Question:
    """Return what the query asks; raise Refused that names what is wrong with it."""
    first, last = days_asked(call)
    by, label = _group_by(call.query.get("groupBy", ""))
    only = Filter(
        user=user_asked(call),
        gpu_type=_one_of(call, "gpuType", GpuType),
        region=region.lower() if (region := text_asked(call, "region")) else None,
        label=_label(text_asked(call, "label")),
    )
    interval = _one_of(call, "interval", Interval) or Interval.DAY
    return Question(first=first, last=last, interval=interval, by=by, label=label, only=only)


def _one_of(call: Call, name: str, kind: type[Choice]) -> Choice | None:
    """Return the value that a parameter names without regard to case, None where it is not given."""
    text = call.query.get(name)
    if text is None:
        return None
    for choice in kind:
        if choice.lower() == text.lower():
            return choice
    raise wrong(name, f"one of {', '.join(kind)}")


def _group_by(text: str) -> tuple[tuple[Dimension, ...], str | None]:
    """Return the dimensions in the order in which they are asked for, and the name of the label among them."""
    by: list[Dimension] = []
    label = None
    for word in filter(None, (part.strip() for part in text.split(","))):
        name = Dimension.LABEL if word.startswith(LABEL) else word
        if name not in list(Dimension) or word in (Dimension.LABEL, LABEL) or name in by:
            raise wrong("groupBy", "a list, each at most once, of user, gpuType, region, session and label:NAME")
        by.append(Dimension(name))
        label = word.removeprefix(LABEL) if name is Dimension.LABEL else label
    return tuple(by), label


def _label(text: str | None) -> tuple[str, str | None] | None:
    """Return name and value of `NAME=VALUE`; of a bare NAME any value will do."""
    if text is None:
        return None
    name, separator, value = text.partition("=")
    if not name:
        raise wrong("label", "NAME=VALUE, or NAME for any value")
    return name, value if separator else None


def _wants_csv(call: Call) -> bool:
    """Tell whether the answer is to be CSV: by `format`, or else by the media type that is asked for first."""
    if (wanted := call.query.get("format")) is not None:
        if wanted not in ("json", "csv"):
            raise wrong("format", "json or csv")
        return wanted == "csv"
    return call.headers.get("accept", "").split(",")[0].partition(";")[0].strip().lower() == CSV


def _view(question: Question, told: Report) -> UsageView:
    return UsageView(
        first=question.first,
        last=question.last,
        interval=question.interval,
        group_by=[f"{LABEL}{question.label}" if name is Dimension.LABEL else name for name in question.by],
        currency=CURRENCY,
        value=[_line(line) for line in told.lines],
        totals=UsageTotals(
            seconds=told.totals.seconds,
            estimated=told.totals.estimated,
            sessions=told.totals.sessions,
            unpriced_seconds=told.totals.unpriced_seconds,
            cost=_amount(told.totals),
            bundled=told.totals.bundled,
        ),
    )


def _line(line: Line) -> UsageLine:
    gpu_type = line.group.get(Dimension.GPU_TYPE)
    return UsageLine(
        start=line.start,
        user=line.group.get(Dimension.USER),
        user_name=line.user_name,
        gpu_type=GpuType(gpu_type) if gpu_type else None,
        region=line.group.get(Dimension.REGION),
        label=line.group.get(Dimension.LABEL),
        session=line.group.get(Dimension.SESSION),
        seconds=line.amounts.seconds,
        estimated=line.amounts.estimated,
        sessions=line.amounts.sessions,
        cost=_amount(line.amounts),
        unpriced_seconds=line.amounts.unpriced_seconds,
        bundled=line.amounts.bundled,
    )


def _amount(amounts: Amounts) -> str | None:
    return f"{amounts.cost:.6f}" if amounts.cost is not None else None
