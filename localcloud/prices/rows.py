"""The price rows of the local cloud.

Meter names, units, free grants and the East US figures are those of `reference/azure.md` sections 7.2 and 7.3; those
of the other regions are made up near them. Nothing is billed by these.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from localcloud.identity.people import NAMESPACE

SERVICE = "Azure Container Apps"
EFFECTIVE = "2026-01-01T00:00:00Z"
EXCHANGE_RATES = {"USD": Decimal(1), "EUR": Decimal("0.8621")}
FINEST_PRICE = Decimal("0.000000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """What is counted, in which unit, and how much of it a subscription gets free in a month."""

    name: str
    unit: str
    free_units: Decimal = Decimal(0)
    sku: str = "Standard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A region and its prices in USD a unit, in the order of METERS."""

    name: str
    location: str
    prices: tuple[str, ...]


METERS = (
    Meter(name="Standard NC T4 v3 GPU Usage", unit="1 Second"),
    Meter(name="Standard NC A100 v4 GPU Usage", unit="1 Second"),
    Meter(name="Standard vCPU Active Usage", unit="1 Second", free_units=Decimal(180_000)),
    Meter(name="Standard Memory Active Usage", unit="1 GiB Second", free_units=Decimal(360_000)),
    Meter(name="Standard vCPU Idle Usage", unit="1 Second"),
    Meter(name="Standard Memory Idle Usage", unit="1 GiB Second"),
    Meter(name="Standard Requests", unit="1M", free_units=Decimal(2)),
    Meter(name="Dedicated GPU Usage", unit="1 Hour", sku="Dedicated"),
)
CHEAP = ("0.000073", "0.000529", "0.000024", "0.000003", "0.000003", "0.000003", "0.4", "4.40")
REGIONS = (
    Region(name="eastus", location="US East", prices=CHEAP),
    Region(name="westus3", location="US West 3", prices=CHEAP),
    Region(
        name="swedencentral",
        location="SE Central",
        prices=("0.000079", "0.000571", "0.000026", "0.000003", "0.000003", "0.000003", "0.4", "4.75"),
    ),
    Region(
        name="australiaeast",
        location="AU East",
        prices=("0.000088", "0.000635", "0.000034", "0.000004", "0.000004", "0.000004", "0.4", "5.28912"),
    ),
)


@cache
def price_rows(currency: str) -> tuple[dict[str, object], ...]:
    """Return every row in a currency of EXCHANGE_RATES; a meter with a free grant has a row for each tier."""
    return tuple(
        row
        for region in REGIONS
        for meter, price_usd in zip(METERS, region.prices, strict=True)
        for row in _tiers(region, meter, Decimal(price_usd), currency)
    )


def _tiers(region: Region, meter: Meter, price_usd: Decimal, currency: str) -> Iterator[dict[str, object]]:
    if meter.free_units:
        yield _row(region, meter, tier=Decimal(0), price=Decimal(0), currency=currency)
    price = (price_usd * EXCHANGE_RATES[currency]).quantize(FINEST_PRICE)
    yield _row(region, meter, tier=meter.free_units, price=price, currency=currency)


def _row(region: Region, meter: Meter, *, tier: Decimal, price: Decimal, currency: str) -> dict[str, object]:
    return {
        "currencyCode": currency,
        "tierMinimumUnits": float(tier),
        "retailPrice": float(price),
        "unitPrice": float(price),
        "armRegionName": region.name,
        "location": region.location,
        "effectiveStartDate": EFFECTIVE,
        "meterId": str(uuid.uuid5(NAMESPACE, f"{region.name} {meter.name}")),
        "meterName": meter.name,
        "productId": "DZH318Z0LOCAL",
        "skuId": f"DZH318Z0LOCAL/{METERS.index(meter):04d}",
        "productName": SERVICE,
        "skuName": meter.sku,
        "serviceName": SERVICE,
        "serviceId": "DZH31LOCAL",
        "serviceFamily": "Containers",
        "unitOfMeasure": meter.unit,
        "type": "Consumption",
        "isPrimaryMeterRegion": True,
        "armSkuName": "",
    }
