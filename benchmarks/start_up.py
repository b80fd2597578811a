"""How long the command takes before it says its first word: `python -m benchmarks start_up [--small]`.

Each program is run in turn with the others, so that what else the machine does falls on all alike. The bare interpreter
and `import click` stand beside it: less than the first cannot be had, less than the second not with click.
Milliseconds of the clock on the wall and of the processor, median.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

from benchmarks.table import percentile, show

PROGRAMS = {
    "python -c pass": ["-c", "pass"],
    "python -c 'import click'": ["-c", "import click"],
    "devboxgpu --version": ["-m", "devboxgpu", "--version"],
    "devboxgpu --help": ["-m", "devboxgpu", "--help"],
    "devboxgpu shell --help": ["-m", "devboxgpu", "shell", "--help"],
    "devboxgpu config path": ["-m", "devboxgpu", "config", "path"],
}
HEAVIEST = 8


def run(*, small: bool) -> None:
    rounds = 2 if small else 20
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in PROGRAMS}
    for _ in range(rounds):
        for name, words in PROGRAMS.items():
            took[name].append(_run_once(words))
    rows = [
        [name, *(f"{percentile([pair[which] for pair in pairs], 50):.0f}" for which in (0, 1))]
        for name, pairs in took.items()
    ]
    show(f"Start-up, median of {rounds}", ["program", "ms", "ms of processor"], rows)
    show("Slowest imports of devboxgpu --help, with what they import", ["module", "ms"], _imports())


def _run_once(words: list[str]) -> tuple[float, float]:
    """Milliseconds on the wall and of the processor."""
    before, began = os.times(), time.perf_counter()
    subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    took_s, after = time.perf_counter() - began, os.times()
    spent_s = after.children_user + after.children_system - before.children_user - before.children_system
    return took_s * 1000, spent_s * 1000


def _imports() -> list[list[object]]:
    words = [sys.executable, "-X", "importtime", "-m", "devboxgpu", "--help"]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stderr
    lines = [line.removeprefix("import time:").split("|") for line in told.splitlines() if line.count("|") == 2]
    timed = [(int(parts[1]), parts[2].strip()) for parts in lines if parts[1].strip().isdecimal()]
    return [[name, f"{micros / 1000:.1f}"] for micros, name in sorted(timed, reverse=True)[:HEAVIEST]]
