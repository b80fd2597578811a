"""Compile the requirements to lock files with hashes: `make lock`. No index address goes into them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = {
    "requirements/runtime.in": "requirements.txt",
    "requirements/dev.in": "requirements/dev.txt",
    "requirements/tools.in": "requirements/tools.txt",
    "requirements/node.in": "requirements/node.txt",
}


def main() -> int:
    uv = Path(sys.executable).with_name("uv")
    options = ["--quiet", "--universal", "--python-version", "3.11", "--generate-hashes", "--no-header"]
    for source, target in LOCKS.items():
        command = [str(uv), "pip", "compile", *options, "--no-emit-index-url", source, "--output-file", target]
        subprocess.run(command, cwd=ROOT, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
