"""The local cloud's services in one process: Container Apps with exec, identity, Dev Center, prices, costs, Event Grid.

`python -m localcloud.cloud --state DIR` serves them on the ports that the state folder keeps, until SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from localcloud import container_apps
from localcloud.container_apps.ports import CheckToken
from localcloud.cost_management.web import CostManagementService
from localcloud.dev_center import web as dev_center
from localcloud.event_grid import web as event_grid
from localcloud.identity.keys import kept_key
from localcloud.identity.tokens import InvalidToken, TokenCheck
from localcloud.identity.web import IdentityService
from localcloud.prices.web import PricesService
from localcloud.stack.addresses import LOOPBACK, Addresses, demand_free, kept_addresses
from localcloud.stack.parts import CLOUD_SERVICES, HEALTH_PATH
from localcloud.stack.problem import StackProblemError
from localcloud.stack.state_folder import StateFolder

ARM_AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
SHUTDOWN_PATIENCE_S = 3.0

log = logging.getLogger("localcloud.cloud")


async def run(state: StateFolder, addresses: Addresses) -> None:
    """Serve everything until SIGTERM or SIGINT. Identity answers last: once it does, all of them do."""
    asked_to_end = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, asked_to_end.set)
    async with AsyncExitStack() as running:
        for service, app in await _start_services(state, addresses, running):
            await _serve(app, getattr(addresses, service), running)
        log.info("serving")
        await asked_to_end.wait()
        log.info("ending")


async def _start_services(
    state: StateFolder, addresses: Addresses, running: AsyncExitStack
) -> list[tuple[str, web.Application]]:
    key = kept_key(state.path)
    identity_origin = addresses.origin("identity")

    def check(audiences: Collection[str]) -> TokenCheck:
        return TokenCheck(key=key, origin=identity_origin, audiences=audiences)

    events = event_grid.EventGridService(
        origin=addresses.origin("event_grid"),
        topic_key=state.topic_key,
        check_token=check([event_grid.AUDIENCE]),
        subscriptions_file=state.event_grid / "subscriptions.json",
        now=_now,
    )
    await events.start()
    running.push_async_callback(events.stop)
    apps = container_apps.ContainerAppsCloud(
        state=state.container_apps,
        origins=container_apps.Origins(arm=addresses.origin("arm"), exec=addresses.origin("exec")),
        check_token=_for_container_apps(check(ARM_AUDIENCES)),
        publish=events.publish,
        machine=container_apps.LocalMachine(),
    )
    await apps.start()
    running.push_async_callback(apps.stop)
    identity = IdentityService(key=key, origin=identity_origin, identity_header=state.identity_header, now=_now).app()
    identity.router.add_get(HEALTH_PATH, _health_of(state))
    return [
        ("arm", apps.arm_app()),
        ("exec", apps.exec_app()),
        ("event_grid", events.app()),
        ("dev_center", _dev_center(addresses, check)),
        ("prices", PricesService(origin=addresses.origin("prices")).app()),
        ("costs", CostManagementService(origin=addresses.origin("costs"), check_token=check(ARM_AUDIENCES)).app()),
        ("identity", identity),
    ]


def _dev_center(addresses: Addresses, check: Callable[[Collection[str]], TokenCheck]) -> web.Application:
    return dev_center.DevCenterService(
        origin=addresses.origin("dev_center"),
        check_token=check([dev_center.AUDIENCE]),
        check_arm_token=check(ARM_AUDIENCES),
    ).app()


async def _serve(app: web.Application, port: int, running: AsyncExitStack) -> None:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_PATIENCE_S)
    await runner.setup()
    running.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, LOOPBACK, port).start()


def _for_container_apps(check: TokenCheck) -> CheckToken:
    async def checked(token: str) -> Mapping[str, object]:
        try:
            return await check(token)
        except InvalidToken as error:
            raise container_apps.InvalidToken(error.reason) from error

    return checked


def _health_of(state: StateFolder) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def health(_request: web.Request) -> web.Response:
        return web.json_response({"state": str(state.path)})

    return health


def _now() -> datetime:
    return datetime.now(UTC)


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m localcloud.cloud", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="the folder that keeps ports, keys and everything")
    state = StateFolder(parser.parse_args(words).state)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        addresses = kept_addresses(state)
        demand_free(state, addresses, CLOUD_SERVICES)
    except StackProblemError as problem:
        print(f"devboxgpu: {problem}", file=sys.stderr)
        return 1
    asyncio.run(run(state, addresses))
    return 0


if __name__ == "__main__":
    sys.exit(main())
