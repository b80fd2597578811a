"""For all tests: what a test starts heeds these signals, also where the run itself ignores them."""

from __future__ import annotations

import gc
import signal

for _number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):  # a handler is not inherited, as ignoring is
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)


def pytest_collection_finish() -> None:
    """Six thousand tests stay in memory until the end: the collector need not look through them again and again."""
    gc.collect()
    gc.freeze()
