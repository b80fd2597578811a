"""A finding is what a look has shown and what to do about it. Looks run side by side, each bounded in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """It could not be found out, which is neither good nor bad."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    check: str
    status: Status
    said: str
    do: str = ""
    """What to do; empty where nothing is to be done."""


def ok(check: str, said: str) -> Finding:
    return Finding(check=check, status=Status.OK, said=said)


def warning(check: str, said: str, do: str) -> Finding:
    return Finding(check=check, status=Status.WARNING, said=said, do=do)


def failed(check: str, said: str, do: str) -> Finding:
    return Finding(check=check, status=Status.FAILED, said=said, do=do)


def unknown(check: str, said: str, do: str = "") -> Finding:
    return Finding(check=check, status=Status.UNKNOWN, said=said, do=do)


Report = Callable[[Finding], None]


@dataclass(frozen=True, slots=True)
class Look:
    checks: tuple[str, ...]
    """What it is going to find, in the order in which that is shown."""
    run: Callable[[Report], None]


def look_at_all(looks: Sequence[Look], *, limit_s: float) -> list[Finding]:
    """A finding for each check of every look; what has not been found by then is unknown. A look may break."""
    found: list[dict[str, Finding]] = [{} for _ in looks]
    threads = [
        threading.Thread(target=_look, args=(look, mine), name=f"doctor-{look.checks[0]}", daemon=True)
        for look, mine in zip(looks, found, strict=True)
    ]
    give_up_at = time.monotonic() + limit_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, give_up_at - time.monotonic()))
    return [
        mine.get(check) or unknown(check, f"not found out within {limit_s:g} s")
        for look, mine in zip(looks, (dict(mine) for mine in found), strict=True)
        for check in look.checks
    ]


def _look(look: Look, found: dict[str, Finding]) -> None:
    def report(finding: Finding) -> None:
        found[finding.check] = finding

    try:
        look.run(report)
    except Exception as error:
        for check in look.checks:
            found.setdefault(check, unknown(check, f"the look itself failed: {type(error).__name__}: {error}"))
