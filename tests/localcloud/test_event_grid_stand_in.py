"""The Event Grid stand-in: handshakes, delivery, retries, accidents, and publishing with the real client."""

import asyncio
from collections import Counter

import pytest
from aiohttp import web
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridEvent, EventGridPublisherClient

from localcloud.event_grid.retry import RetrySchedule
from localcloud.event_grid.web import EventGridService
from localcloud.identity.tokens import InvalidToken

TOPIC_KEY = "made-up-topic-key"
FAST = RetrySchedule(scale=0.0001)


def resource_event(number=1, **changes):
    return {
        "id": f"event-{number}",
        "topic": "/subscriptions/s",
        "subject": "/subscriptions/s/resourceGroups/g/providers/Microsoft.App/containerApps/dbg-1",
        "eventType": "Microsoft.Resources.ResourceWriteSuccess",
        "eventTime": "2026-11-21T10:00:00Z",
        "data": {"operationName": "Microsoft.App/containerApps/write"},
        "dataVersion": "2",
        "metadataVersion": "1",
    } | changes


class Webhook:
    """An endpoint with a mind of its own: how it answers the handshake, and what it says to each notification."""

    def __init__(self, *, handshake="echo", answers=()):
        self.handshake = handshake
        self.answers = list(answers)
        self.received = []
        self.headers = []
        self.validation_url = None

    def app(self, _origin):
        app = web.Application()
        app.router.add_post("/hook", self._post)
        app.router.add_options("/hook", self._options)
        return app

    async def _options(self, request):
        allowed = {"echo": request.headers["WebHook-Request-Origin"], "other": "example.org"}.get(self.handshake)
        return web.Response(headers={"WebHook-Allowed-Origin": allowed} if allowed else {})

    async def _post(self, request):
        body = await request.json()
        if request.headers["aeg-event-type"] == "SubscriptionValidation":
            return self._validated(body[0]["data"])
        self.received.append(body)
        self.headers.append(request.headers)
        return web.Response(status=self.answers.pop(0) if self.answers else 202)

    def _validated(self, data):
        self.validation_url = data["validationUrl"]
        match self.handshake:
            case "echo":
                return web.json_response({"validationResponse": data["validationCode"]})
            case "other":
                return web.json_response({"validationResponse": "something else"})
            case "silent":
                return web.Response()
        return web.Response(status=404)

    @property
    def ids(self):
        return [event["id"] for body in self.received for event in (body if isinstance(body, list) else [body])]


@pytest.fixture
def grid(server, tmp_path, now):
    """Start an Event Grid on the given subscription file; more than one call is a restart."""
    started = []

    async def check(token):
        if token != "good":
            raise InvalidToken("it is not good")
        return {}

    def start():
        def make(origin):
            service = EventGridService(
                origin=origin,
                topic_key=TOPIC_KEY,
                check_token=check,
                subscriptions_file=tmp_path / "subscriptions.json",
                now=now,
                schedule=FAST,
            )
            server.run(service.start())
            started.append(service)
            return service.app()

        origin = server.serve(make)
        return origin, started[-1]

    yield start
    for service in started:
        server.run(service.stop())


@pytest.fixture
def events(grid):
    return grid()[0]


@pytest.fixture
def hook(server):
    """Start a webhook and return its address."""
    return lambda webhook: f"{server.serve(webhook.app)}/hook?functionName=f&code=secret"


@pytest.fixture
def subscribe(events, fetch, hook):
    """Subscribe a webhook and return what the subscription is then."""

    def put(webhook, name="sub", **body):
        return fetch("PUT", f"{events}/_subscriptions/{name}", {"endpointUrl": hook(webhook), **body})

    return put


@pytest.fixture
def publish(events, fetch):
    """Deliver events and return the report of each delivery."""

    def post(body, query=""):
        status, answer = fetch("POST", f"{events}/_publish{query}", body)
        assert status == 200, answer
        return answer["value"]

    return post


@pytest.mark.parametrize("schema", ["EventGridSchema", "CloudEventSchemaV1_0"])
def test_an_endpoint_that_passes_the_handshake_gets_events_in_its_schema(subscribe, publish, schema):
    webhook = Webhook()

    status, shown = subscribe(webhook, schema=schema)
    (report,) = publish(resource_event())

    assert (status, shown["provisioningState"]) == (201, "Active")
    assert report["outcome"] == "Delivered"
    assert report["statusCodes"] == [202]
    (body,) = webhook.received
    if schema == "EventGridSchema":
        assert body == [resource_event()]
    else:
        assert body["specversion"] == "1.0"
        assert body["type"] == "Microsoft.Resources.ResourceWriteSuccess"
        assert body["source"] == "/subscriptions/s"
        assert body["subject"] == resource_event()["subject"]
        assert body["data"] == resource_event()["data"]
    assert webhook.headers[0]["aeg-event-type"] == "Notification"
    assert webhook.headers[0]["aeg-subscription-name"] == "SUB"


@pytest.mark.parametrize("schema", ["EventGridSchema", "CloudEventSchemaV1_0"])
@pytest.mark.parametrize("handshake", ["other", "refusing"])
def test_an_endpoint_that_fails_the_handshake_is_not_subscribed(subscribe, publish, schema, handshake):
    webhook = Webhook(handshake=handshake)

    status, answer = subscribe(webhook, schema=schema)

    assert (status, answer["error"]["code"]) == (400, "EndpointValidationFailed")
    assert publish(resource_event()) == []
    assert webhook.received == []


def test_an_endpoint_that_nobody_answers_at_is_not_subscribed(events, fetch):
    status, answer = fetch("PUT", f"{events}/_subscriptions/s", {"endpointUrl": "http://127.0.0.1:1/hook"})

    assert status == 400
    assert "cannot be reached" in answer["error"]["message"]


def test_a_silent_endpoint_waits_for_confirmation_by_hand_which_serves_once(subscribe, publish, fetch):
    webhook = Webhook(handshake="silent")

    _, shown = subscribe(webhook)
    before = publish(resource_event(1))
    wrong, _ = fetch("GET", webhook.validation_url + "0")
    first, _ = fetch("GET", webhook.validation_url)
    second, _ = fetch("GET", webhook.validation_url)
    publish(resource_event(2))

    assert shown["provisioningState"] == "AwaitingManualAction"
    assert before == []
    assert (wrong, first, second) == (404, 200, 404)
    assert webhook.ids == ["event-2"]


def test_the_endpoints_key_is_never_shown(subscribe, events, fetch):
    subscribe(Webhook())

    _, listed = fetch("GET", f"{events}/_subscriptions")
    assert listed["value"][0]["endpointUrl"].endswith("/hook")
    assert "secret" not in str(listed)


def test_a_failing_endpoint_is_tried_again_until_it_takes_the_event(subscribe, publish, eventually):
    webhook = Webhook(answers=[500, 503, 404, 202])
    subscribe(webhook)

    (report,) = publish(resource_event())
    eventually(lambda: len(webhook.received) == 4)

    assert report["outcome"] == "Retrying"
    assert webhook.ids == ["event-1"] * 4
    assert [headers["aeg-delivery-count"] for headers in webhook.headers] == ["0", "1", "2", "3"]


@pytest.mark.parametrize("status", [400, 401, 413])
def test_a_hopeless_answer_ends_in_a_dead_letter_at_once(subscribe, publish, events, fetch, status):
    subscribe(Webhook(answers=[status]))

    (report,) = publish(resource_event())

    assert (report["outcome"], report["statusCodes"]) == ("DeadLettered", [status])
    (letter,) = fetch("GET", f"{events}/_deadletter")[1]["value"]
    assert letter["id"] == "event-1"
    assert letter["deadLetterReason"] == "EndpointRefused"
    assert letter["deliveryAttempts"] == 1


def test_an_event_is_given_up_after_the_allowed_attempts(subscribe, publish, events, fetch, eventually):
    webhook = Webhook(answers=[500] * 9)
    subscribe(webhook, maxDeliveryAttempts=3)

    publish(resource_event())
    letters = eventually(lambda: fetch("GET", f"{events}/_deadletter")[1]["value"])

    assert [letter["deadLetterReason"] for letter in letters] == ["MaxDeliveryAttemptsExceeded"]
    assert len(webhook.received) == 3


def test_a_failed_batch_comes_again_as_a_whole(subscribe, publish, eventually):
    webhook = Webhook(answers=[500, 202])
    subscribe(webhook, maxEventsPerBatch=10)

    publish([resource_event(number) for number in range(3)], "?subscription=sub")
    eventually(lambda: len(webhook.received) == 2)

    assert Counter(webhook.ids) == {"event-0": 2, "event-1": 2, "event-2": 2}


def test_an_event_that_is_no_event_is_delivered_as_it_is(subscribe, publish):
    webhook = Webhook()
    subscribe(webhook, schema="CloudEventSchemaV1_0")

    publish({"odd": True}, "?subscription=sub")

    assert webhook.received == [{"odd": True}]


@pytest.mark.parametrize(
    ("chosen", "passes"),
    [
        ({"includedEventTypes": ["microsoft.resources.resourcewritesuccess"]}, True),
        ({"includedEventTypes": ["Microsoft.Resources.ResourceDeleteSuccess"]}, False),
        ({"subjectBeginsWith": "/SUBSCRIPTIONS/s/resourcegroups/g/"}, True),
        ({"subjectBeginsWith": "/subscriptions/t/"}, False),
        ({"subjectEndsWith": "/dbg-1"}, True),
        ({"subjectEndsWith": "/dbg-2"}, False),
    ],
)
def test_a_filter_lets_only_its_events_through(subscribe, publish, chosen, passes):
    webhook = Webhook()
    subscribe(webhook, filter=chosen)

    publish(resource_event())

    assert webhook.ids == (["event-1"] if passes else [])


def test_a_doubled_event_arrives_twice(subscribe, publish, events, fetch):
    webhook = Webhook()
    subscribe(webhook)
    fetch("PUT", f"{events}/_faults", {"duplicateRate": 1})

    publish(resource_event())

    assert webhook.ids == ["event-1", "event-1"]


def test_dropped_events_are_as_many_as_were_asked_for(subscribe, publish, events, fetch):
    webhook = Webhook()
    subscribe(webhook)
    fetch("PUT", f"{events}/_faults", {"dropRate": 1, "count": 2})

    reports = publish([resource_event(number) for number in range(3)])

    assert [report["outcome"] for report in reports] == ["Dropped", "Dropped", "Delivered"]
    assert webhook.ids == ["event-2"]


def test_disordered_events_all_arrive_but_not_as_they_were_sent(subscribe, publish, events, fetch):
    webhook = Webhook()
    subscribe(webhook)
    fetch("PUT", f"{events}/_faults", {"reorderWindow": 4, "seed": 7})

    publish([resource_event(number) for number in range(4)])

    assert sorted(webhook.ids) == [f"event-{number}" for number in range(4)]
    assert webhook.ids != sorted(webhook.ids)


def test_a_lone_event_is_not_held_back_for_ever_by_a_wish_for_disorder(subscribe, publish, events, fetch):
    webhook = Webhook()
    subscribe(webhook)
    fetch("PUT", f"{events}/_faults", {"reorderWindow": 100})

    assert publish(resource_event())[0]["outcome"] == "Delivered"


def test_faults_touch_only_the_types_that_they_name_and_can_be_cleared(subscribe, publish, events, fetch):
    webhook = Webhook()
    subscribe(webhook)
    fetch("PUT", f"{events}/_faults", {"dropRate": 1, "delayMs": 1, "eventTypes": ["Some.Other"]})
    publish(resource_event(1))
    publish(resource_event(2, eventType="Some.Other"))

    assert fetch("GET", f"{events}/_faults")[1]["dropRate"]["value"] == 1
    fetch("DELETE", f"{events}/_faults")
    publish(resource_event(3, eventType="Some.Other"))

    assert webhook.ids == ["event-1", "event-3"]


@pytest.mark.parametrize(
    "switch", [{"dropRate": 2}, {"count": -1}, {"planet": 1}, {"eventTypes": "x"}, [], {"delayMs": True}]
)
def test_a_fault_that_makes_no_sense_is_refused(events, fetch, switch):
    assert fetch("PUT", f"{events}/_faults", switch)[0] == 400


def test_subscriptions_outlive_a_restart(grid, server, fetch, hook):
    webhook = Webhook()
    first, _ = grid()
    fetch("PUT", f"{first}/_subscriptions/kept", {"endpointUrl": hook(webhook)})

    second, _ = grid()
    fetch("POST", f"{second}/_publish", resource_event())

    assert webhook.ids == ["event-1"]


def test_an_event_of_the_resource_manager_reaches_subscribers_of_resources_only(grid, server, fetch, hook, eventually):
    origin, service = grid()
    resources, topic = Webhook(), Webhook()
    fetch("PUT", f"{origin}/_subscriptions/resources", {"endpointUrl": hook(resources)})
    fetch("PUT", f"{origin}/_subscriptions/topic", {"endpointUrl": hook(topic), "source": "topic"})

    server.run(service.publish(resource_event(1)))
    fetch("POST", f"{origin}/api/events?api-version=2018-01-01", [resource_event(2)], aeg_sas_key=TOPIC_KEY)
    eventually(lambda: resources.ids and topic.ids)

    assert (resources.ids, topic.ids) == (["event-1"], ["event-2"])


def test_the_real_client_publishes_cloud_events_and_event_grid_events(events, fetch):
    client = EventGridPublisherClient(f"{events}/api/events", AzureKeyCredential(TOPIC_KEY))
    client.send([CloudEvent(source="/app", type="DevBoxGpu.Session.Started", data={"n": 1}, id="one")])
    client.send(EventGridEvent(subject="s", event_type="DevBoxGpu.Session.Ended", data={}, data_version="1", id="two"))

    received = fetch("GET", f"{events}/_received")[1]["value"]

    assert [event["id"] for event in received] == ["one", "two"]
    assert received[0]["data"] == {"n": 1}
    fetch("DELETE", f"{events}/_received")
    assert fetch("GET", f"{events}/_received")[1]["value"] == []


def test_the_real_client_is_refused_with_a_wrong_key(events):
    client = EventGridPublisherClient(f"{events}/api/events", AzureKeyCredential("wrong"))

    with pytest.raises(HttpResponseError) as caught:
        client.send(CloudEvent(source="/app", type="t"))

    assert caught.value.status_code == 401


def test_publishing_fails_as_often_as_was_asked_for(events, fetch):
    fetch("PUT", f"{events}/_faults", {"publishFailures": 2})
    url = f"{events}/api/events?api-version=2018-01-01"

    statuses = [fetch("POST", url, [resource_event()], aeg_sas_key=TOPIC_KEY)[0] for _ in range(3)]

    assert statuses == [503, 503, 200]
    assert len(fetch("GET", f"{events}/_received")[1]["value"]) == 1


@pytest.mark.parametrize(
    ("headers", "query", "body", "status"),
    [
        ({}, "?api-version=2018-01-01", [resource_event()], 401),
        ({"Authorization": "Bearer bad"}, "?api-version=2018-01-01", [resource_event()], 401),
        ({"Authorization": "Bearer good"}, "?api-version=2018-01-01", [resource_event()], 200),
        ({"Authorization": "Bearer good"}, "", [resource_event()], 400),
        ({"Authorization": "Bearer good"}, "?api-version=2018-01-01", [{"specversion": "0.3", "id": "1"}], 400),
        ({"Authorization": "Bearer good"}, "?api-version=2018-01-01", [resource_event(subject="")], 400),
        ({"Authorization": "Bearer good"}, "?api-version=2018-01-01", [resource_event(eventTime="noon")], 400),
        ({"Authorization": "Bearer good"}, "?api-version=2018-01-01", ["text"], 400),
    ],
)
def test_publishing_needs_a_right_and_well_formed_events(events, fetch, headers, query, body, status):
    assert fetch("POST", f"{events}/api/events{query}", body, **headers)[0] == status


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"endpointUrl": "ftp://x/y"},
        {"endpointUrl": "http://x/", "schema": "Odd"},
        [],
        {"endpointUrl": "http://x/", "maxDeliveryAttempts": 31},
        {"endpointUrl": "http://x/", "colour": "red"},
        {"endpointUrl": "http://x/", "filter": {"odd": 1}},
    ],
)
def test_a_subscription_that_makes_no_sense_is_refused(events, fetch, body):
    assert fetch("PUT", f"{events}/_subscriptions/s", body)[0] == 400


def test_a_subscription_is_removed_once_and_then_gets_nothing(subscribe, publish, events, fetch):
    webhook = Webhook()
    subscribe(webhook)

    assert [fetch("DELETE", f"{events}/_subscriptions/sub")[0] for _ in range(2)] == [200, 204]
    assert publish(resource_event()) == []
    assert fetch("GET", f"{events}/_subscriptions/sub")[0] == 404


def test_waits_grow_and_respect_the_least_wait_of_an_answer():
    schedule = RetrySchedule(scale=1)

    assert [schedule.wait_s(failures=n, status=500) for n in (1, 2, 3, 4, 99)] == [10, 30, 60, 300, 43_200]
    assert schedule.wait_s(failures=1, status=404) == 300
    assert schedule.wait_s(failures=1, status=503) == 30
    assert schedule.wait_s(failures=1, status=None) == 10


def test_stopping_gives_up_what_is_still_on_its_way(grid, server, fetch, hook):
    webhook = Webhook(answers=[500] * 50)
    origin, service = grid()
    fetch("PUT", f"{origin}/_subscriptions/s", {"endpointUrl": hook(webhook)})
    fetch("POST", f"{origin}/_publish", resource_event())

    server.run(service.stop())

    async def others():
        return [task for task in asyncio.all_tasks() if task.get_coro().__qualname__.startswith("Courier")]

    assert server.run(others()) == []
