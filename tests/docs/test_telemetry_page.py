"""The page on telemetry names the measures that there are, and log lines have the form that it promises."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from shared.domain.measures import MEANINGS
from shared.ports.telemetry import Exporter
from tests.docs.test_docs import page, table_rows

FORM = re.compile(r"[a-z]+(?:\.[a-z_]+)+(?: [a-z]+=%(?:s|d|\.0f))*")
PERSONAL = {"name", "user", "label", "labels", "token", "email", "url", "body"}
LOGGING = {f"log.{level}" for level in ("debug", "info", "warning", "error", "exception", "critical")}
DEPLOYED = ("api", "activities", "orchestrators", "shared")


def log_calls() -> list[tuple[str, ast.Call]]:
    sources = [found for folder in DEPLOYED for found in sorted(Path(folder).rglob("*.py"))]
    return [
        (f"{path}:{node.lineno}", node)
        for path in sources
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in LOGGING
    ]


def test_the_measures_of_the_page_are_those_of_the_code():
    written = {row[0].strip("`"): row[1:4] for row in table_rows(page("telemetry.md")) if len(row) == 5}

    written.pop("measure")
    assert {name: cells for name, cells in written.items() if not name.startswith("---")} == {
        metric: [meaning.kind, meaning.unit, meaning.text] for metric, meaning in MEANINGS.items()
    }


def test_the_exporters_of_the_page_are_those_of_the_code():
    written = [row[0].strip("`") for row in table_rows(page("telemetry.md")) if len(row) == 2]

    assert written[2:] == list(Exporter)


@pytest.mark.parametrize(("place", "call"), log_calls(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_log_line_is_an_event_with_fields_none_of_which_is_a_persons(place, call):
    text = call.args[0]

    assert isinstance(text, ast.Constant), f"{place}: the text of a log line is not put together at run time"
    assert FORM.fullmatch(text.value), f"{place}: '{text.value}' is not 'event.name field=%s ...'"
    assert not PERSONAL & set(re.findall(r"(\w+)=", text.value)), f"{place}: '{text.value}' tells of a person"
