"""What a running stack keeps, searched for what must be kept nowhere: every file of its state, every table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from azure.data.tables import TableServiceClient

TOKEN = re.compile(rb"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}")
"""Whatever is a signed token: of a user, of the app's own identity, or the way into a container."""
PLATFORMS_OWN = frozenset(
    {"identity-header.secret", "identity-key.pem", "event-grid-topic-key.secret", "host-keys.json", "records.sqlite"}
)
"""Where the stand-ins for Entra, Event Grid, the host and Resource Manager keep what is theirs. The app reads none."""
_PIECE, _OVERLAP = 1 << 22, 1 << 13


def found_in(state: Path, secrets: Iterable[str]) -> list[str]:
    """Return where a token or one of these secrets is kept, without repeating it."""
    wanted = [secret.encode() for secret in secrets]
    assert all(len(secret) >= 8 for secret in wanted), "a secret that short is found everywhere"
    found = []
    for path in sorted(path for path in state.rglob("*") if path.is_file() and path.name not in PLATFORMS_OWN):
        for piece in _pieces(path):
            found += [f"{path.relative_to(state)}: a token"] if TOKEN.search(piece) else []
            found += [f"{path.relative_to(state)}: secret {n}" for n, secret in enumerate(wanted) if secret in piece]
    return list(dict.fromkeys(found))


def found_in_tables(connection: str, secrets: Iterable[str]) -> list[str]:
    """Return the rows that hold a token or one of these secrets: what storage has not yet put into its files."""
    wanted = list(secrets)
    found = []
    with TableServiceClient.from_connection_string(connection) as service:
        for table in service.list_tables():
            for row in service.get_table_client(table.name).list_entities():
                text = str(dict(row))
                if TOKEN.search(text.encode()) or any(secret in text for secret in wanted):
                    found.append(f"{table.name}: {row['PartitionKey']} {row['RowKey']}")
    return found


def secrets_of(state: Path) -> list[str]:
    """Return the secrets that the platform gives the app to prove itself with."""
    names = ("identity-header.secret", "event-grid-topic-key.secret")
    return [(state / name).read_text().strip() for name in names]


def _pieces(path: Path) -> Iterator[bytes]:
    """Yield a file that may still be written to, in pieces that overlap by more than a token's length."""
    try:
        with path.open("rb") as file:
            rest = b""
            while piece := file.read(_PIECE):
                yield rest + piece
                rest = piece[-_OVERLAP:]
    except FileNotFoundError:  # a file of a replica that has just gone
        return
