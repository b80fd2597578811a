"""Data on standard output: a table for people, JSON or tab-separated values for programs; JMESPath picks a part."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import click

from devboxgpu.notices import Notices
from devboxgpu.wire import Json
from devboxgpu.wording import printable

BETWEEN_COLUMNS = "  "
SHORTEST_LINE = 16
"""Characters of a value on one line, however narrow the terminal is."""


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    value: Callable[[Json], object]


def show(
    data: object, output: str, query: str | None, *, columns: Sequence[Column] = (), empty: str = "nothing"
) -> None:
    """Writes the data. `columns` are for a list as the service gave it; a query's result brings its own."""
    if query is not None:
        data, columns = _pick(data, query), ()
    if output == "json":
        click.echo(_json(data))
        return
    titles, rows = _rows(data, columns)
    if output == "tsv":
        for row in rows:
            click.echo("\t".join(row))
    elif not rows:
        Notices().say(empty)
    else:
        bold = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        table = _table(titles, rows, bold=bold)
        fits = len(titles) < 2 or not is_wider_than_terminal(click.unstyle(table))
        click.echo(table if fits else blocks(titles, rows, width=_width(), bold=bold))


def tell(text: str) -> None:
    """A sentence or two on standard output, on lines that a terminal need not break."""
    narrow = is_wider_than_terminal(text)
    click.echo(textwrap.fill(text, _width(), break_long_words=False, break_on_hyphens=False) if narrow else text)


def is_wider_than_terminal(text: str) -> bool:
    """Whether a terminal would break these lines. A pipe breaks none."""
    return sys.stdout.isatty() and max(map(len, text.splitlines()), default=0) > _width()


def _width() -> int:
    return shutil.get_terminal_size().columns


def blocks(titles: Sequence[str], rows: Sequence[Sequence[str]], *, width: int, bold: bool) -> str:
    """Rows too wide for a line: a block for each, a line for each cell that says something."""
    space = max(map(len, titles)) + len(BETWEEN_COLUMNS)
    told = []
    for row in rows:
        cells = [(title, cell) for title, cell in zip(titles, row, strict=True) if cell]
        told.append(
            "\n".join(line for title, cell in cells for line in _block_lines(title, cell, space, width, bold=bold))
        )
    return "\n\n".join(told)


def _block_lines(title: str, cell: str, space: int, width: int, *, bold: bool) -> list[str]:
    """A cell beside its title, on as many lines as it takes; without a title, it heads the block."""
    if not title:
        return [click.style(cell, bold=True) if bold else cell]
    shown = click.style(f"{title:<{space}}", bold=True) if bold else f"{title:<{space}}"
    first, *others = textwrap.wrap(cell, max(SHORTEST_LINE, width - space), break_on_hyphens=False)
    return [shown + first, *(" " * space + other for other in others)]


def _json(data: object) -> str:
    """JSON as it may be shown in a terminal: whatever could steer it is escaped, which JSON reads back as it was."""
    text = json.dumps(data, indent=2, ensure_ascii=False)
    return "".join(sign if sign.isprintable() or sign == "\n" else _escaped(sign) for sign in text)


def _escaped(sign: str) -> str:
    return f"\\u{ord(sign):04x}" if ord(sign) < 0x10000 else json.dumps(sign)[1:-1]


def _pick(data: object, query: str) -> object:
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        return jmespath.search(query, data)
    except JMESPathError as error:
        raise click.BadParameter(f"'{query}' cannot be evaluated: {error}", param_hint="--query") from None


def _rows(data: object, columns: Sequence[Column]) -> tuple[list[str], list[list[str]]]:
    if isinstance(data, Mapping):
        return [], [[key, _cell(value)] for key, value in data.items() if value is not None]
    if not isinstance(data, list):
        return [], [[_cell(data)]] if data is not None else []
    records = [item for item in data if isinstance(item, Mapping)]
    if columns:
        return [column.title for column in columns], [
            [_cell(column.value(item)) for column in columns] for item in records
        ]
    if records and len(records) == len(data):
        keys = list(dict.fromkeys(key for item in records for key in item))
        return keys, [[_cell(item.get(key)) for key in keys] for item in records]
    return [], [[_cell(part) for part in (item if isinstance(item, list) else [item])] for item in data]


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return printable(value)
        case int() | float():
            return str(value)
        case _:
            return printable(json.dumps(value, ensure_ascii=False))


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, bold: bool) -> str:
    lines = [list(titles), *rows] if titles else list(rows)
    count = max(len(line) for line in lines)
    widths = [max((len(line[index]) for line in lines if index < len(line)), default=0) for index in range(count)]
    texts = [
        BETWEEN_COLUMNS.join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=False)).rstrip()
        for line in lines
    ]
    if titles and bold:
        texts[0] = click.style(texts[0], bold=True)
    return "\n".join(texts)
