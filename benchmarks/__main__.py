"""`python -m benchmarks [NAME ...] [--small]`: run the benchmarks by hand; each prints a table."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

SUPPORT = {
    "__init__",
    "__main__",
    "counted_tables",
    "dropped_links",
    "ledger_history",
    "long_line",
    "many_shells",
    "people",
    "shell_probe",
    "table",
}


def main() -> int:
    known = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in SUPPORT)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(known)}; all where none is given")
    parser.add_argument("--small", action="store_true", help="a short run, to see that the program works")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}; there are: {', '.join(known)}")
    for name in options.names or known:
        importlib.import_module(f"benchmarks.{name}").run(small=options.small)
    return 0


if __name__ == "__main__":
    sys.exit(main())
