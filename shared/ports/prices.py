"""What a session costs by the second: list prices from the Retail Prices API (azure.md 7.3), remembered for hours."""

from __future__ import annotations

from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from azure.core import PipelineClient
from azure.core.exceptions import AzureError
from azure.core.rest import HttpRequest

from shared.domain.bundled_prices import BUNDLED
from shared.domain.pricing import CURRENCY, GpuType, PriceList, Rate
from shared.ports.clock import utc_now
from shared.ports.price_pages import PricePage, PricesUnknown, price_list, read_page
from shared.ports.recent_answers import RecentAnswers

API_VERSION = "2023-01-01-preview"
REMEMBERED_S = 6 * 3600.0
ASKED_AGAIN_S = 60.0
MOST_PAGES = 50


class Prices(Protocol):
    """List prices by region."""

    def rate(self, region: str, gpu_type: GpuType) -> Rate | None:
        """Return what a session costs there; None where the price is not known now: never a guess."""

    def known(self, region: str, gpu_type: GpuType) -> Rate | None:
        """Return what is remembered of that price, without asking."""


class RetailPrices:
    """The public Retail Prices API, without sign-in.

    Where it cannot be had, what it said before holds for as long as this process lives; where it never answered, the
    bundled table does, and its rates say so. A failed question is not repeated for a minute.
    """

    def __init__(self, endpoint: str) -> None:
        self._client: PipelineClient[Any, Any] = PipelineClient(endpoint)
        self._endpoint = endpoint
        self._regions: RecentAnswers[str, PriceList] = RecentAnswers(
            fresh_s=REMEMBERED_S, usable_s=float("inf"), again_s=ASKED_AGAIN_S, unknown=PricesUnknown
        )
        self._unanswered: set[str] = set()

    def rate(self, region: str, gpu_type: GpuType) -> Rate | None:
        try:
            return self._regions.recall(region, lambda: self._ask(region)).rate(gpu_type)
        except PricesUnknown:
            self._unanswered.add(region)
            return self.known(region, gpu_type)

    def known(self, region: str, gpu_type: GpuType) -> Rate | None:
        prices = self._regions.known(region)
        if prices is None and region in self._unanswered:
            prices = BUNDLED.get(region)
        return prices.rate(gpu_type) if prices else None

    def _ask(self, region: str) -> PriceList:
        """Return the region's prices over all pages; raise PricesUnknown where one page cannot be had or is odd."""
        wanted = f"serviceName eq 'Azure Container Apps' and armRegionName eq '{region}' and priceType eq 'Consumption'"
        url: str | None = (
            f"{self._endpoint}/api/retail/prices?api-version={API_VERSION}&currencyCode='{CURRENCY}'"
            f"&$filter={quote(wanted)}"
        )
        pages: list[PricePage] = []
        while url:
            if len(pages) == MOST_PAGES:
                raise PricesUnknown(f"the price list of {region} does not end after {MOST_PAGES} pages")
            pages.append(self._page(url))
            url = pages[-1].next_link
        return price_list(region, [row for page in pages for row in page.items], utc_now())

    def _page(self, url: str) -> PricePage:
        here, there = urlsplit(self._endpoint), urlsplit(url)
        if (there.scheme, there.hostname) != (here.scheme, here.hostname):
            raise PricesUnknown(f"the next page of prices is said to be elsewhere: {url[:100]}")
        try:
            answer = self._client.send_request(HttpRequest("GET", url), connection_timeout=3, read_timeout=5)
            answer.raise_for_status()
            return read_page(answer.content)
        except AzureError as error:
            raise PricesUnknown(f"the Retail Prices API did not answer: {error}") from error
