"""The Cost Management stand-in: a bill that is set, grouped, paged and refused as the query of the real one is."""

import pytest

from localcloud.cost_management.web import CostManagementService
from localcloud.identity.tokens import InvalidToken

PATH = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CostManagement/query?api-version=2025-03-01"
TAG_AND_RESOURCE = [{"type": "TagKey", "name": "devboxgpu-session"}, {"type": "Dimension", "name": "ResourceId"}]


@pytest.fixture
def costs(server):
    async def check(token):
        if token != "good":
            raise InvalidToken("it is not good")
        return {}

    return server.serve(lambda origin: CostManagementService(origin=origin, check_token=check).app())


def question(first="2026-11-01", last="2026-11-30", **dataset):
    return {
        "type": "ActualCost",
        "timeframe": "Custom",
        "timePeriod": {"from": f"{first}T00:00:00Z", "to": f"{last}T23:59:59Z"},
        "dataset": {
            "granularity": "None",
            "aggregation": {"totalCost": {"name": "Cost", "function": "Sum"}},
            "grouping": TAG_AND_RESOURCE,
            **dataset,
        },
    }


@pytest.fixture
def ask(costs, fetch):
    def send(body, path=PATH, token="good"):
        return fetch("POST", f"{costs}{path}", body, Authorization=f"Bearer {token}")

    return send


def test_days_of_a_session_are_summed_within_the_time_asked_for(costs, fetch, ask):
    rows = [{"session": "one", "day": f"2026-11-{day:02d}", "cost": "0.5"} for day in (1, 2, 30)]
    fetch(
        "PUT", f"{costs}/_costs", {"rows": [*rows, {"session": "two", "day": "2026-11-02", "cost": 1, "tagged": False}]}
    )

    status, told = ask(question(last="2026-11-29"))

    assert status == 200
    assert [column["name"] for column in told["properties"]["columns"]] == [
        *("Cost", "TagKey", "TagValue", "ResourceId", "Currency")
    ]
    (one, two) = told["properties"]["rows"]
    assert (one[0], one[2], one[4]) == (1.0, "one", "USD")
    assert (two[2], two[3].rpartition("/")[2]) == ("", "dbg-two")


def test_a_long_bill_has_pages_that_are_asked_for_by_post(costs, fetch, ask):
    rows = [{"session": f"s{number}", "day": "2026-11-01", "cost": 1} for number in range(12)]
    fetch("PUT", f"{costs}/_costs", {"rows": rows})
    found, link = [], PATH
    while link:
        _, told = ask(question(), path=link.removeprefix(costs))
        found += told["properties"]["rows"]
        link = told["properties"]["nextLink"]

    assert len(found) == 12
    fetch("DELETE", f"{costs}/_costs")
    assert ask(question())[1]["properties"]["rows"] == []


@pytest.mark.parametrize(
    "odd",
    [
        {},
        [],
        {**question(), "type": "Forecast"},
        question(granularity="Daily"),
        question(grouping=[{"type": "Dimension", "name": "MeterCategory"}]),
        question(first="soon"),
    ],
)
def test_a_query_that_is_not_understood_is_refused(ask, odd):
    assert ask(odd)[0] == 400


def test_callers_are_told_apart_and_versions_checked(ask):
    assert ask(question(), token="bad")[0] == 401
    assert ask(question(), path=PATH.replace("2025-03-01", "1999-01-01"))[0] == 400


@pytest.mark.parametrize(
    "odd",
    [
        [],
        {"rows": {}},
        {"rows": [{"session": "s"}]},
        {"rows": [{"session": "s", "day": "x", "cost": 1}]},
        {"rows": [{"session": "s", "day": "2026-11-01", "cost": "much"}]},
    ],
)
def test_a_bill_that_is_not_understood_is_refused(costs, fetch, odd):
    assert fetch("PUT", f"{costs}/_costs", odd)[0] == 400
