"""Where and when GPUs were lately had: rows that every session adds to, read from memory where a decision is due."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from threading import Lock

from shared.domain.memory import Remembered, remembering
from shared.domain.placement import Place
from shared.domain.pricing import GpuType
from shared.domain.records import Row
from shared.ports.clock import elapsed_s
from shared.ports.tables import Insert, StorageUnavailable, Stored, Tables, Update

REMEMBERED_S = 60.0
TRIES = 3


class MemoryRow(Row, frozen=True, kw_only=True):
    """`capacity`, a partition a region, key `{type}-{hour}`: how tries of one hour of the day went."""

    remembered: Remembered


class CapacityMemory:
    """What is remembered helps to choose and promises nothing: trouble with storage is no trouble of a session's."""

    def __init__(self, tables: Tables, now: Callable[[], datetime]) -> None:
        self._tables, self._now = tables, now
        self._known: dict[tuple[str, str], Remembered] = {}
        self._read_at_s: dict[str, float] = {}
        self._guard = Lock()

    def note(self, place: Place, ready_s: float | None) -> None:
        """Remember one more try: seconds until its GPU was proved, None where none was had."""
        now, key = self._now(), self._key(place)
        try:
            for _ in range(TRIES):
                stored: Stored[MemoryRow] | None = self._tables.read("capacity", place.region, key, MemoryRow)
                after = remembering(stored.row.remembered if stored else None, now, ready_s=ready_s)
                row = MemoryRow(remembered=after)
                change = Update(key, row, stored.etag) if stored else Insert(key, row)
                if self._tables.commit("capacity", place.region, [change]):
                    with self._guard:
                        self._known[(place.region, key)] = after
                    return
        except StorageUnavailable:
            return

    def known(self, place: Place) -> Remembered | None:
        """Return what is remembered of this place and the present hour, without asking storage."""
        with self._guard:
            return self._known.get((place.region, self._key(place)))

    def refresh(self, regions: Iterable[str]) -> None:
        """Read what other processes have learnt, at most once a minute a region."""
        for region in regions:
            if elapsed_s() - self._read_at_s.get(region, -REMEMBERED_S) < REMEMBERED_S:
                continue
            self._read_at_s[region] = elapsed_s()
            try:
                found = self._tables.scan("capacity", region, (min(GpuType), "~"), MemoryRow)
            except StorageUnavailable:
                return
            with self._guard:
                self._known.update({(region, stored.key): stored.row.remembered for stored in found})

    def _key(self, place: Place) -> str:
        return f"{place.gpu_type}-{self._now():%H}"
