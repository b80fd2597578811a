"""The Event Grid stand-in's HTTP side: the topic that the app publishes to, subscriptions, handles for tests."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler

from localcloud.event_grid.delivery import Courier, Delivery
from localcloud.event_grid.faults import DeliveryFaults, FaultError
from localcloud.event_grid.handshake import Handshake, HandshakeError
from localcloud.event_grid.retry import RetrySchedule
from localcloud.event_grid.schemas import Event, MalformedEventError, check_event
from localcloud.event_grid.subscriptions import (
    Source,
    Subscription,
    SubscriptionError,
    SubscriptionState,
    SubscriptionStore,
    read_subscription,
)
from localcloud.identity.tokens import InvalidToken

AUDIENCE = "https://eventgrid.azure.net"
LARGEST_BODY = 1024 * 1024
KEPT_EVENTS = 10_000
PUBLISH_API_VERSION = "2018-01-01"

CheckToken = Callable[[str], Awaitable[Mapping[str, object]]]


class UnknownSubscriptionError(Exception):
    """A subscription that does not exist was named."""


class EventGridService:
    """Event Grid at `origin`; `start` before serving, `stop` after."""

    def __init__(
        self,
        *,
        origin: str,
        topic_key: str,
        check_token: CheckToken,
        subscriptions_file: Path,
        now: Callable[[], datetime],
        schedule: RetrySchedule | None = None,
    ) -> None:
        self._origin = origin
        self._topic_key = topic_key
        self._check_token = check_token
        self._store = SubscriptionStore(subscriptions_file)
        self._now = now
        self._schedule = schedule or RetrySchedule()
        self._faults = DeliveryFaults()
        self._received: deque[Event] = deque(maxlen=KEPT_EVENTS)

    async def start(self) -> None:
        self._http = aiohttp.ClientSession()
        self._handshake = Handshake(http=self._http, origin=self._origin, now=self._now)
        self._courier = Courier(http=self._http, faults=self._faults, schedule=self._schedule, now=self._now)

    async def stop(self) -> None:
        await self._courier.stop()
        await self._http.close()

    async def publish(self, event: Event) -> None:
        """Take an event of Azure Resource Manager; returns at once, delivery goes on by itself."""
        self._route(event, Source.RESOURCES)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=LARGEST_BODY, middlewares=[_explain])
        app.router.add_post("/api/events", self._take_events)
        app.router.add_get("/_received", self._show_received)
        app.router.add_delete("/_received", self._forget_received)
        app.router.add_get("/_deadletter", self._show_dead_letters)
        app.router.add_delete("/_deadletter", self._forget_dead_letters)
        app.router.add_get("/_subscriptions", self._list_subscriptions)
        app.router.add_put("/_subscriptions/{name}", self._subscribe)
        app.router.add_get("/_subscriptions/{name}", self._show_subscription)
        app.router.add_delete("/_subscriptions/{name}", self._unsubscribe)
        app.router.add_get("/_validate/{name}", self._confirm)
        app.router.add_post("/_publish", self._deliver_now)
        app.router.add_get("/_faults", self._show_faults)
        app.router.add_put("/_faults", self._switch_faults)
        app.router.add_delete("/_faults", self._clear_faults)
        return app

    def _route(self, event: Event, source: Source) -> list[Delivery]:
        return [
            delivery
            for subscription in self._store.all()
            if subscription.state is SubscriptionState.ACTIVE
            and subscription.source is source
            and subscription.filter.passes(event)
            for delivery in self._courier.send(subscription, [event])
        ]

    async def _take_events(self, request: web.Request) -> web.Response:
        if self._faults.fails_publisher():
            return _refusal(503, "ServiceUnavailable", "this answer was asked for by PUT /_faults")
        if refusal := await self._publisher_refusal(request):
            return _refusal(401, "Unauthorized", refusal)
        if request.query.get("api-version") != PUBLISH_API_VERSION:
            return _refusal(400, "BadRequest", f"api-version must be {PUBLISH_API_VERSION}")
        body = await _json(request)
        events = [check_event(event) for event in (body if isinstance(body, list) else [body])]
        for event in events:
            self._received.append(event)
            self._route(event, Source.TOPIC)
        return web.Response(status=200)

    async def _publisher_refusal(self, request: web.Request) -> str | None:
        """Return why this publisher may not publish, or None where it may."""
        if key := request.headers.get("aeg-sas-key"):
            same = hmac.compare_digest(key.encode(), self._topic_key.encode())
            return None if same else "the aeg-sas-key is not the topic's"
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return "an aeg-sas-key or a bearer token is needed"
        try:
            await self._check_token(token.strip())
        except InvalidToken as error:
            return error.reason
        return None

    async def _subscribe(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        subscription = read_subscription(name, await _json(request))
        was_there = self._store.find(name) is not None
        state = await self._handshake.validate(subscription)
        self._store.keep(replace(subscription, state=state))
        return web.json_response(replace(subscription, state=state).shown(), status=200 if was_there else 201)

    async def _confirm(self, request: web.Request) -> web.Response:
        subscription = self._store.find(request.match_info["name"])
        if subscription is None or not self._handshake.confirms(subscription.name, request.query.get("code", "")):
            return _refusal(404, "NotFound", "no subscription waits for this confirmation")
        self._store.keep(replace(subscription, state=SubscriptionState.ACTIVE))
        return web.json_response({"message": "Webhook successfully validated as a subscription endpoint"})

    async def _list_subscriptions(self, _request: web.Request) -> web.Response:
        return web.json_response({"value": [subscription.shown() for subscription in self._store.all()]})

    async def _show_subscription(self, request: web.Request) -> web.Response:
        return web.json_response(self._named(request.match_info["name"]).shown())

    async def _unsubscribe(self, request: web.Request) -> web.Response:
        was_there = self._store.remove(request.match_info["name"])
        return web.Response(status=200 if was_there else 204)

    async def _deliver_now(self, request: web.Request) -> web.Response:
        """Deliver what is given, well-formed or not, and answer once each batch has been tried for the first time."""
        body = await _json(request)
        events = body if isinstance(body, list) else [body]
        if not events or not all(isinstance(event, dict) for event in events):
            return _refusal(400, "BadRequest", "the body is one event, or an array of events, each a JSON object")
        if name := request.query.get("subscription"):
            subscription = self._named(name)
            size = subscription.max_events_per_batch
            batches = [events[at : at + size] for at in range(0, len(events), size)]
            deliveries = [sent for batch in batches for sent in self._courier.send(subscription, batch)]
        else:
            deliveries = [sent for event in events for sent in self._route(event, Source.RESOURCES)]
        await asyncio.gather(*(delivery.tried.wait() for delivery in deliveries))
        return web.json_response({"value": [delivery.report() for delivery in deliveries]})

    def _named(self, name: str) -> Subscription:
        subscription = self._store.find(name)
        if subscription is None:
            raise UnknownSubscriptionError(f"there is no subscription {name}; GET /_subscriptions lists them")
        return subscription

    async def _show_received(self, _request: web.Request) -> web.Response:
        return web.json_response({"value": list(self._received)})

    async def _forget_received(self, _request: web.Request) -> web.Response:
        self._received.clear()
        return web.Response(status=204)

    async def _show_dead_letters(self, _request: web.Request) -> web.Response:
        return web.json_response({"value": list(self._courier.dead_letters)})

    async def _forget_dead_letters(self, _request: web.Request) -> web.Response:
        self._courier.dead_letters.clear()
        return web.Response(status=204)

    async def _show_faults(self, _request: web.Request) -> web.Response:
        return web.json_response(self._faults.shown())

    async def _switch_faults(self, request: web.Request) -> web.Response:
        self._faults.switch(await _json(request))
        return web.json_response(self._faults.shown())

    async def _clear_faults(self, _request: web.Request) -> web.Response:
        self._faults.clear()
        return web.json_response(self._faults.shown())


@web.middleware
async def _explain(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what the service raises into answers that say what to change."""
    try:
        return await handler(request)
    except HandshakeError as error:
        return _refusal(400, "EndpointValidationFailed", str(error))
    except UnknownSubscriptionError as error:
        return _refusal(404, "NotFound", str(error))
    except (FaultError, MalformedEventError, SubscriptionError) as error:
        return _refusal(400, "BadRequest", str(error))


async def _json(request: web.Request) -> Any:
    try:
        return json.loads(await request.read())
    except ValueError as error:
        raise MalformedEventError(f"the body is not JSON: {error}") from error


def _refusal(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)
