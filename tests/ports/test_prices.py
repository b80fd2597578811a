"""List prices: the paid tier, in our currency and unit, whole or unknown; and what stands in where there are none."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from port_harness import clear, put

from shared.domain.bundled_prices import AS_OF, BUNDLED
from shared.domain.pricing import GpuType, PriceSource
from shared.ports.prices import RetailPrices

PATH = "/api/retail/prices"
T4_METER = "Standard NC T4 v3 GPU Usage"
VCPU = "Standard vCPU Active Usage"
MEMORY = "Standard Memory Active Usage"
T4_IN_EASTUS = Decimal("0.000073") + 8 * Decimal("0.000024") + 56 * Decimal("0.000003")


def row(meter: str, price: object, **more: object) -> dict[str, object]:
    unit = "1 GiB Second" if "Memory" in meter else "1 Second"
    return {
        "currencyCode": "USD",
        "tierMinimumUnits": 0.0,
        "retailPrice": price,
        "unitPrice": price,
        "armRegionName": "eastus",
        "effectiveStartDate": "2026-02-01T00:00:00Z",
        "meterName": meter,
        "unitOfMeasure": unit,
        "type": "Consumption",
        **more,
    }


def page(*items: dict[str, object], following: str | None = None, **more: object) -> dict[str, object]:
    whole = {"BillingCurrency": "USD", "Items": list(items), "NextPageLink": following, "Count": len(items)}
    return {**whole, **more}


GPU = row(T4_METER, 0.000073, effectiveStartDate="2026-03-15T00:00:00Z")
OTHERS = (row(VCPU, 0.000024), row(MEMORY, 0.000003))


@pytest.fixture
def prices(service) -> RetailPrices:
    return RetailPrices(service.origin)


def told(service, prices, answer, *, region="eastus"):
    service.says("GET", PATH, answer)
    return prices.rate(region, GpuType.T4)


def test_a_rate_adds_gpu_cpus_and_memory_and_says_since_when_all_have_held(service, prices):
    rate = told(service, prices, page(GPU, *OTHERS))

    assert (rate.amount_per_second, rate.currency) == (T4_IN_EASTUS, "USD")
    assert (rate.source, rate.as_of) == (PriceSource.RETAIL, date(2026, 3, 15))
    assert prices.rate("eastus", GpuType.A100) is None, "a type without a meter has no price"


@pytest.mark.parametrize("tiers_first", [True, False])
def test_of_tiers_the_lowest_that_is_paid_counts_whatever_their_order(service, prices, tiers_first):
    tiers = [
        row(VCPU, 0.0),
        row(VCPU, 0.000024, tierMinimumUnits=180_000.0),
        row(VCPU, 0.000020, tierMinimumUnits=9_000_000.0),
    ]
    items = [GPU, OTHERS[1], *(tiers if tiers_first else reversed(tiers))]

    assert told(service, prices, page(*items)).amount_per_second == T4_IN_EASTUS


def test_of_two_starts_the_later_that_has_come_counts(service, prices):
    before = row(VCPU, 0.000030, effectiveStartDate="2025-01-01T00:00:00Z")
    ahead = row(VCPU, 0.000090, effectiveStartDate="2999-01-01T00:00:00Z")

    assert told(service, prices, page(GPU, before, ahead, *OTHERS)).amount_per_second == T4_IN_EASTUS


@pytest.mark.parametrize(
    "items",
    [
        [GPU, OTHERS[0]],
        [GPU, row(VCPU, 0.0), OTHERS[1]],
        [GPU, row(VCPU, 0.000022, currencyCode="EUR"), OTHERS[1]],
        [GPU, row(VCPU, 0.0864, unitOfMeasure="1 Hour"), OTHERS[1]],
        [GPU, OTHERS[0], row(MEMORY, 0.000003, unitOfMeasure="1 Second")],
        [GPU, row(VCPU, 0.000024, armRegionName="westus3"), OTHERS[1]],
        [GPU, row(VCPU, 0.000024, type="Reservation"), OTHERS[1]],
        [GPU, row(VCPU, -0.000024), OTHERS[1]],
        [GPU, row(VCPU, 0.000024), row(VCPU, 0.000025), OTHERS[1]],
        [row("Standard NC T4 v3 GPU usage, preview", 0.000073), *OTHERS],
        [],
    ],
    ids=[
        *("no memory", "free grant alone", "euros", "an hour's price", "not by GiB", "elsewhere", "reserved"),
        *("negative", "two prices at once", "another meter", "nothing"),
    ],
)
def test_a_meter_without_one_clear_price_leaves_the_rate_unknown_and_nothing_stands_in(service, prices, items):
    assert told(service, prices, page(*items)) is None
    assert prices.known("eastus", GpuType.T4) is None


WHOLE = page(GPU, *OTHERS)
UNREADABLE = [
    (b"<html>a proxy's page</html>", 200),
    (b"<html>gone</html>", 503),
    ({"Error": {"Code": "429"}}, 429),
    (b'{"BillingCurrency": "USD", "Items": [', 200),
    ({**WHOLE, "Count": 7}, 200),
    ({**WHOLE, "BillingCurrency": "EUR"}, 200),
    ({name: WHOLE[name] for name in ("BillingCurrency", "Items", "Count")}, 200),
    ({**WHOLE, "Items": ["odd", "odd", "odd"]}, 200),
    (page({**GPU, "retailPrice": "cheap"}), 200),
    (page({**GPU, "effectiveStartDate": "2026-03-15"}), 200),
    (page(GPU, *OTHERS, following="http://elsewhere.example/api/retail/prices"), 200),
    (page(GPU, *OTHERS, following="https://127.0.0.1/api/retail/prices"), 200),
]


@pytest.mark.parametrize(("body", "status"), UNREADABLE)
def test_where_the_list_cannot_be_had_whole_the_bundled_table_stands_in_and_says_so(service, prices, body, status):
    service.says("GET", PATH, body, status)
    assert prices.known("eastus", GpuType.T4) is None, "nobody has asked yet"

    rate = prices.rate("eastus", GpuType.T4)

    assert (rate.source, rate.as_of, rate.amount_per_second) == (PriceSource.BUNDLED, AS_OF, T4_IN_EASTUS)
    assert prices.known("eastus", GpuType.T4) == rate
    assert prices.rate("westus3", GpuType.T4) is None, "a region that the table does not have stays unknown"


@pytest.mark.parametrize(("body", "status"), UNREADABLE)
def test_what_was_known_goes_over_the_bundled_table(service, prices, pass_time, body, status):
    known = told(service, prices, page(row(T4_METER, 0.000080), *OTHERS))
    service.says("GET", PATH, body, status)
    pass_time(365 * 86_400)

    assert prices.rate("eastus", GpuType.T4) == known
    assert known.source is PriceSource.RETAIL


def test_prices_are_asked_for_once_in_six_hours_and_a_failure_once_a_minute(service, prices, pass_time):
    service.says("GET", PATH, b"<html/>", 503)
    for _ in range(3):
        assert prices.rate("eastus", GpuType.T4).source is PriceSource.BUNDLED
    assert len(service.asked) == 1

    pass_time(61)
    for _ in range(3):
        assert told(service, prices, page(GPU, *OTHERS)).source is PriceSource.RETAIL
    assert len(service.asked) == 2

    pass_time(6 * 3600 + 1)
    prices.rate("eastus", GpuType.T4)
    assert len(service.asked) == 3


def test_pages_are_followed_and_one_that_fails_spoils_the_list(service, prices, pass_time):
    first = page(GPU, following=f"{service.origin}{PATH}/second?$skip=1")
    service.says("GET", PATH, first)
    assert prices.rate("eastus", GpuType.T4).source is PriceSource.BUNDLED, "half a list is none"

    service.says("GET", f"{PATH}/second", page(*OTHERS))
    pass_time(61)
    assert prices.rate("eastus", GpuType.T4).source is PriceSource.RETAIL


def test_pages_that_lead_in_a_circle_are_no_list(service, prices):
    assert told(service, prices, page(GPU, following=f"{service.origin}{PATH}")).source is PriceSource.BUNDLED
    assert len(service.asked) == 50


def test_the_bundled_table_has_whole_prices_only():
    for listed in BUNDLED.values():
        assert all(listed.rate(gpu_type) is not None for gpu_type in GpuType)


def test_the_local_clouds_list_is_read_over_its_pages(cloud):
    prices = RetailPrices(cloud.endpoints["prices"])
    faults = f"{cloud.endpoints['prices']}/_faults"

    put(faults, {"status": 503, "count": 1})
    assert prices.rate("swedencentral", GpuType.T4) is None
    clear(faults)
    rate = prices.rate("westus3", GpuType.A100)

    assert rate.amount_per_hour == Decimal("0.000529") * 3600 + 24 * Decimal("0.0864") + 220 * Decimal("0.0108")
    assert (rate.source, rate.as_of) == (PriceSource.RETAIL, date(2026, 1, 1))
