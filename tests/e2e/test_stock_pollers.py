"""The vendor's own pollers drive our long operations, as the clients do that generators make."""

from __future__ import annotations

from typing import Any

import pytest
from azure.core import PipelineClient
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.policies import HeadersPolicy, RequestIdPolicy, RetryPolicy
from azure.core.polling import LROPoller
from azure.core.polling.base_polling import LROBasePolling
from azure.core.rest import HttpRequest

from tests.e2e.people import API_VERSION, Person, new_shell_id


def opening_poller(client: PipelineClient, dev: Person) -> LROPoller[dict[str, Any]]:
    """Open a shell as a client made by the vendor's generator does, and return the poller of its opening."""
    url = f"{dev.api}/projects/demo/users/me/shells/{new_shell_id()}?api-version={API_VERSION}"
    first = client.send_request(HttpRequest("PUT", url, json={}), _return_pipeline_response=True)
    assert first.http_response.status_code == 201
    under_way = first.http_response.json()["state"] != "Ended"
    assert ("Retry-After" in first.http_response.headers) is under_way, "told when to ask again, where that is of use"
    return LROPoller(client, first, lambda done: done.http_response.json(), LROBasePolling(timeout=1))


def stock_client(dev: Person) -> PipelineClient:
    signed = HeadersPolicy({"Authorization": f"Bearer {dev.token}"})
    return PipelineClient(dev.api, policies=[RequestIdPolicy(), signed, RetryPolicy()])


def test_a_stock_azure_core_poller_follows_the_opening_to_its_end(stack, dev):
    with stock_client(dev) as client:
        poller = opening_poller(client, dev)
        view = poller.result(timeout=90)

    assert poller.status() == "Succeeded"
    assert view["state"] == "Running"
    dev.persistently("POST", f"sessions/{view['session']}/stop")


def test_a_stock_azure_core_poller_follows_a_stop_until_the_app_is_gone(stack, dev):
    held = dev.opened()
    with stock_client(dev) as client:
        url = f"{dev.api}/projects/demo/sessions/{held.session}/stop?api-version={API_VERSION}"
        first = client.send_request(HttpRequest("POST", url, json={}), _return_pipeline_response=True)
        assert first.http_response.status_code == 202
        poller = LROPoller(client, first, lambda done: done.http_response.json(), LROBasePolling(timeout=1))
        monitor = poller.result(timeout=90)

    assert poller.status() == "Succeeded"
    assert monitor["session"] == held.session
    assert all(app["deletedAt"] is not None for app in stack.truth_of(held.app))


def test_a_stock_azure_core_poller_reports_a_refusal_with_its_code(stack, dev):
    stack.settings({"maxConcurrentSessionsPerUser": 1})
    held = dev.opened()

    with stock_client(dev) as client, pytest.raises(HttpResponseError, match="UserGpuLimitReached"):
        opening_poller(client, dev).result(timeout=90)

    held.close()
