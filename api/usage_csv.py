"""Usage as CSV (RFC 4180) that a spreadsheet may open: no cell of it begins a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

from api.usage_wire import UsageLine, UsageView
from shared.domain.plain_text import plain
from shared.domain.usage_report import Dimension

FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n")
_GROUP_COLUMNS: dict[str, tuple[tuple[str, Callable[[UsageLine], str | None]], ...]] = {
    Dimension.USER: (("user", lambda line: line.user), ("userName", lambda line: line.user_name)),
    Dimension.GPU_TYPE: (("gpuType", lambda line: line.gpu_type),),
    Dimension.REGION: (("region", lambda line: line.region),),
    Dimension.LABEL: (("label", lambda line: line.label),),
    Dimension.SESSION: (("session", lambda line: line.session),),
}


def csv_of(view: UsageView) -> str:
    """Return a header and a record for each line. What is unknown or unset is an empty cell."""
    groups = [column for name in view.group_by for column in _GROUP_COLUMNS[name.partition(":")[0]]]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    titles = [title for title, _ in groups]
    amounts = ["seconds", "unpricedSeconds", "cost", "currency", "estimated", "sessions", "bundled"]
    writer.writerow(["start", *titles, *amounts])
    for line in view.value:
        group = [safe(value(line) or "") for _, value in groups]
        cost = [line.cost or "", view.currency, str(line.estimated).lower()]
        used = [line.seconds, line.unpriced_seconds, *cost, line.sessions, str(line.bundled).lower()]
        writer.writerow([line.start, *group, *used])
    return text.getvalue()


def safe(text: str) -> str:
    """Return a cell that a spreadsheet takes for text and a terminal can show.

    An apostrophe goes before what would begin a formula; what is not printable goes.
    """
    marked = f"'{text}" if text.startswith(FORMULA_SIGNS) else text
    return plain(marked)
