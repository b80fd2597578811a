"""Usage, bill and activity over the real stack: what a session used is what it cost, wherever it is told."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal

import pytest

from tests.e2e.command_line import CommandLine
from tests.e2e.http_calls import send
from tests.e2e.waiting import until


@pytest.fixture
def line(stack, dev, tmp_path):
    return CommandLine(stack, dev, tmp_path)


def usage_of(person, **query):
    answer = person.persistently("GET", "usage", query=query)
    assert answer.status == 200, answer.text
    return answer.json


def settled_usage(person, session):
    """Wait until the session's usage is settled, and return its lines."""

    def look():
        lines = [
            one for one in usage_of(person, groupBy="session,gpuType,region")["value"] if one["session"] == session
        ]
        return lines if lines and not any(one["estimated"] for one in lines) else None

    return until(look, f"the usage of {session} to be settled")


def test_what_a_session_used_is_estimated_while_it_runs_and_settles_to_its_cost(stack, dev, line):
    shell = dev.opened(labels={"team": "vision"})
    running = usage_of(dev)["totals"]
    assert (running["estimated"], running["sessions"]) == (True, 1)
    assert running["seconds"] > 0
    until(lambda: usage_of(dev)["totals"]["seconds"] > running["seconds"], "the estimate to grow")

    shell.close()
    view = shell.ended("ShellsClosed")
    lines = settled_usage(dev, shell.session)

    assert sum(one["seconds"] for one in lines) == view["durationSeconds"]
    assert sum(Decimal(one["cost"]) for one in lines) == Decimal(view["cost"]["amount"])
    (truth,) = stack.truth_of(shell.app)
    assert truth["gpuSeconds"] <= view["durationSeconds"] <= truth["gpuSeconds"] + 5
    told = line.data("usage", "--group-by", "label:team", "--by", "total")
    assert [(one["label"], one["cost"]) for one in told["value"]] == [("vision", view["cost"]["amount"])]
    records = csv.DictReader(io.StringIO(line.run("usage", "-o", "csv", "--group-by", "session").stdout))
    assert {record["session"] for record in records} == {shell.session}
    typed = dev.call("GET", "usage", headers={"Accept": "text/csv"})
    assert (typed.status, typed.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert "1 session" in line.run("usage", "--chart").stdout


def test_an_administrator_sees_all_usage_and_activity_and_holds_them_against_the_bill(stack, dev, line):
    shell = dev.opened()
    shell.close()
    shell.ended("ShellsClosed")
    lines = settled_usage(dev, shell.session)
    cost = sum(Decimal(one["cost"]) for one in lines)
    bill = [{"session": shell.session, "day": one["start"], "cost": one["cost"], "tagged": False} for one in lines]
    assert send("PUT", f"{stack.endpoints['costs']}/_costs", {"rows": bill}).status == 200
    carol = CommandLine(stack, stack.person("carol"), line.home)

    told = carol.data("project", "usage", "--reconcile")
    (compared,) = [one for one in told["value"] if one["session"] == shell.session]
    assert (compared["estimated"], compared["actual"]) == (f"{cost:.6f}", f"{cost:.6f}")
    assert compared["difference"] == "0.000000"

    happened = carol.data("project", "activity", "--since", "1h", "--session", shell.session)
    types = [one["type"].removeprefix("DevBoxGpu.") for one in happened]
    assert types[0] == "Session.Ended"
    assert types[-1] == "Session.Requested"
    assert len({one["id"] for one in happened}) == len(happened)
    assert line.run("project", "activity").returncode == 1
    assert dev.call("GET", "usage/reconciliation").error_code == "Forbidden"


def test_prices_that_cannot_be_had_leave_usage_unpriced_and_the_bill_out_of_order_is_unknown(stack, dev):
    send("PUT", f"{stack.endpoints['prices']}/_faults", {"status": 503})
    send("PUT", f"{stack.endpoints['costs']}/_faults", {"status": 429})
    try:
        with stack.under():  # a host that has not asked for prices yet
            shell = dev.opened()
            shell.close()
            shell.ended("ShellsClosed")
            (line,) = settled_usage(dev, shell.session)
            answer = stack.person("carol").call("GET", "usage/reconciliation")
    finally:
        for service in ("prices", "costs"):
            send("DELETE", f"{stack.endpoints[service]}/_faults")

    assert "cost" not in line
    assert line["unpricedSeconds"] == line["seconds"] > 0
    assert (answer.status, answer.headers["Retry-After"]) == (503, "7"), json.dumps(answer.json)
