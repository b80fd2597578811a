"""The price before it costs: a shell that is not placed yet has none of its own, so the project's list is asked."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from typing import Protocol

from devboxgpu.errors import DevBoxGpuError
from devboxgpu.wire import Json, Money, Shell, items_of, mapping_of, text_of

PATIENCE_S = 0.5
"""How long the first word waits for the list once the shell is opened."""


class OfferService(Protocol):
    def list_offers(self) -> list[Json]: ...


class ListPrice:
    """Made within a running event loop; asks at once, on a thread that nobody waits for at the end."""

    def __init__(self, api: OfferService) -> None:
        self._api = api
        self._loop = asyncio.get_running_loop()
        self._offers: asyncio.Future[list[Json]] = self._loop.create_future()
        threading.Thread(target=self._ask, name="devboxgpu-prices", daemon=True).start()

    async def of(self, shell: Shell) -> Money | None:
        """None where the list does not say, or does not come soon."""
        await asyncio.wait({self._offers}, timeout=PATIENCE_S)
        return listed_price(self._offers.result(), shell) if self._offers.done() else None

    def _ask(self) -> None:
        try:
            offers = self._api.list_offers()
        except DevBoxGpuError:
            offers = []
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile: nobody needs the list
            self._loop.call_soon_threadsafe(self._offers.set_result, offers)


def listed_price(offers: Sequence[Json], shell: Shell) -> Money | None:
    """An hour of the shell's GPU in its region, or in the first that the project would try."""
    for offer in offers:
        if text_of(offer, "gpuType") == shell.gpu_type:
            regions = [one for one in items_of(offer, "regions") if shell.region in {None, text_of(one, "name")}]
            prices = (Money.read(mapping_of(one, "price"), "amountPerHour") for one in regions)
            return next((price for price in prices if price is not None), None)
    return None
