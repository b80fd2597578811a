"""How a shell feels beside the bare exec socket that it goes over: echo, throughput, what a lost connection costs.

`python -m benchmarks shell_feel [--small]`: the whole local cloud, and the command as it is installed, on a terminal of
its own. Bare means the exec socket with a raw terminal and nothing of ours. Both are measured turn by turn.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from benchmarks.dropped_links import dropped
from benchmarks.many_shells import many_shells
from benchmarks.shell_probe import BareSocket, CommandLine, Typist
from benchmarks.table import percentile, show
from localcloud.stack import LocalCloud

MEBIBYTE = 2**20
ECHO_AIM_MS, ECHO_AIM_P99_MS, SPEED_AIM = 5, 20, 50


def run(*, small: bool) -> None:
    keys, megabytes, drops, shells = (20, 4, 3, 2) if small else (1000, 200, 100, 50)
    with tempfile.TemporaryDirectory(prefix="devboxgpu-bench-") as folder:
        cloud = LocalCloud(Path(folder) / "cloud")
        cloud.up()
        try:
            line = CommandLine(cloud, Path(folder))
            line.allow(shells + 4)
            echoes(line, keys)
            throughput(line, megabytes)
            connections(line, drops)
            many_shells(line, shells)
        finally:
            cloud.down()


def echoes(line: CommandLine, keys: int) -> None:
    """One key, until it is back: typed at `cat` on a terminal, over the command and over the bare socket in turn."""
    bare_ms: list[float] = []
    ours_ms: list[float] = []
    with Typist(line, "run", "--", "cat") as typist, BareSocket(line, typist.session, "cat") as bare:
        for number in range(keys):
            key = bytes([97 + number % 26])
            bare_ms.append(bare.echo(key) * 1000)
            ours_ms.append(typist.echo(key) * 1000)
    added_ms = [ours - bare for ours, bare in zip(ours_ms, bare_ms, strict=True)]
    rows: list[list[object]] = [
        [name, *(f"{percentile(values, percent):.2f}" for percent in (50, 95, 99, 100))]
        for name, values in (("bare exec socket", bare_ms), ("devboxgpu run", ours_ms), ("added, key by key", added_ms))
    ]
    difference = [percentile(ours_ms, p) - percentile(bare_ms, p) for p in (50, 95, 99, 100)]
    rows.append(["added, of the percentiles", *(f"{value:.2f}" for value in difference)])
    title = f"Echo of {keys} keys, ms (aim: added p50 {ECHO_AIM_MS}, p99 {ECHO_AIM_P99_MS})"
    show(title, ["over", "p50", "p95", "p99", "max"], rows)


def throughput(line: CommandLine, megabytes: int) -> None:
    """Random bytes through `devboxgpu run`, by the clock of the remote's first and last byte at our end."""
    data = os.urandom(MEBIBYTE)
    with Typist(line, "run", "--", "cat") as holder:
        down = [line.received(megabytes), line.received(megabytes)]
        up = [line.sent(data, megabytes), line.sent(data, megabytes)]
        bare = BareSocket.received(line, holder.session, megabytes)
    rows: list[list[object]] = [
        ["devboxgpu run, to us", f"{max(down):.0f}"],
        ["devboxgpu run, to the container", f"{max(up):.0f}"],
        ["bare exec socket, to us", f"{bare:.0f}"],
    ]
    show(f"Throughput of {megabytes} MiB, the better of two, MB/s (aim: {SPEED_AIM} each way)", ["way", "MB/s"], rows)


def connections(line: CommandLine, drops: int) -> None:
    """Connections cut in the middle of output, and the transcript compared byte by byte."""
    with Typist(line, "run", "--", "cat") as holder:
        gone_s, exact, size = asyncio.run(dropped(line, holder.shell, drops))
    rows: list[list[object]] = [
        [len(gone_s), f"{percentile(gone_s, 50):.2f}", f"{percentile(gone_s, 99):.2f}", f"{max(gone_s):.2f}",
         f"{size / MEBIBYTE:.1f}", "yes" if exact else "NO"],
    ]  # fmt: skip
    heads = ["drops", "back p50 s", "back p99 s", "back max s", "transcript MiB", "byte-exact"]
    show("Connections dropped in a row (aim: back within 1 s, nothing lost)", heads, rows)
