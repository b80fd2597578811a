"""One call of the API as handlers see it, and the answer they give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from shared.domain.access import Caller
from shared.domain.driving import Drive
from shared.domain.errors import ErrorCode, Refused
from shared.domain.events import Actor
from shared.domain.names import PLATFORM, ProjectId, SessionId, ShellId, UserId
from shared.domain.records import SessionRow
from shared.ports.world import World

B = TypeVar("B")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request that has been checked: signed in, authorised, its path, query and body well formed."""

    world: World
    caller_or_none: Caller | None
    base_url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    project_or_none: ProjectId | None = None
    user_or_none: UserId | None = None
    shell_or_none: ShellId | None = None
    session_or_none: SessionId | None = None
    operation: str = ""
    body_or_none: Any = None
    ask_administers: Callable[[], bool] = lambda: False
    only_own: bool = False  # the directory does not answer: a member is shown what is known to be the member's own
    request_id: str = ""
    source: str = ""

    @property
    def administers(self) -> bool:
        """Tell whether the caller administers the project; raise EntitlementUnknown. Ask only where it matters."""
        return not self.only_own and self.ask_administers()

    @property
    def caller(self) -> Caller:
        return _given(self.caller_or_none)

    @property
    def actor(self) -> Actor:
        """The caller, as the audit names who brought a change about."""
        return Actor(self.caller.user, self.request_id, self.source)

    @property
    def project(self) -> ProjectId:
        return _given(self.project_or_none)

    @property
    def scope(self) -> ProjectId:
        """The project in the path, or the platform where the operation is about none."""
        return self.project_or_none or PLATFORM

    @property
    def user(self) -> UserId:
        return _given(self.user_or_none)

    @property
    def shell(self) -> ShellId:
        return _given(self.shell_or_none)

    @property
    def session(self) -> SessionId:
        return _given(self.session_or_none)

    def flag(self, name: str) -> bool:
        """Return a query parameter that is `true` or `false`, false where it is not given. Raise Refused."""
        text = self.query.get(name, "false").lower()
        if text not in ("true", "false"):
            message = f"'{name}' must be true or false; it is '{text[:60]}'."
            raise Refused(400, ErrorCode.INVALID_PARAMETER, message, target=name)
        return text == "true"

    def body(self, kind: type[B]) -> B:
        """Return the request body, which the operation's entry in the table has already been decoded to."""
        if not isinstance(self.body_or_none, kind):
            msg = f"this operation has no body of type {kind.__name__}"
            raise TypeError(msg)
        return self.body_or_none


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepWanted:
    """A sweep of one project, whose report is to be the answer's body: it asks the engine, which handlers do not."""

    project: ProjectId
    dry_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer, and what the durable engine is asked to do once the rows are written.

    A body that is text is sent as it is, as `media_type`; any other becomes JSON.
    """

    status: int
    body: msgspec.Struct | Mapping[str, Any] | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"
    start: Drive | None = None
    wake: tuple[SessionRow, ...] = ()
    sweep: SweepWanted | None = None


G = TypeVar("G")


def _given(value: G | None) -> G:
    if value is None:
        msg = "the operation's route does not have this part"
        raise LookupError(msg)
    return value
