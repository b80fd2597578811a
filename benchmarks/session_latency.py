"""What DevBoxGPU adds over the backend: seconds from the request to a running shell, less what Azure takes.

`python -m benchmarks session_latency [--small]`. The backend's delay is set in the container apps stand-in; what is
left is ours, the client's polling included. Closing is measured until the GPU is free.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from benchmarks.people import People
from benchmarks.table import percentile, show
from localcloud.stack import LocalCloud
from shared.domain.settings_bounds import HIGHEST_CAP


def run(*, small: bool) -> None:
    plans = [(1, 0.0, 3)] if small else [(1, 0.0, 20), (1, 5.0, 3), (50, 0.0, 1), (50, 5.0, 1), (100, 5.0, 1)]
    with tempfile.TemporaryDirectory(prefix="devboxgpu-bench-") as folder:
        cloud = LocalCloud(Path(folder))
        cloud.up()
        try:
            rows = asyncio.run(measure(cloud.endpoints, plans))
        finally:
            cloud.down()
    heads = ["at once", "backend s", "opened", "added p50 s", "added p95 s", "added max s", "close to free p50 s"]
    show("Session latency over the backend", heads, rows)


async def measure(endpoints: dict[str, str], plans: list[tuple[int, float, int]]) -> list[list[object]]:
    rows: list[list[object]] = []
    async with People(endpoints) as people:
        await people.allow(HIGHEST_CAP)
        users = [f"load-{number}" for number in range(1, max(plan[0] for plan in plans) + 1)]
        await asyncio.gather(*(people.sign_in(user) for user in users))
        await people.open(users[0], "warm-up-shell")
        await people.close_and_wait(users[0], "warm-up-shell")
        for at_once, backend_s, times in plans:
            await people.put(f"{endpoints['arm']}/_capacity", {"createSeconds": backend_s})
            added: list[float] = []
            freed: list[float] = []
            for time_number in range(times):
                shells = [
                    (user, f"bench-{at_once}-{backend_s:g}-{time_number}".replace(".", "-")) for user in users[:at_once]
                ]
                opened = await asyncio.gather(*(people.open(*shell) for shell in shells))
                added += [seconds - backend_s for seconds in opened]
                freed += await asyncio.gather(*(people.close_and_wait(*shell) for shell in shells))
            figures = [f"{percentile(added, p):.2f}" for p in (50, 95, 100)]
            rows.append([at_once, f"{backend_s:g}", len(added), *figures, f"{percentile(freed, 50):.2f}"])
    return rows
