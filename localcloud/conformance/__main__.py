"""`python -m localcloud.conformance`: play what was recorded of the vendor's host, compare, print the three sums."""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from localcloud.conformance.instruments import Instrument, InstrumentsMissing, Kit, examine, find_kit
from localcloud.conformance.served_app import HostFailed
from localcloud.conformance.verdicts import EXPECTED_DIFFERENCES


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 where all is the same or differs as expected, 1 where not, 2 where it could not be played."""
    parser = argparse.ArgumentParser(prog="python -m localcloud.conformance", description=__doc__)
    parser.add_argument(
        "instruments", nargs="*", metavar="INSTRUMENT", help=f"{', '.join(Instrument)}; all where none is given"
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="scenarios or programs, patterns allowed; repeatable",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="a new folder for results and the hosts' logs")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.instruments) - set(Instrument))
    if unknown:
        parser.error(f"no such instrument: {', '.join(unknown)}; there are: {', '.join(Instrument)}")
    chosen = [Instrument(name) for name in options.instruments] or list(Instrument)
    try:
        place = find_kit()
        out = options.out or Path(tempfile.mkdtemp(prefix="conformance-"))
        return _play([Kit(place=place, instrument=instrument) for instrument in chosen], out, options.only)
    except (InstrumentsMissing, HostFailed, ValueError, FileExistsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _play(kits: Sequence[Kit], out: Path, only: Sequence[str]) -> int:
    sums: list[str] = []
    is_good = True
    for kit in kits:
        work = out / kit.instrument
        work.mkdir(parents=True)
        print(f"{kit.instrument}: playing ...", flush=True)
        begun = time.monotonic()
        verdict = examine(kit, work=work, only=only)
        sums.append(f"{kit.instrument}: {verdict} ({time.monotonic() - begun:.0f} s)")
        is_good &= verdict.is_good
        if not verdict.is_good:
            print(verdict.text)
            print(f"not the same: {', '.join((*verdict.different, *verdict.missing))}")
        for name in verdict.unneeded:
            print(f"note: {name} may differ and does not; if it never does, take it out of {EXPECTED_DIFFERENCES.name}")
    print("\n".join([f"results and the hosts' logs: {out}", *sums]))
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
