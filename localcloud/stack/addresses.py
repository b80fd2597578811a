"""The ports of a local cloud, chosen once and kept, and the addresses that follow from them."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from localcloud.stack.port_claims import claim
from localcloud.stack.problem import StackProblemError
from localcloud.stack.state_folder import StateFolder, read_json, write_json

LOOPBACK = "127.0.0.1"
# Below the range from which systems take ports for outgoing connections, so that a kept port is not lost to one.
FIRST_PORT = 20_000
LAST_PORT = 32_000
TRIES = 500

STORAGE_ACCOUNT = "devstoreaccount1"
# The storage emulator's published key: the same in every installation, and no secret.
STORAGE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """The port of each service."""

    blob: int
    queue: int
    table: int
    arm: int
    exec: int
    identity: int
    dev_center: int
    prices: int
    costs: int
    event_grid: int
    api: int

    def origin(self, service: str) -> str:
        return f"http://{LOOPBACK}:{getattr(self, service)}"

    @property
    def storage(self) -> str:
        """The connection string of the storage emulator's account."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={STORAGE_ACCOUNT};AccountKey={STORAGE_KEY};"
            f"BlobEndpoint={self.origin('blob')}/{STORAGE_ACCOUNT};"
            f"QueueEndpoint={self.origin('queue')}/{STORAGE_ACCOUNT};"
            f"TableEndpoint={self.origin('table')}/{STORAGE_ACCOUNT};"
        )

    def endpoints(self) -> dict[str, str]:
        """Return what `endpoints.json` says (DESIGN.md section 10)."""
        return {
            "api": f"{self.origin('api')}/api",
            "arm": self.origin("arm"),
            "exec": self.origin("exec"),
            "identity": self.origin("identity"),
            "eventGrid": self.origin("event_grid"),
            "prices": self.origin("prices"),
            "costs": self.origin("costs"),
            "devCenter": self.origin("dev_center"),
            "tables": self.storage,
        }


NAMES = tuple(entry.name for entry in fields(Addresses))


def kept_addresses(state: StateFolder) -> Addresses:
    """Return the folder's ports, choosing free ones on the first call."""
    kept = read_json(state.ports) or {}
    chosen = {name: kept[name] for name in NAMES if type(kept.get(name)) is int}
    if missing := [name for name in NAMES if name not in chosen]:
        chosen |= dict(zip(missing, _free_ports(len(missing), state.ports), strict=True))
        write_json(state.ports, asdict(Addresses(**chosen)))
    return Addresses(**chosen)


def demand_free(state: StateFolder, addresses: Addresses, services: Iterable[str]) -> None:
    """Raise StackProblemError if a stranger listens where one of ours is about to."""
    for service in services:
        port = getattr(addresses, service)
        if not is_free(port):
            raise StackProblemError(
                f"port {port}, which the local cloud keeps for {service}, is taken by another program.\n"
                f"End that program (`ss -ltnp 'sport = :{port}'` shows it), or give the local cloud new ports:\n"
                f"run `python -m localcloud down --state {state.path}`, delete {state.ports} and start again."
            )


def all_free(addresses: Addresses, services: Iterable[str]) -> bool:
    return all(is_free(getattr(addresses, service)) for service in services)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do it: connections that are only waiting to be forgotten do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _free_ports(count: int, ports_file: Path) -> list[int]:
    found: list[int] = []
    for port in random.sample(range(FIRST_PORT, LAST_PORT), TRIES):
        if is_free(port) and claim(port, ports_file):
            found.append(port)
        if len(found) == count:
            return found
    raise StackProblemError(f"no {count} free ports were found between {FIRST_PORT} and {LAST_PORT}")
