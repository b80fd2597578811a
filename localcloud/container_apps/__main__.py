"""Runs the Container Apps stand-in alone, for trying it out: any well-formed bearer token is accepted."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import re
import signal
import socket
from collections.abc import Mapping
from pathlib import Path

import jwt
from aiohttp import web

from localcloud.container_apps import ContainerAppsCloud, InvalidToken, LocalMachine, Origins

_log = logging.getLogger(__name__)
_WELL_FORMED = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_HOST = "127.0.0.1"


async def accept_well_formed(token: str) -> Mapping[str, object]:
    """Accept any token of the right characters, with the claims it makes if it is a JWT: nothing is verified."""
    if not _WELL_FORMED.fullmatch(token):
        raise InvalidToken("it has characters that a bearer token cannot have")
    try:
        claims: Mapping[str, object] = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return {"oid": "standalone"}
    return claims


async def log_event(event: dict[str, object]) -> None:
    _log.info("event.raised type=%s subject=%s", event["eventType"], event["subject"])


async def serve(state: Path, arm_port: int, exec_port: int) -> None:
    """Serve until SIGTERM or SIGINT; prints the two origins as one JSON line once both are open."""
    arm_socket, exec_socket = _listen(arm_port), _listen(exec_port)
    origins = Origins(arm=_origin(arm_socket), exec=_origin(exec_socket))
    cloud = ContainerAppsCloud(
        state=state, origins=origins, check_token=accept_well_formed, publish=log_event, machine=LocalMachine()
    )
    await cloud.start()
    runners = [web.AppRunner(app, shutdown_timeout=5, access_log=None) for app in (cloud.arm_app(), cloud.exec_app())]
    for runner, listening in zip(runners, (arm_socket, exec_socket), strict=True):
        await runner.setup()
        await web.SockSite(runner, listening).start()
    print(json.dumps({"arm": origins.arm, "exec": origins.exec}), flush=True)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await stopping.wait()
    for runner in runners:
        await runner.cleanup()
    await cloud.stop()


def _listen(port: int) -> socket.socket:
    return socket.create_server((_HOST, port))


def _origin(listening: socket.socket) -> str:
    return f"http://{_HOST}:{listening.getsockname()[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m localcloud.container_apps", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="folder that holds the records and the replicas")
    parser.add_argument("--arm-port", type=int, default=0, help="port of ARM and the handles; 0 picks one")
    parser.add_argument("--exec-port", type=int, default=0, help="port of the exec websocket; 0 picks one")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    _log.warning("standalone: ANY well-formed bearer token is accepted")
    asyncio.run(serve(options.state, options.arm_port, options.exec_port))


if __name__ == "__main__":
    main()
