"""`python -m localcloud.functions_host DIR --port N`: serve an app folder in the foreground, as `func start` does."""

import argparse
import asyncio
import hashlib
import io
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from localcloud.functions_host.announcement import announcement
from localcloud.functions_host.clock import SystemClock
from localcloud.functions_host.log_formats import style_for
from localcloud.functions_host.log_lines import start_logging
from localcloud.functions_host.reloading import serve_with_reload
from localcloud.functions_host.serving import FunctionsHost, HostOptions

_STATE_SETTING = "DEVBOXGPU_STATE"
_log = logging.getLogger("host")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C; returns the exit code: 0, or 1 where it could not begin."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser()
    given = parser.parse_args(words)
    options = _options(parser, given)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what the app prints belongs between the lines of the log
    start_logging(style_for(sys.stderr, os.environ, as_json=given.json))
    try:
        if given.reload:
            return serve_with_reload(options.root, _without_reload(given), host=options.host, port=options.port)
        return asyncio.run(_serve(options))
    except OSError as error:  # PortTaken and StateUnusable among them, and an address that is not this machine's
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m localcloud.functions_host", description=__doc__)
    parser.add_argument("root", metavar="DIR", type=Path, help="the app folder, with function_app.py and host.json")
    parser.add_argument(
        "--port", type=int, default=7071, help="the port to serve on; 0 picks a free one (default 7071)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to serve on (default 127.0.0.1)")
    parser.add_argument("--keys", type=Path, metavar="FILE", help="check keys, and write them to FILE")
    parser.add_argument(
        "--state",
        type=Path,
        metavar="DIR",
        help=f"where state is kept (default: ${_STATE_SETTING}, or DIR/.localcloud)",
    )
    parser.add_argument(
        "--strict",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="end in an error at each trap of the programming model that can be seen (default: as the vendor's host)",
    )
    parser.add_argument(
        "--as-azure", type=int, metavar="SEED", help="lose, repeat and delay as the vendor's engine was measured to"
    )
    parser.add_argument("--reload", action="store_true", help="load the app anew when one of its files changes")
    parser.add_argument("--json", action="store_true", help="write the log as JSON, one object a line")
    parser.add_argument("--verbose", action="store_true", help="log each call, timer run and episode too")
    return parser


def _options(parser: argparse.ArgumentParser, given: argparse.Namespace) -> HostOptions:
    root = given.root.resolve()
    if not root.is_dir():
        parser.error(f"{given.root} is not a folder; give the app's own")
    if not 0 <= given.port <= 65535:
        parser.error(f"--port {given.port} is not a port; give 0 to 65535")
    state = given.state or Path(os.environ.get(_STATE_SETTING) or _default_state(root))
    return HostOptions(
        root=root,
        state=state.resolve(),
        host=given.host,
        port=given.port,
        keys_file=given.keys.resolve() if given.keys else None,
        is_strict=given.strict,
        as_azure=given.as_azure,
        is_verbose=given.verbose,
    )


def _without_reload(given: argparse.Namespace) -> list[str]:
    """The words for a host that is kept by this process: all that was given, but for folder, port and --reload."""
    words = ["--host", given.host]
    words += [f"--{name}" for name in ("json", "verbose", "strict") if getattr(given, name)]
    for name in ("keys", "state", "as_azure"):
        if getattr(given, name) is not None:
            words += [f"--{name.replace('_', '-')}", str(getattr(given, name))]
    return words


def _default_state(root: Path) -> Path:
    """A folder beside the app, or, where the app's folder is read-only, one of its own under the temporary folder."""
    if os.access(root, os.W_OK):
        return root / ".localcloud"
    return Path(tempfile.gettempdir()) / f"functions-host-{hashlib.sha256(os.fsencode(root)).hexdigest()[:12]}"


async def _serve(options: HostOptions) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    host = FunctionsHost(options, clock=SystemClock(), environ=os.environ)
    await host.start()
    style = style_for(sys.stdout, os.environ, as_json=False)
    for line in announcement(host.app, host.base_url, style):
        print(line, flush=True)
    await stopping.wait()
    _log.info("stopping: no new connections; what runs has 10 s to end")
    await host.stop()
    _log.info("stopped")
    _leave()
    return 0


def _leave() -> None:
    """End the process now: threads of functions that would not end in time must not keep it alive."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
