"""What a session costs by the second: list prices from the Retail Prices API (azure.md 7.3), remembered for hours."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from threading import Lock
from typing import Any, Protocol
from urllib.parse import quote

from azure.core import PipelineClient
from azure.core.exceptions import AzureError
from azure.core.rest import HttpRequest

from shared.domain.pricing import GpuType, Rate, session_rate
from shared.ports.clock import elapsed_s

API_VERSION = "2023-01-01-preview"
REMEMBERED_S = 6 * 3600.0
CURRENCY = "USD"
SECOND_UNITS = frozenset({"1 Second", "1 GiB Second"})


class Prices(Protocol):
    """List prices by region."""

    def rate(self, region: str, gpu_type: GpuType) -> Rate | None:
        """Return what a session costs there; None where the price is not known now: never a guess."""

    def known(self, region: str, gpu_type: GpuType) -> Rate | None:
        """Return what is remembered of that price, without asking."""


@dataclass(frozen=True, slots=True)
class _Remembered:
    unit_prices: dict[str, Decimal]
    until_s: float


class RetailPrices:
    """The public Retail Prices API, without sign-in."""

    def __init__(self, endpoint: str) -> None:
        self._client: PipelineClient[Any, Any] = PipelineClient(endpoint)
        self._endpoint = endpoint
        self._regions: dict[str, _Remembered] = {}
        self._guard = Lock()

    def rate(self, region: str, gpu_type: GpuType) -> Rate | None:
        with self._guard:
            known = self._regions.get(region)
            if known is None or known.until_s < elapsed_s():
                asked = self._ask(region)
                if asked is not None:
                    known = self._regions[region] = _Remembered(asked, elapsed_s() + REMEMBERED_S)
        return session_rate(gpu_type, known.unit_prices, CURRENCY) if known else None

    def known(self, region: str, gpu_type: GpuType) -> Rate | None:
        with self._guard:
            known = self._regions.get(region)
        return session_rate(gpu_type, known.unit_prices, CURRENCY) if known else None

    def _ask(self, region: str) -> dict[str, Decimal] | None:
        """Return unit prices by meter, None where they cannot be had."""
        wanted = f"serviceName eq 'Azure Container Apps' and armRegionName eq '{region}' and priceType eq 'Consumption'"
        url = (
            f"{self._endpoint}/api/retail/prices?api-version={API_VERSION}&currencyCode='{CURRENCY}'"
            f"&$filter={quote(wanted)}"
        )
        paid: dict[str, tuple[Decimal, Decimal]] = {}
        while url:
            try:
                answer = self._client.send_request(HttpRequest("GET", url), connection_timeout=3, read_timeout=5)
                answer.raise_for_status()
                page = answer.json()
                for item in page["Items"]:
                    _take_paid_tier(paid, item)
            except (AzureError, ValueError, KeyError, ArithmeticError):
                return None
            url = page.get("NextPageLink") or ""
        return {meter: price for meter, (_, price) in paid.items()}


def _take_paid_tier(paid: dict[str, tuple[Decimal, Decimal]], item: dict[str, Any]) -> None:
    """Keep a meter's highest tier: the lower ones are the monthly free grant at price 0 (azure.md 7.3)."""
    if item.get("currencyCode") != CURRENCY or item.get("unitOfMeasure") not in SECOND_UNITS:
        return
    tier, price = Decimal(str(item["tierMinimumUnits"])), Decimal(str(item["retailPrice"]))
    known = paid.get(item["meterName"])
    if known is None or tier > known[0]:
        paid[item["meterName"]] = (tier, price)
