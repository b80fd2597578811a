"""For all tests: what they start heeds signals though the run itself ignores them, and their order and memory."""

from __future__ import annotations

import gc
import os
import signal

import pytest

WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))

for _number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):  # a handler is not inherited, as ignoring is
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)


def pytest_collection_finish() -> None:
    """Six thousand tests stay in memory until the end: the collector need not look through them again and again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each worker's share begins with its part of the slow tests: at the end all are busy until all have ended."""
    slow = [item for item in items if item.get_closest_marker("stack")]
    quick = [item for item in items if not item.get_closest_marker("stack")]
    items[:] = [item for worker in range(WORKERS) for of in (slow, quick) for item in _part(of, worker)]


def _part(items: list[pytest.Item], worker: int) -> list[pytest.Item]:
    return items[len(items) * worker // WORKERS : len(items) * (worker + 1) // WORKERS]
