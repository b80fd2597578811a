"""What the seals of an audit say of its entries, as people see it."""

from __future__ import annotations

import click

from devboxgpu.data_output import Column, show
from devboxgpu.wire import Json, count_of, items_of, mapping_of, text_of
from devboxgpu.wording import printable


def show_verification(told: Json, output: str, query: str | None) -> int:
    """Shows it; the exit code is 0 where nothing was tampered with."""
    intact = told.get("intact") is True
    if output == "json" or query is not None:
        show(told, output, query)
    else:
        show(
            items_of(told, "findings"),
            output,
            None,
            columns=FINDING_COLUMNS,
            empty="nothing was altered, removed or added",
        )
        if output == "table":
            click.echo(printable(_sum(told, intact=intact)))
            click.echo(printable(_head(told)))
    return 0 if intact else 1


def _sum(told: Json, *, intact: bool) -> str:
    counts = f"{count_of(told, 'sealed') or 0} entries sealed, {count_of(told, 'waiting') or 0} not sealed yet"
    shown, found = len(items_of(told, "findings")), count_of(told, "found") or 0
    more = f"; {shown} of {found} findings are shown" if shown < found else ""
    said = "Intact" if intact else "NOT intact"
    return f"{said} from {text_of(told, 'from')} to {text_of(told, 'to')}: {counts}{more}"


def _head(told: Json) -> str:
    head = mapping_of(told, "head")
    if head is None:
        return "There is no seal yet."
    return f"Newest seal, to be noted elsewhere and given to --expect: {head.get('number')}:{head.get('hash')}"


FINDING_COLUMNS = (
    Column("WHAT", lambda finding: finding.get("kind")),
    Column("DAY", lambda finding: finding.get("day")),
    Column("ENTRY", lambda finding: finding.get("entry") or f"seal {finding.get('seal')}"),
    Column("WHY", lambda finding: finding.get("detail")),
)
