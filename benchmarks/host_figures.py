"""The functions host: start to first answer, trivial HTTP functions at 1, 16 and 64 at once, memory at rest."""

from __future__ import annotations

import asyncio
import http.client
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import psutil

from benchmarks.table import percentile, show

REPOSITORY = Path(__file__).resolve().parents[1]
MEBIBYTE = 1024 * 1024
ANSWER_BYTES = 1
APP = """
import azure.functions as func
{durable}

@app.route(route="sync")
def sync(req: func.HttpRequest) -> str:
    return "x"

@app.route(route="async")
async def asynchronous(req: func.HttpRequest) -> str:
    return "x"
"""
PLAIN = "app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)"
DURABLE = """
import azure.durable_functions as df
app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.orchestration_trigger(context_name="context")
def story(context):
    return 1
"""
VENDOR_START = "5 to 8 s"
VENDOR_HTTP = {"sync": {1: "210", 16: "661", 64: "749 to 869"}, "async": {1: "232", 16: "475", 64: "567"}}
VENDOR_MEMORY = "215 + 59 MB"


class Host:
    """A host of a temporary app, as a person starts it."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        app = folder / "app"
        app.mkdir(parents=True)
        (app / "function_app.py").write_text(APP.format(durable=DURABLE if durable else PLAIN))
        (app / "host.json").write_text('{"version": "2.0", "logging": {"logLevel": {"default": "Warning"}}}')
        command = [sys.executable, "-m", "localcloud.functions_host", str(app), "--port", "0"]
        begun = time.monotonic()
        self.process = subprocess.Popen(
            [*command, "--state", str(folder / "state")],
            cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.port = self._port()
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("GET", "/api/sync")
        connection.getresponse().read()
        connection.close()
        self.start_s = time.monotonic() - begun

    def _port(self) -> int:
        for line in self.process.stdout or ():
            if found := re.search(r"listening on http://[^:]+:(\d+)", line):
                return int(found[1])
        raise RuntimeError("the host did not come up")

    @property
    def memory_bytes(self) -> int:
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


@contextmanager
def served(*, durable: bool) -> Iterator[Host]:
    with tempfile.TemporaryDirectory(prefix="host-figures-") as folder:
        host = Host(Path(folder), durable=durable)
        try:
            yield host
        finally:
            host.end()


def run(*, small: bool) -> None:
    rounds, seconds = (1, 1.0) if small else (5, 5.0)
    rows: list[list[object]] = []
    for durable in (False, True):
        starts, memory = [], 0
        for _ in range(rounds):
            with served(durable=durable) as host:
                starts.append(host.start_s)
                memory = host.memory_bytes
        kind = "durable" if durable else "HTTP only"
        rows.append([kind, f"{median(starts):.2f} s", VENDOR_START, f"{memory / MEBIBYTE:.0f} MB", VENDOR_MEMORY])
    show("Start to first answer, and memory after it", ["app", "start", "vendor's", "memory", "vendor's"], rows)
    rates: list[list[object]] = []
    with served(durable=False) as host:
        for path, vendors in VENDOR_HTTP.items():
            for at_once, vendor in vendors.items():
                times = _load(host.port, f"/api/{path}", at_once=at_once, seconds=seconds)
                rates.append(
                    [path, at_once, f"{len(times) / seconds:.0f}", vendor]
                    + [f"{1000 * percentile(times, percent):.1f} ms" for percent in (50, 95)]
                )
    cores = os.cpu_count()
    show(
        f"A trivial function, answers a second ({cores} cores, the client on them too)",
        ["function", "at once", "a second", "vendor's", "p50", "p95"],
        rates,
    )


def _load(port: int, path: str, *, at_once: int, seconds: float) -> list[float]:
    """The seconds that each answer took; asked for by a process of its own, which is lighter than the host."""
    words = [sys.executable, "-m", "benchmarks.host_figures", str(port), path, str(at_once), str(seconds)]
    ended = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return [float(word) for word in ended.stdout.split()]


async def _ask_all(port: int, path: str, at_once: int, seconds: float) -> list[float]:
    until = time.monotonic() + seconds
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    clients = [_ask(port, request, until) for _ in range(at_once)]
    return [took for times in await asyncio.gather(*clients) for took in times]


async def _ask(port: int, request: bytes, until: float) -> list[float]:
    times: list[float] = []
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (begun := time.monotonic()) < until:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(ANSWER_BYTES)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"answered {head!r}")
        times.append(time.monotonic() - begun)
    writer.close()
    return times


if __name__ == "__main__":
    wanted_port, wanted_path, wanted_at_once, wanted_s = sys.argv[1:]
    found = asyncio.run(_ask_all(int(wanted_port), wanted_path, int(wanted_at_once), float(wanted_s)))
    print("\n".join(map(str, found)))
