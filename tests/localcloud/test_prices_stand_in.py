"""The prices stand-in: filters, pages, tiers and currencies."""

from urllib.parse import quote

import pytest

from localcloud.prices.price_filter import FilterError, read_filter
from localcloud.prices.web import PATH, PricesService

CONTAINER_APPS = "serviceName eq 'Azure Container Apps'"


@pytest.fixture
def prices(server):
    return server.serve(lambda origin: PricesService(origin=origin).app())


@pytest.fixture
def all_rows(prices, fetch):
    """Ask with a filter and follow the pages to the end."""

    def rows(text, currency="USD"):
        link = f"{prices}{PATH}?api-version=2023-01-01-preview&currencyCode={quote(currency)}&$filter={quote(text)}"
        found = []
        while link:
            status, page = fetch("GET", link)
            assert status == 200, page
            assert page["Count"] == len(page["Items"])
            found += page["Items"]
            link = page["NextPageLink"]
        return found

    return rows


def hourly(rows, meter, units):
    (price,) = [row["retailPrice"] for row in rows if row["meterName"] == meter and row["retailPrice"] > 0]
    return price * 3600 * units


@pytest.mark.parametrize("region", ["eastus", "westus3", "swedencentral", "australiaeast"])
def test_a_region_has_every_meter_once_over_all_pages(all_rows, region):
    rows = all_rows(f"{CONTAINER_APPS} and armRegionName eq '{region}' and priceType eq 'Consumption'")

    assert {row["armRegionName"] for row in rows} == {region}
    keys = [(row["meterName"], row["tierMinimumUnits"]) for row in rows]
    assert len(keys) == len(set(keys)) == 11


def test_a_t4_hour_in_west_us_3_costs_what_the_reference_says(all_rows):
    rows = all_rows(f"{CONTAINER_APPS} and armRegionName eq 'westus3'")

    total = (
        hourly(rows, "Standard NC T4 v3 GPU Usage", 1)
        + hourly(rows, "Standard vCPU Active Usage", 8)
        + hourly(rows, "Standard Memory Active Usage", 56)
    )

    assert total == pytest.approx(1.5588)


def test_a_free_grant_is_a_row_of_price_zero_below_the_paid_tier(all_rows):
    rows = all_rows("meterName eq 'Standard vCPU Active Usage' and armRegionName eq 'westus3'")

    assert [(row["tierMinimumUnits"], row["retailPrice"] > 0) for row in rows] == [(0, False), (180_000, True)]


def test_another_currency_has_another_rate(all_rows):
    text = "meterName eq 'Standard NC A100 v4 GPU Usage' and armRegionName eq 'westus3'"
    (usd,), (eur,) = all_rows(text), all_rows(text, "'EUR'")

    assert (usd["currencyCode"], eur["currencyCode"]) == ("USD", "EUR")
    assert 0 < eur["retailPrice"] < usd["retailPrice"]
    assert all_rows(f"{text} and currencyCode eq 'EUR'") == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", 44),
        ("armRegionName eq 'WestUS3'", 0),
        ("priceType eq 'Reservation'", 0),
        ("armRegionName eq 'eastus' or armRegionName eq 'westus3'", 22),
        ("contains(meterName, 'GPU') and (armRegionName eq 'eastus' or armRegionName eq 'westus3')", 6),
        ("armRegionName eq 'eastus' or armRegionName eq 'westus3' and contains(meterName,'GPU')", 14),
        ("armRegionName ne 'eastus'", 33),
        ("serviceName eq 'It''s another'", 0),
    ],
)
def test_filters_say_what_passes(all_rows, text, found):
    assert len(all_rows(text)) == found


@pytest.mark.parametrize(
    "text",
    [
        "armRegionName",
        "armRegionName eq",
        "armRegionName eq westus3",
        "planet eq 'earth'",
        "(type eq 'x'",
        "type eq 'x' )",
        "type eq 'x' and",
        "type gt 'x'",
        "type eq 'x",
        "contains(type)",
        "type eq 'x' type eq 'y'",
        "; drop",
    ],
)
def test_a_filter_that_cannot_be_read_is_refused(text, prices, fetch):
    with pytest.raises(FilterError):
        read_filter(text)

    assert fetch("GET", f"{prices}{PATH}?$filter={quote(text)}")[0] == 400


def test_a_currency_without_prices_is_refused_by_name(prices, fetch):
    status, body = fetch("GET", f"{prices}{PATH}?currencyCode=XTS")

    assert status == 400
    assert "XTS" in body["Error"]["Message"]


def test_prices_fail_on_demand_and_recover(prices, fetch):
    fetch("PUT", f"{prices}/_faults", {"status": 503, "count": 1})

    assert [fetch("GET", f"{prices}{PATH}")[0] for _ in range(2)] == [503, 200]
