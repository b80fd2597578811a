"""The prices stand-in's HTTP side: the Retail Prices API's question and answer, paged.

Pages are short, so that following NextPageLink is an everyday path; the real service's hold 1,000 rows.
"""

from __future__ import annotations

from aiohttp import web

from localcloud.outage import with_outage
from localcloud.prices.price_filter import FilterError, read_filter
from localcloud.prices.rows import EXCHANGE_RATES, price_rows

PATH = "/api/retail/prices"
PAGE_SIZE = 10


class PricesService:
    """Answers for the Retail Prices API at `origin`, to anyone."""

    def __init__(self, *, origin: str) -> None:
        self._origin = origin

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get(PATH, self._prices)
        return with_outage(app)

    async def _prices(self, request: web.Request) -> web.Response:
        query = request.query
        currency = query.get("currencyCode", "USD").strip("'").upper()
        if currency not in EXCHANGE_RATES:
            return _bad_request(f"there are no prices in {currency!r}, only in {', '.join(EXCHANGE_RATES)}")
        try:
            matches = read_filter(query.get("$filter", ""))
            skip = int(query.get("$skip", "0"))
        except FilterError as error:
            return _bad_request(str(error))
        except ValueError:
            return _bad_request("$skip is a number")
        if skip < 0:
            return _bad_request("$skip is not below 0")
        found = [row for row in price_rows(currency) if matches(row)]
        shown = found[skip : skip + PAGE_SIZE]
        following = None
        if len(found) > skip + PAGE_SIZE:
            following = f"{self._origin}{request.rel_url.update_query({'$skip': str(skip + PAGE_SIZE)})}"
        return web.json_response(
            {
                "BillingCurrency": currency,
                "CustomerEntityId": "Default",
                "CustomerEntityType": "Retail",
                "Items": shown,
                "NextPageLink": following,
                "Count": len(shown),
            }
        )


def _bad_request(message: str) -> web.Response:
    return web.json_response({"Error": {"Code": "400", "Message": message}}, status=400)
