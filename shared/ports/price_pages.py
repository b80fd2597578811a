"""How the pages of the Retail Prices API are read (azure.md 7.3). No calls; what is not understood is unknown."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

import msgspec

from shared.domain.pricing import CURRENCY, UNITS, PriceList, PriceSource


class PricesUnknown(Exception):
    """The price list could not be had whole. Nothing follows from it: what was known before stays."""


class PriceRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What one unit of a meter costs from a number of units a month on."""

    currency_code: str
    tier_minimum_units: Decimal
    retail_price: Decimal
    arm_region_name: str
    effective_start_date: Annotated[datetime, msgspec.Meta(tz=True)]
    meter_name: str
    unit_of_measure: str
    type: str


class PricePage(msgspec.Struct, frozen=True, kw_only=True):
    currency: str = msgspec.field(name="BillingCurrency")
    items: list[PriceRow] = msgspec.field(name="Items")
    count: int = msgspec.field(name="Count")
    next_link: str | None = msgspec.field(name="NextPageLink")


def read_page(raw: bytes) -> PricePage:
    """Return the page; raise PricesUnknown where it is none, is not whole, or is in another currency."""
    try:
        page = msgspec.json.decode(raw, type=PricePage)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PricesUnknown(f"the answer is no page of prices: {error}") from error
    if page.count != len(page.items):
        raise PricesUnknown(f"a page of {page.count} prices has {len(page.items)}")
    if page.currency != CURRENCY:
        raise PricesUnknown(f"the prices are in {page.currency[:10]}, not in {CURRENCY}")
    return page


def price_list(region: str, rows: Iterable[PriceRow], now: datetime) -> PriceList:
    """Return the prices of the meters that sessions use; one whose rows leave its price open is not in it.

    A meter has a row for each tier: the monthly free grant at price 0, then what is paid beyond it. The lowest paid
    tier counts, as it holds now: a start that lies ahead does not, and of two starts the later does.
    """
    paid: dict[str, list[PriceRow]] = {}
    for row in rows:
        if _is_meant(row, region) and row.retail_price > 0 and row.effective_start_date <= now:
            paid.setdefault(row.meter_name, []).append(row)
    unit_prices: dict[str, Decimal] = {}
    since: dict[str, date] = {}
    for meter, of_meter in paid.items():
        lowest = min(row.tier_minimum_units for row in of_meter)
        starts = max(row.effective_start_date for row in of_meter if row.tier_minimum_units == lowest)
        prices = {
            row.retail_price
            for row in of_meter
            if row.tier_minimum_units == lowest and row.effective_start_date == starts
        }
        if len(prices) == 1:
            unit_prices[meter], since[meter] = prices.pop(), starts.date()
    return PriceList(unit_prices=unit_prices, currency=CURRENCY, source=PriceSource.RETAIL, since=since)


def _is_meant(row: PriceRow, region: str) -> bool:
    """Tell whether the row is of a meter that we use, here, in our currency and in the unit that we count in."""
    return (
        UNITS.get(row.meter_name) == row.unit_of_measure
        and row.arm_region_name == region
        and row.currency_code == CURRENCY
        and row.type == "Consumption"
    )
