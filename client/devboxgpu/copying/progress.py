"""How far a copy is: a bar on a terminal, a line now and then elsewhere; and what is said at the end."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

from devboxgpu.copying.entries import Trouble
from devboxgpu.copying.report import Report, count, megabytes
from devboxgpu.notices import Notices

LOOK_EVERY_S = 0.2
LINE_EVERY_S = 10.0
MOST_TOLD = 20


@asynccontextmanager
async def shown(report: Report, notices: Notices, *, quiet: bool = False) -> AsyncIterator[None]:
    """Shows the report while it grows."""
    if quiet:
        yield
        return
    may_paint = sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    showing = asyncio.ensure_future(_bar(report) if may_paint else _lines(report, notices.say))
    try:
        yield
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)


async def _lines(report: Report, say: Callable[[str], None]) -> None:
    while True:
        await asyncio.sleep(LINE_EVERY_S)
        say(f"{_share(report)}: {megabytes(report.done_bytes)} of {megabytes(report.planned_bytes)}")


async def _bar(report: Report) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True, highlight=False),
        transient=True,
    )
    with bar:
        task = bar.add_task("copying", total=None)
        while True:
            total = report.planned_bytes or None
            bar.update(task, completed=report.done_bytes, total=total, description=_share(report))
            await asyncio.sleep(LOOK_EVERY_S)


def _share(report: Report) -> str:
    return f"{report.files} of {count(report.planned_files, 'file')}"


@asynccontextmanager
async def shown_by(report: Report, show: Callable[[str], None]) -> AsyncIterator[None]:
    """Tells `show` again and again how far the report has grown."""

    async def tell() -> None:
        while True:
            show(f"{_share(report)}, {megabytes(report.done_bytes)} of {megabytes(report.planned_bytes)}")
            await asyncio.sleep(LOOK_EVERY_S)

    telling = asyncio.ensure_future(tell())
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


def troubles_of(report: Report) -> Iterator[str]:
    """What was not copied, and why; the first of many, and how many more there are."""
    for kind, troubles in (("left out", report.left_out), ("failed", report.failed)):
        for trouble in troubles[:MOST_TOLD]:
            yield f"{kind}: {_told(trouble)}"
        if len(troubles) > MOST_TOLD:
            yield f"{kind}: {len(troubles) - MOST_TOLD} more"
    for name in report.changed[:MOST_TOLD]:
        yield f"{name}: was written to while it was copied; the copy is as it was when it began"


def _told(trouble: Trouble) -> str:
    return trouble.why if trouble.name in trouble.why else f"{trouble.name}: {trouble.why}"
