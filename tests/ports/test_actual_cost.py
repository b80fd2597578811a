"""What Azure has billed: by tag or by the app's name, over all pages, or unknown."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from port_harness import SUBSCRIPTION, AnyToken, ManagedIdentity, clear, put

from shared.domain.names import ProjectId, SessionId
from shared.domain.reconciliation import Actual
from shared.ports.actual_cost import CostManagement, CostUnknown

ONE, TWO, FOREIGN = (SessionId(letter * 26) for letter in "abc")
DEMO = ProjectId("demo")
PROJECTS = {ONE: DEMO, TWO: DEMO, FOREIGN: ProjectId("other")}
FIRST, LAST = date(2026, 11, 1), date(2026, 11, 30)
QUERY = "/providers/Microsoft.CostManagement/query"
COLUMNS = ["Cost", "TagKey", "TagValue", "ResourceId", "Currency"]


def answer(*rows: list[object], following: object = None, columns: list[str] = COLUMNS) -> dict[str, object]:
    named = [{"name": name, "type": "String"} for name in columns]
    return {"properties": {"nextLink": following, "columns": named, "rows": list(rows)}}


def row(cost: object, *, tag: str = "", app: str = "", currency: object = "USD") -> list[object]:
    return [cost, "devboxgpu-session", tag, f"/subscriptions/s/providers/microsoft.app/containerapps/{app}", currency]


@pytest.fixture
def costs(service) -> CostManagement:
    return CostManagement(credential=AnyToken(), endpoint=service.origin, scope="scope", project_of=PROJECTS.get)


def usd(amount: str) -> Actual:
    return Actual(amount=Decimal(amount), currency="USD")


def test_a_session_is_known_by_its_tag_or_by_its_apps_name_and_others_do_not_count(service, costs):
    rows = [
        row(0.1234567891, tag=ONE, app=f"dbg-{ONE}"),
        row(1, app=f"dbg-{ONE}"),
        row(0.25, app=f"DBG-{TWO}".lower()),
        row(9, tag=FOREIGN),
        row(9, tag="d" * 26),
        row(9, app="somebody-elses"),
        row(9, tag="'; drop"),
    ]
    service.says("POST", QUERY, answer(*rows))

    assert costs.by_session(DEMO, FIRST, LAST) == {ONE: usd("1.123457"), TWO: usd("0.25")}


def test_columns_are_found_by_name_in_any_order(service, costs):
    columns = [*reversed(COLUMNS)]
    service.says("POST", QUERY, answer([*reversed(row(0.5, tag=ONE))], columns=columns))

    assert costs.by_session(DEMO, FIRST, LAST) == {ONE: usd("0.5")}


def test_numbers_are_read_as_they_are_written(service, costs):
    service.says("POST", QUERY, answer(*(row(0.1, tag=ONE) for _ in range(3))))

    assert costs.by_session(DEMO, FIRST, LAST)[ONE].amount == Decimal("0.3")


def test_a_bill_in_another_currency_says_so_and_one_in_two_is_unknown(service, costs):
    service.says("POST", QUERY, answer(row(0.5, tag=ONE, currency="EUR")))
    assert costs.by_session(DEMO, FIRST, LAST)[ONE].currency == "EUR"

    service.says("POST", QUERY, answer(row(0.5, tag=ONE, currency="EUR"), row(0.5, tag=ONE)))
    with pytest.raises(CostUnknown, match="in EUR and in USD"):
        costs.by_session(DEMO, FIRST, LAST)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"<html>signed out</html>", 200),
        (b"<html>gone</html>", 503),
        ({"error": {"code": "AuthorizationFailed"}}, 403),
        ({"error": {"code": "ResourceGroupNotFound"}}, 404),
        ({"properties": {"rows": []}}, 200),
        (answer([1, 2], columns=["Cost", "Currency"]), 200),
        (answer(row(0.5, tag=ONE)[:4]), 200),
        (answer(row("much", tag=ONE)), 200),
        (answer(row(True, tag=ONE)), 200),
        (answer(row(0.5, tag=ONE, currency=None)), 200),
        (answer(row(1e40, tag=ONE)), 200),
        (answer(row(0.5, tag=ONE), following="http://elsewhere.example/next"), 200),
    ],
)
def test_what_is_not_a_whole_bill_is_unknown_and_never_nothing(service, costs, body, status):
    service.says("POST", QUERY, body, status)

    with pytest.raises(CostUnknown):
        costs.by_session(DEMO, FIRST, LAST)


def test_pages_that_lead_in_a_circle_are_no_bill(service, costs):
    service.says("POST", QUERY, answer(row(0.5, tag=ONE), following=f"{service.origin}/scope{QUERY}"))

    with pytest.raises(CostUnknown, match="does not end"):
        costs.by_session(DEMO, FIRST, LAST)


@pytest.fixture
def local(cloud):
    scope = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/devboxgpu-sessions".strip("/")
    return CostManagement(
        credential=ManagedIdentity(cloud), endpoint=cloud.endpoints["costs"], scope=scope, project_of=PROJECTS.get
    )


def test_the_local_clouds_bill_is_read_over_its_pages(cloud, local):
    days = [{"session": ONE, "day": f"2026-11-{day:02d}", "cost": "0.01"} for day in range(1, 31)]
    others = [{"session": letter * 26, "day": "2026-11-05", "cost": "1", "tagged": False} for letter in "bdefghi"]
    put(f"{cloud.endpoints['costs']}/_costs", {"rows": [*days, *others]})

    assert local.by_session(DEMO, FIRST, LAST) == {ONE: usd("0.3"), TWO: usd("1")}
    assert local.by_session(DEMO, date(2026, 11, 2), date(2026, 11, 4)) == {ONE: usd("0.03")}


def test_a_throttled_question_says_when_to_ask_again(cloud, local):
    put(f"{cloud.endpoints['costs']}/_faults", {"status": 429})

    with pytest.raises(CostUnknown) as refused:
        local.by_session(DEMO, FIRST, LAST)

    assert refused.value.retry_after_s == 7
    clear(f"{cloud.endpoints['costs']}/_faults")
