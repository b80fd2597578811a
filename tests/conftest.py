"""For all tests: what a test starts heeds these signals, also where the run itself ignores them."""

from __future__ import annotations

import signal

for _number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):  # a handler is not inherited, as ignoring is
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)
