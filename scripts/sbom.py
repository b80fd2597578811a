"""Write what the deployed app is made of: `make sbom`. build/sbom.json (CycloneDX) and docs/licences.md, from the lock.

Licences come from the packages' own metadata, as they are installed here. A licence that is not on the list of those
that may be used with a deployed app is an error: somebody decides, and puts it on the list or takes the package out.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.txt"
SBOM = ROOT / "build" / "sbom.json"
LICENCES = ROOT / "docs" / "licences.md"
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)(?: ; (.+?))? ?\\?$", re.MULTILINE)
SPELLINGS = {
    "MIT License": "MIT",
    "MIT License (MIT)": "MIT",
    "Apache Software License": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "BSD": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "Python Software Foundation License": "PSF-2.0",
    "Public Domain": "Unlicense",  # furl, whose licence file is the Unlicense
    "Freely Distributable": "Unlicense",  # orderedmultidict, likewise
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "ISC License (ISCL)": "ISC",
}
MAY_BE_USED = {
    "MIT",
    "MIT-0",
    "MIT-CMU",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "PSF-2.0",
    "MPL-2.0",
    "Unlicense",
}
"""Licences that ask for no more than their text and their notices, and MPL-2.0, which asks for changes to its files."""
NOT_INSTALLED = "not installed here"


def main() -> int:
    packages = pinned()
    licences = {name: licence_of(name) for name, _ in packages}
    faults = [f"{name}: {licence}" for name, licence in licences.items() if not may_be_used(licence)]
    for fault in faults:
        print(f"sbom: this licence is not on the list: {fault}", file=sys.stderr)
    if faults:
        return 1
    LICENCES.write_text(licence_page(packages, licences), encoding="utf-8")
    SBOM.parent.mkdir(exist_ok=True)
    SBOM.write_text(json.dumps(bill_of_materials(licences), indent=2) + "\n", encoding="utf-8")
    return 0


def pinned() -> list[tuple[str, str]]:
    """Return name and version of every package in the lock of the deployed app."""
    return [(name, version) for name, version, _ in PINNED.findall(LOCK.read_text(encoding="utf-8"))]


def licence_of(name: str) -> str:
    """Return a package's licence as an SPDX expression, as far as its metadata can be read as one."""
    try:
        return licence_in(distribution(name))
    except PackageNotFoundError:
        return NOT_INSTALLED


def licence_in(package: Distribution) -> str:
    told = package.metadata.json
    if expression := str(told.get("license_expression") or ""):
        return expression
    marks = [mark.rpartition(" :: ")[2] for mark in told.get("classifier", []) if mark.startswith("License")]
    named = [mark for mark in marks if mark != "OSI Approved"] or str(told.get("license") or "unknown").splitlines()[:1]
    return " AND ".join(dict.fromkeys(SPELLINGS.get(one, one) for one in named))


def may_be_used(licence: str) -> bool:
    """Tell whether a licence is on the list: of an OR one part, of an AND every one. Not installed: told as such."""
    if licence == NOT_INSTALLED:
        return True
    alternatives = [option.strip("() ") for option in licence.split(" OR ")]
    return any(all(part.strip("() ") in MAY_BE_USED for part in option.split(" AND ")) for option in alternatives)


def licence_page(packages: list[tuple[str, str]], licences: dict[str, str]) -> str:
    rows = [f"| {name} | {version} | {licences[name]} |" for name, version in packages]
    return "\n".join(
        [
            "# Licences",
            "",
            "The packages of the deployed app (`requirements.txt`) and their licences, as their own metadata has them.",
            f'Written by `make sbom`. "{NOT_INSTALLED}": for another platform than the one it was written on.',
            "",
            "| package | version | licence |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def bill_of_materials(licences: dict[str, str]) -> dict[str, Any]:
    """Return the CycloneDX document that cyclonedx-py makes of the lock, with hashes, and with licences put in."""
    program = str(Path(sys.executable).with_name("cyclonedx-py"))
    words = [program, "requirements", LOCK.name, "--output-reproducible", "--of", "JSON", "--sv", "1.6"]
    told = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    document: dict[str, Any] = json.loads(told)
    document["metadata"]["component"] = {"type": "application", "name": "devboxgpu", "bom-ref": "devboxgpu"}
    for component in document["components"]:
        licence = licences[component["name"]]
        if licence != NOT_INSTALLED:
            component["licenses"] = [{"expression": licence}]
    return document


if __name__ == "__main__":
    sys.exit(main())
