"""Orchestrations against kill -9: how many of those that were accepted complete, and what they repeat.

`python -m benchmarks crash_completion [--small]`: chains of activities on the functions host, killed twice.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from urllib.request import Request, urlopen

from benchmarks.table import show

ROOT = Path(__file__).resolve().parent.parent
APP = """
import os, azure.functions as func, azure.durable_functions as df
app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.orchestration_trigger(context_name="context")
def chain(context):
    for number in range(10):
        yield context.call_activity("step", f"{context.instance_id}.{number}")
    return "done"

@app.activity_trigger(input_name="name")
def step(name: str) -> str:
    with open(os.environ["STEPS"], "a") as steps:
        steps.write(name + "\\n")
    return name
"""
HOST_JSON = {"version": "2.0", "extensions": {"durableTask": {"hubName": "Bench"}}}


def run(*, small: bool) -> None:
    instances, kills = (10, 1) if small else (50, 2)
    with tempfile.TemporaryDirectory(prefix="devboxgpu-bench-") as name:
        folder = Path(name)
        (folder / "function_app.py").write_text(APP)
        (folder / "host.json").write_text(json.dumps(HOST_JSON))
        completed, steps = play(folder, instances, kills)
    repeated = sum(count - 1 for count in steps.values())
    row = [instances, kills, completed, instances * 10, len(steps), repeated]
    show(
        "Chains of ten activities under kill -9",
        ["started", "kills", "completed", "activities", "ran", "repeated"],
        [row],
    )
    if completed != instances:
        raise SystemExit(f"{instances - completed} orchestrations were lost")


def play(folder: Path, instances: int, kills: int) -> tuple[int, Counter[str]]:
    host, origin = serve(folder)
    ids = [
        json.loads(post(f"{origin}/runtime/webhooks/durabletask/orchestrators/chain"))["id"] for _ in range(instances)
    ]
    for _ in range(kills):
        time.sleep(0.3)
        host.send_signal(signal.SIGKILL)
        host.wait()
        host, origin = serve(folder)
    try:
        completed = sum(wait_completed(origin, instance) for instance in ids)
    finally:
        host.terminate()
        host.wait()
    return completed, Counter((folder / "steps").read_text().split())


def serve(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """Start the host and wait until it says where it listens."""
    environment = {**os.environ, "STEPS": str(folder / "steps")}
    command = [
        sys.executable,
        "-m",
        "localcloud.functions_host",
        str(folder),
        "--port",
        "0",
        "--state",
        str(folder / "state"),
    ]
    with (folder / "host.log").open("a") as log:
        host = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
    if host.stdout is None:
        raise RuntimeError("no output to read from")
    for line in host.stdout:
        if "listening on " in line:
            return host, line.split("listening on ")[1].strip()
    raise RuntimeError(f"the host ended: {(folder / 'host.log').read_text()[-2000:]}")


def wait_completed(origin: str, instance: str) -> bool:
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        with urlopen(f"{origin}/runtime/webhooks/durabletask/instances/{instance}") as answer:
            status = json.load(answer)["runtimeStatus"]
        if status in ("Completed", "Failed"):
            return bool(status == "Completed")
        time.sleep(0.1)
    return False


def post(url: str) -> bytes:
    with urlopen(Request(url, data=b"null", headers={"Content-Type": "application/json"})) as answer:
        return bytes(answer.read())
