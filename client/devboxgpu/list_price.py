"""The price before it costs: a shell that is not placed yet has none of its own, so the project's list is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from devboxgpu.errors import DevBoxGpuError
from devboxgpu.wire import Json, Money, Shell, items_of, mapping_of, text_of

PATIENCE_S = 0.5
"""How long the first word waits for the list once the shell is opened."""


class OfferService(Protocol):
    def list_offers(self) -> list[Json]: ...


class ListPrice:
    """Made within a running event loop; asks at once."""

    def __init__(self, api: OfferService) -> None:
        self._call = asyncio.create_task(asyncio.to_thread(api.list_offers))

    async def of(self, shell: Shell) -> Money | None:
        """None where the list does not say, or does not come soon."""
        await asyncio.wait({self._call}, timeout=PATIENCE_S)
        if not self._call.done() or self._call.cancelled():
            return None
        error = self._call.exception()
        if isinstance(error, DevBoxGpuError):
            return None
        return listed_price(self._call.result(), shell)

    def forget(self) -> None:
        """The list is not needed any more."""
        self._call.cancel()


def listed_price(offers: Sequence[Json], shell: Shell) -> Money | None:
    """An hour of the shell's GPU in its region, or in the first that the project would try."""
    for offer in offers:
        if text_of(offer, "gpuType") == shell.gpu_type:
            regions = [one for one in items_of(offer, "regions") if shell.region in {None, text_of(one, "name")}]
            prices = (Money.read(mapping_of(one, "price"), "amountPerHour") for one in regions)
            return next((price for price in prices if price is not None), None)
    return None
