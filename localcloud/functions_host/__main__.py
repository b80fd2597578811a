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
from pathlib import Path

from localcloud.functions_host.clock import SystemClock
from localcloud.functions_host.functions import AppFunction, BindingType
from localcloud.functions_host.log_lines import start_logging
from localcloud.functions_host.serving import FunctionsHost, HostOptions

_STATE_SETTING = "DEVBOXGPU_STATE"
_log = logging.getLogger("host")


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C; returns the exit code: 0, or 1 where it could not begin."""
    options = _options(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what the app prints belongs between the lines of the log
    start_logging()
    try:
        return asyncio.run(_serve(options))
    except OSError as error:  # PortTaken and StateUnusable among them, and an address that is not this machine's
        print(f"error: {error}", file=sys.stderr)
        return 1


def _options(arguments: list[str] | None) -> HostOptions:
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
    given = parser.parse_args(arguments)
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
    )


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
    _announce(host)
    await stopping.wait()
    _log.info("stopping: no new connections; what runs has 10 s to end")
    await host.stop()
    _log.info("stopped")
    _leave()
    return 0


def _announce(host: FunctionsHost) -> None:
    """Tell where the host is and what it serves; on stdout, where a caller that asked for port 0 reads it."""
    app = host.app
    for function in app.functions if app else ():
        routes = [route for route in app.routes.routes if route.function is function] if app else []
        where = f"{host.base_url}/{routes[0].template.text}" if routes else ""
        state = " (in error, see above)" if function.trouble else " (disabled)" if function.is_disabled else ""
        print(f"  {function.name}: {_described(function)} {where}{state}".rstrip())
    print(f"listening on {host.base_url}", flush=True)


def _described(function: AppFunction) -> str:
    if function.trigger.type == BindingType.HTTP_TRIGGER:
        methods = function.trigger.settings.get("methods") or ["all methods"]
        return f"[{','.join(str(method) for method in methods)}]"
    return function.trigger.type


def _leave() -> None:
    """End the process now: threads of functions that would not end in time must not keep it alive."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
