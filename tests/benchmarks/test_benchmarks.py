"""The benchmarks run: small, for correctness only."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from benchmarks.__main__ import SUPPORT, main
from benchmarks.table import percentile

PROGRAMS = sorted(path.stem for path in Path("benchmarks").glob("*.py") if path.stem not in SUPPORT)


@pytest.mark.stack
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_benchmark_runs_small_and_prints_a_table(name, capsys):
    importlib.import_module(f"benchmarks.{name}").run(small=True)

    printed = capsys.readouterr().out
    assert "---" in printed
    assert len(printed.splitlines()) >= 4


def test_an_unknown_benchmark_is_named_with_those_there_are(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmarks", "nonsense"])

    with pytest.raises(SystemExit):
        main()
    assert "session_latency" in capsys.readouterr().err


def test_a_percentile_is_a_value_that_was_measured():
    assert percentile([5.0, 1.0, 3.0], 50) == 3.0
    assert percentile([5.0, 1.0, 3.0], 100) == 5.0
