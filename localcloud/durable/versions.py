"""Which versions of orchestrations a host may run (functions-host.md 1.5)."""

import re

from localcloud.durable.options import DurableOptions


def may_run(version: str | None, options: DurableOptions) -> bool:
    """Whether an execution of this version is run here, by the host's defaultVersion and its match strategy.

    CurrentOrOlder refuses what is newer; without a defaultVersion every version is newer. Strict wants equality.
    """
    if not version or options.version_match_strategy == "None":
        return True
    own = options.default_version or ""
    if options.version_match_strategy == "Strict":
        return version == own
    return bool(own) and _order(version) <= _order(own)


def _order(version: str) -> tuple[tuple[int, str], ...]:
    """Versions compare part by part, numbers as numbers."""
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"[.\-+]", version))
