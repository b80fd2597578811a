"""The proof that an endpoint wants events, before any is sent: both handshakes of `reference/azure.md` section 5.4."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

import aiohttp

from localcloud.event_grid.schemas import EventSchema
from localcloud.event_grid.subscriptions import Subscription, SubscriptionState

REQUEST_ORIGIN = "eventgrid.azure.net"
VALIDATION_TYPE = "Microsoft.EventGrid.SubscriptionValidationEvent"
TOPIC = "/subscriptions/00000000-0000-0000-0000-00000000d0c5"


class HandshakeError(Exception):
    """The endpoint did not prove that it wants the events; the text says what it answered."""


class Handshake:
    """Asks endpoints, and remembers the codes of those that have still to be confirmed by hand."""

    def __init__(self, *, http: aiohttp.ClientSession, origin: str, now: Callable[[], datetime]) -> None:
        self._http = http
        self._origin = origin
        self._now = now
        self._codes: dict[str, str] = {}

    async def validate(self, subscription: Subscription) -> SubscriptionState:
        """Return the state that the endpoint's answer earns, or raise HandshakeError."""
        try:
            if subscription.schema is EventSchema.CLOUD_EVENT:
                return await self._ask_permission(subscription)
            return await self._send_code(subscription)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise HandshakeError(f"the endpoint cannot be reached: {type(error).__name__}") from error

    def confirms(self, name: str, code: str) -> bool:
        """Tell whether this is the code of a subscription that waits for confirmation by hand; it serves once."""
        expected = self._codes.get(name)
        if expected is None or not secrets.compare_digest(expected, code):
            return False
        del self._codes[name]
        return True

    async def _ask_permission(self, subscription: Subscription) -> SubscriptionState:
        headers = {"WebHook-Request-Origin": REQUEST_ORIGIN, "WebHook-Request-Rate": "120"}
        async with self._http.options(subscription.endpoint_url, headers=headers) as answer:
            allowed = answer.headers.get("WebHook-Allowed-Origin", "")
            if answer.status == 200 and allowed.lower() in (REQUEST_ORIGIN, "*"):
                return SubscriptionState.ACTIVE
            raise HandshakeError(f"OPTIONS was answered {answer.status} with WebHook-Allowed-Origin {allowed!r}")

    async def _send_code(self, subscription: Subscription) -> SubscriptionState:
        code = str(uuid.uuid4()).upper()
        headers = {"aeg-event-type": "SubscriptionValidation", "aeg-subscription-name": subscription.name.upper()}
        body = [self._validation_event(subscription.name, code)]
        async with self._http.post(subscription.endpoint_url, json=body, headers=headers) as answer:
            echoed = await _echoed_code(answer)
            if echoed == code:
                return SubscriptionState.ACTIVE
            if answer.status == 200 and echoed is None:
                self._codes[subscription.name] = code
                return SubscriptionState.AWAITING_MANUAL_ACTION
            raise HandshakeError(f"the validation event was answered {answer.status} without its validationCode")

    def _validation_event(self, name: str, code: str) -> dict[str, Any]:
        return {
            "id": str(uuid.uuid4()),
            "topic": TOPIC,
            "subject": "",
            "eventType": VALIDATION_TYPE,
            "eventTime": self._now().isoformat().replace("+00:00", "Z"),
            "data": {"validationCode": code, "validationUrl": f"{self._origin}/_validate/{name}?code={code}"},
            "dataVersion": "2",
            "metadataVersion": "1",
        }


async def _echoed_code(answer: aiohttp.ClientResponse) -> str | None:
    """Return the code in a successful answer, or None where the answer holds no code at all."""
    if answer.status != 200:
        return None
    try:
        body = await answer.json(content_type=None)
    except ValueError:
        return None
    return str(body["validationResponse"]) if isinstance(body, dict) and "validationResponse" in body else None
