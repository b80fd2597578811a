"""Many shells on one machine: each a command at a terminal of its own, with its own session."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psutil

from benchmarks.table import percentile, show

if TYPE_CHECKING:
    from benchmarks.shell_probe import CommandLine

KEYS_EACH = 10


def many_shells(line: CommandLine, shells: int) -> None:
    """Open so many, type at each while all are open, and leave them."""
    from benchmarks.shell_probe import Typist

    begun = time.perf_counter()
    typists = [Typist(line, "run", "--", "cat") for _ in range(shells)]
    try:
        for typist in typists:
            typist.attached()
        opened_s = time.perf_counter() - begun
        echo_ms = [typist.echo(b"%c" % (97 + key)) * 1000 for key in range(KEYS_EACH) for typist in typists]
        weights = [psutil.Process(typist.process.pid).memory_info().rss / 2**20 for typist in typists]
    finally:
        for typist in typists:
            typist.__exit__(None, None, None)
    codes = {typist.process.returncode for typist in typists}
    rows: list[list[object]] = [
        [shells, f"{opened_s:.1f}", f"{percentile(echo_ms, 50):.1f}", f"{percentile(echo_ms, 99):.1f}",
         f"{percentile(weights, 50):.0f}", ", ".join(map(str, sorted(codes)))],
    ]  # fmt: skip
    heads = ["shells", "all attached s", "echo p50 ms", "echo p99 ms", "client MB", "exit codes"]
    show("Shells of one machine, opened at once", heads, rows)
