"""The record of what was installed, so that all of it can be taken away again.

It is written before the first step: what a crash leaves behind is in it too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from devboxgpu.errors import DevBoxGpuError
from devboxgpu.install.steps import Part
from devboxgpu.wire import Json, items_of, text_of

VERSION = 1
KINDS = frozenset({"file", "block", "extension", "folder"})
KEPT_HASHES = 10


class UnreadableManifestError(DevBoxGpuError):
    """The record is there and says nothing; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    part: Part
    kind: str
    """One of KINDS: a whole file, lines of ours in a file, an extension of VS Code, a folder that was not there."""
    path: Path
    """Of an extension: the program that holds it."""
    hashes: tuple[str, ...] = ()
    """Of a file: what we have written there, newest last."""
    backup: Path | None = None
    """Of a file: where what stood there before is kept."""
    created: bool = False
    """Of lines in a file: the file was not there before."""

    def key(self) -> tuple[str, str]:
        return self.kind, str(self.path)

    def to_wire(self) -> dict[str, object]:
        return {
            "part": str(self.part),
            "kind": self.kind,
            "path": str(self.path),
            "hashes": list(self.hashes),
            "backup": str(self.backup) if self.backup else None,
            "created": self.created,
        }

    @classmethod
    def from_wire(cls, wire: Json) -> Record:
        part, kind, path = (text_of(wire, name) for name in ("part", "kind", "path"))
        if part not in list(Part) or kind not in KINDS or not path:
            raise ValueError(f"an entry is not understood: {json.dumps(wire)[:200]}")
        hashes, backup = wire.get("hashes"), text_of(wire, "backup")
        return cls(
            part=Part(part),
            kind=kind,
            path=Path(path),
            hashes=tuple(str(one) for one in hashes) if isinstance(hashes, list) else (),
            backup=Path(backup) if backup else None,
            created=wire.get("created") is True,
        )


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def merged(old: Sequence[Record], new: Sequence[Record]) -> tuple[Record, ...]:
    """Both; of the same thing the new one, with what the old one knew."""
    known = {record.key(): record for record in old}
    for record in new:
        before = known.get(record.key())
        known[record.key()] = record if before is None else _joined(before, record)
    return tuple(known.values())


def _joined(before: Record, after: Record) -> Record:
    return replace(
        after,
        hashes=tuple(dict.fromkeys([*before.hashes, *after.hashes]))[-KEPT_HASHES:],
        backup=before.backup or after.backup,
        created=before.created or after.created,
    )


def encoded(records: Sequence[Record]) -> bytes:
    wire = {"version": VERSION, "records": [record.to_wire() for record in records]}
    return (json.dumps(wire, indent=2) + "\n").encode()


def decoded(content: bytes | None, path: Path) -> tuple[Record, ...]:
    """The records; none where there is no record. Raises UnreadableManifestError."""
    if content is None:
        return ()
    try:
        wire = json.loads(content)
        if not isinstance(wire, dict) or wire.get("version") != VERSION:
            raise ValueError(f"it is not of version {VERSION}")
        return tuple(Record.from_wire(item) for item in items_of(wire, "records"))
    except ValueError as error:
        raise UnreadableManifestError(f"{path}, the record of what was installed, cannot be read: {error}") from None
