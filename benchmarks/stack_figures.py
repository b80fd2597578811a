"""How long the local cloud takes to start, how soon a warm `make shell` is at a prompt, and what it weighs.

`python -m benchmarks stack_figures [--small]`. Memory is the resident set of each process, Azurite apart.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.table import percentile, show
from localcloud.stack import LocalCloud

ROOT = Path(__file__).resolve().parent.parent


def run(*, small: bool) -> None:
    times = 1 if small else 5
    starts: list[float] = []
    shells: list[float] = []
    weights: list[list[object]] = []
    for _ in range(times):
        with tempfile.TemporaryDirectory(prefix="devboxgpu-bench-") as folder:
            cloud = LocalCloud(Path(folder))
            starts.append(timed(cloud.up))
            try:
                first_shell(folder)
                shells += [timed(lambda: first_shell(folder)) for _ in range(times)]
                weights = memory_of(cloud)
            finally:
                cloud.down()
    rows = [
        ["stack start", *figures(starts)],
        ["make shell, warm: start to exit of `true`", *figures(shells)],
    ]
    show("Starting, seconds", ["what", "p50", "max"], rows)
    show("Memory after use, MB", ["process", "resident"], weights)


def timed(work: object) -> float:
    begun = time.perf_counter()
    work()  # type: ignore[operator]  # a callable without arguments
    return time.perf_counter() - begun


def first_shell(folder: str) -> None:
    """What `make shell` runs once the stack is up: a shell that is opened, used and closed."""
    command = [sys.executable, "-m", "localcloud", "shell", "--state", folder]
    subprocess.run(command, cwd=ROOT, input=b"true\n", check=True, capture_output=True, env=dict(os.environ))


def memory_of(cloud: LocalCloud) -> list[list[object]]:
    rows: list[list[object]] = []
    ours = 0.0
    for part in cloud.status():
        if part.pid is None:
            continue
        megabytes = psutil.Process(part.pid).memory_info().rss / 2**20
        rows.append([part.name, f"{megabytes:.0f}"])
        ours += megabytes if part.name != "azurite" else 0.0
    return [*rows, ["all but Azurite", f"{ours:.0f}"]]


def figures(seconds: list[float]) -> list[str]:
    return [f"{percentile(seconds, 50):.2f}", f"{max(seconds):.2f}"]
