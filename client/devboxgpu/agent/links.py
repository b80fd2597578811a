"""All links that clients have with this agent: found again by their id, until their client says good-bye or is gone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from .channels import Channel, Channels, Handler
from .handshake import Hello
from .link import Link, LinkLostError
from .operations import accept
from .services import Agent, Request, RequestError

if TYPE_CHECKING:
    from .connection import Connection

FORGOTTEN_AFTER_S = 24 * 3600.0
LOOK_EVERY_S = 60.0
MOST_LINKS = 256


class ClientLink:
    """One link, and the connection that it has now, if it has one."""

    def __init__(self, links: Links, id_: str) -> None:
        self.id = id_
        self.link = Link()
        self.channels = Channels(self.link, self._accept)
        self.connection: Connection | None = None
        self.alone_since = time.monotonic()
        self.is_over = False
        self._links = links

    def dropped(self, connection: Connection) -> None:
        if self.connection is connection:
            self.connection = None
            self.link.disconnect()
            self.alone_since = time.monotonic()

    def _accept(self, channel: Channel, request: Request) -> Handler:
        if self.is_over:
            channel.close(RequestError("LinkOver", "this link has said good-bye").result())
            return Handler()
        if request.get("what") == "bye":
            self.is_over = True
            channel.close({})
            self._links.agent.loop.soon(lambda: self._links.end(self, "bye"))
            return Handler()
        return accept(channel, request, self._links.agent)


class Joined(NamedTuple):
    link: ClientLink
    is_new: bool


class Refused(NamedTuple):
    code: str
    message: str


class Links:
    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.heard_at = time.monotonic()
        """When a packet or a hello last came from any client."""
        self.silence_s: float | None = None
        """The longest silence that any client has said to stand: for the dead man's handle."""
        self._by_id: dict[str, ClientLink] = {}
        agent.loop.after_round.append(self.flush)
        agent.loop.later(LOOK_EVERY_S, self._forget_old)

    def join(self, hello: Hello, connection: Connection) -> Joined | Refused:
        """The link that the hello names, from now on with this connection; or why not."""
        self.heard()
        if hello.silence_s is not None:
            self.silence_s = max(hello.silence_s, self.silence_s or 0.0)
        there = self._by_id.get(hello.link)
        if there is None and hello.received:
            return Refused("LinkUnknown", "the agent does not know this link: it was started anew, or it has ended")
        client = there or self._new(hello.link)
        before, client.connection = client.connection, None
        if before is not None:
            before.close()
        client.link.disconnect()
        try:
            client.link.connect(hello.received)
        except LinkLostError as error:
            self.end(client, "lost")
            return Refused("LinkLost", str(error))
        client.connection = connection
        return Joined(client, there is None)

    def heard(self) -> None:
        self.heard_at = time.monotonic()

    def flush(self) -> None:
        for client in self._by_id.values():
            if client.connection is not None:
                client.connection.flush()

    def end(self, client: ClientLink, reason: str) -> None:
        """Forgets it. What its conversations then do depends on the reason: with "bye", its programs end."""
        if self._by_id.pop(client.id, None) is None:
            return
        client.is_over = True
        client.channels.lose(reason)
        if client.connection is not None:
            client.connection.finish()

    def _new(self, id_: str) -> ClientLink:
        alone = sorted((client for client in self._by_id.values() if not client.connection), key=_alone_since)
        for old in alone[: max(0, len(self._by_id) - MOST_LINKS + 1)]:
            self.end(old, "forgotten")
        client = self._by_id[id_] = ClientLink(self, id_)
        return client

    def _forget_old(self) -> None:
        now = time.monotonic()
        for client in list(self._by_id.values()):
            if client.connection is None and now - client.alone_since > FORGOTTEN_AFTER_S:
                self.end(client, "forgotten")
        self.agent.loop.later(LOOK_EVERY_S, self._forget_old)


def _alone_since(client: ClientLink) -> Any:
    return client.alone_since
