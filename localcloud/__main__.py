"""`python -m localcloud`: start, show, end and use the local cloud."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from localcloud.stack import LocalCloud, StackProblemError
from localcloud.stack.parts import NAMES
from localcloud.stack.state_folder import ROOT

STATE_VARIABLE = "DEVBOXGPU_STATE"
COMMAND = Path(sys.executable).parent / "devboxgpu"
DEFAULT_USER = "alice"
DEFAULT_PROJECT = "demo"
INTERRUPTED = 130


def main(words: list[str] | None = None) -> int:
    arguments, rest = _parser().parse_known_args(words)
    if rest and arguments.verb != "shell":
        _parser().error(f"unknown argument: {rest[0]}")
    try:
        code = int(arguments.do(arguments, rest))
        sys.stdout.flush()
        return code
    except StackProblemError as problem:
        print(f"devboxgpu: {problem}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains while it ends
        return 0
    except KeyboardInterrupt:
        print("devboxgpu: interrupted; `python -m localcloud status` shows what runs", file=sys.stderr)
        return INTERRUPTED


def up(arguments: argparse.Namespace, _rest: list[str]) -> int:
    began = time.monotonic()
    cloud = LocalCloud(arguments.state, with_host=not arguments.no_host)
    started = cloud.up()
    if not arguments.quiet:
        took = f"started {', '.join(started)} in {time.monotonic() - began:.1f} s" if started else "was up already"
        print(f"DevBoxGPU local cloud: {took}")
        for name, address in cloud.endpoints.items():
            print(f"  {name:<10} {address}")
        print(f"  {'state':<10} {cloud.state}")
    return 0


def down(arguments: argparse.Namespace, _rest: list[str]) -> int:
    ended = LocalCloud(arguments.state).down()
    if not arguments.quiet:
        print(f"DevBoxGPU local cloud: {'ended ' + ', '.join(ended) if ended else 'was not up'}")
    return 0


def status(arguments: argparse.Namespace, _rest: list[str]) -> int:
    found = LocalCloud(arguments.state, with_host=not arguments.no_host).status()
    if arguments.output == "json":
        print(json.dumps([asdict(part) for part in found], indent=1))
    else:
        for part in found:
            ports = " ".join(f"{service}:{port}" for service, port in part.ports.items())
            print(f"{part.name:<8} {part.state:<14} {part.pid or '-':<8} {ports}")
    return 0 if all(part.state == "running" for part in found) else 1


def clean(arguments: argparse.Namespace, _rest: list[str]) -> int:
    LocalCloud(arguments.state).clean()
    return 0


def restart(arguments: argparse.Namespace, _rest: list[str]) -> int:
    LocalCloud(arguments.state).restart(arguments.name)
    return 0


def kill(arguments: argparse.Namespace, _rest: list[str]) -> int:
    LocalCloud(arguments.state).kill(arguments.name)
    return 0


def shell(arguments: argparse.Namespace, rest: list[str]) -> int:
    """Become the `devboxgpu shell` of a made-up user; its exit code is this one's."""
    endpoints = LocalCloud(arguments.state).endpoints
    if not COMMAND.exists():
        raise StackProblemError(f"the devboxgpu command is not installed ({COMMAND} is not there); run `make env`")
    environment = os.environ | {
        "DEVBOXGPU_ENDPOINT": endpoints["api"],
        "DEVBOXGPU_PROJECT": DEFAULT_PROJECT,
        "DEVBOXGPU_LOCAL_IDENTITY": endpoints["identity"],
        "DEVBOXGPU_LOCAL_USER": arguments.user,
    }
    os.execve(COMMAND, [str(COMMAND), "shell", *rest], environment)  # noqa: S606 - exactly this: become that program


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    kept = Path(os.environ.get(STATE_VARIABLE) or ROOT / ".localcloud")
    shared.add_argument("--state", type=Path, default=kept, help=f"state folder (or ${STATE_VARIABLE}); now {kept}")
    parser = argparse.ArgumentParser(prog="python -m localcloud", description=__doc__, allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, do: object, summary: str) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, parents=[shared], help=summary, description=summary, allow_abbrev=False)
        made.set_defaults(do=do)
        return made

    begun = verb("up", up, "start what is missing and wait until all is ready")
    ended = verb("down", down, "end everything, replicas included")
    for made in (begun, ended):
        made.add_argument("--quiet", action="store_true", help="print nothing when all is well")
    shown = verb("status", status, "show each process; exit code 1 unless all run")
    shown.add_argument("-o", "--output", choices=("table", "json"), default="table")
    for made in (begun, shown):
        made.add_argument("--no-host", action="store_true", help="without the functions host")
    verb("clean", clean, "end everything and delete the state folder")
    for made in (
        verb("restart", restart, "end one process in good order and start it again"),
        verb("kill", kill, "end one process with SIGKILL, as a crash would; Azurite loses writes by it"),
    ):
        made.add_argument("name", choices=NAMES)
    opened = verb("shell", shell, "open a GPU shell as a made-up user; other arguments go to `devboxgpu shell`")
    opened.add_argument("--user", default=DEFAULT_USER, help=f"who to be; {DEFAULT_USER} where not given")
    return parser


if __name__ == "__main__":
    sys.exit(main())
