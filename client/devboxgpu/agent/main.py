"""`python3 -I -S agent-HASH.pyz attach`: the only way in."""

from __future__ import annotations

import sys

from .front import attach

USAGE = "usage: agent-HASH.pyz attach (it is for the devboxgpu command, and not to be run by hand)\n"


def main(arguments: list[str]) -> int:
    if arguments[1:] != ["attach"]:
        sys.stderr.write(USAGE)
        return 2
    return attach(arguments[0])
