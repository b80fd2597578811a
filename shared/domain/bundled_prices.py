"""List prices that we bring along, for when the Retail Prices API cannot be had and nothing of it is remembered.

They are the figures of reference/azure.md 7.3, and only regions whose figures are whole are here: for another region
the price is unknown, which is better than a guess.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from shared.domain.pricing import CURRENCY, MEMORY_METER, SHAPES, VCPU_METER, GpuType, PriceList, PriceSource

AS_OF = date(2026, 9, 1)
"""The figures were captured in August and September 2026."""


def _prices(t4: str, a100: str, vcpu: str, memory: str) -> PriceList:
    unit_prices = {
        SHAPES[GpuType.T4].gpu_meter: Decimal(t4),
        SHAPES[GpuType.A100].gpu_meter: Decimal(a100),
        VCPU_METER: Decimal(vcpu),
        MEMORY_METER: Decimal(memory),
    }
    since = dict.fromkeys(unit_prices, AS_OF)
    return PriceList(unit_prices=unit_prices, currency=CURRENCY, source=PriceSource.BUNDLED, since=since)


BUNDLED: dict[str, PriceList] = {
    "eastus": _prices(t4="0.000073", a100="0.000529", vcpu="0.000024", memory="0.000003"),
    "canadacentral": _prices(t4="0.000088", a100="0.000635", vcpu="0.000034", memory="0.000004"),
}
"""By region; USD a second, and a GiB-second for memory."""
