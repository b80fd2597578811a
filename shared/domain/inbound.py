"""What an event from outside says, once it has been read: whom it concerns, or that it cannot be read at all.

Both schemas come here as one shape (DESIGN.md section 7). Unknown types and foreign subjects are no mistakes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec

from shared.domain.names import ProjectId, SessionId, UserId, project_id, session_of_app, user_id

RESOURCE_EVENTS = frozenset(
    f"Microsoft.Resources.Resource{what}"
    for what in ("WriteSuccess", "WriteFailure", "WriteCancel", "DeleteSuccess", "DeleteFailure", "DeleteCancel")
)
DEV_BOX_EVENTS = {"DevBoxGpu.DevBox.Stopped": "stopped", "DevBoxGpu.DevBox.Deleted": "deleted"}
LONGEST_NAME = 512
"""Characters of an id, a source or a subject that is read: Event Grid's own limits are below."""
LONGEST_PAYLOAD = 2000
HIDDEN = "***"
_SECRET_NAME = re.compile(
    r"token|secret|password|credential|authorization|claims|signature|^sig$|key|code|evidence", re.IGNORECASE
)
_SECRET_TEXT = re.compile(
    r"(?:eyJ[\w-]{8,}\.[\w-]*(?:\.[\w-]*)?)|(?:Bearer\s+\S+)|(?:(?:sig|code|key)=[^&\s\"]+)", re.IGNORECASE
)


class Malformed(Exception):
    """An event that nobody can act on, however often it is delivered. The text says what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event as the host hands it over, in either schema. Nothing in it has been checked."""

    id: Any
    source: Any
    type: Any
    subject: Any
    time: datetime | None
    data: Any


@dataclass(frozen=True, slots=True)
class ResourceChanged:
    """Azure has done, or failed to do, something with the container app of this session."""

    session: SessionId


@dataclass(frozen=True, slots=True, kw_only=True)
class DevBoxGone:
    """A Dev Box was stopped or deleted at `at` (None: at no known time): what was opened from it is over."""

    project: ProjectId
    user: UserId
    dev_box: str
    how: str
    at: datetime | None


class _DevBoxData(msgspec.Struct, frozen=True, rename="camel"):
    project: str
    user: str
    dev_box: str


def meaning(event: Event) -> ResourceChanged | DevBoxGone | None:
    """Return whom the event concerns, None where it is of no interest here; raise Malformed."""
    for name in ("id", "source", "type"):
        _text(event, name)
    if event.type in RESOURCE_EVENTS:
        kind, _, app = _text(event, "subject").rpartition("/")
        session = session_of_app(app) if kind.lower().endswith("/containerapps") else None
        return ResourceChanged(session) if session is not None else None
    if event.type in DEV_BOX_EVENTS:
        return _dev_box_gone(event)
    return None


def _dev_box_gone(event: Event) -> DevBoxGone:
    try:
        told = msgspec.convert(event.data, _DevBoxData)
    except msgspec.ValidationError as error:
        raise Malformed(f"data: {error}") from error
    project, user = project_id(told.project), user_id(told.user)
    if project is None or user is None or not _is_name(told.dev_box):
        raise Malformed("data: project, user (an Entra object id) and devBox must be names")
    at = event.time if event.time is None or event.time.tzinfo is not None else None
    return DevBoxGone(project=project, user=user, dev_box=told.dev_box, how=DEV_BOX_EVENTS[event.type], at=at)


def _text(event: Event, name: str) -> str:
    value = getattr(event, name)
    if not isinstance(value, str) or not _is_name(value):
        raise Malformed(f"{name}: a text of 1 to {LONGEST_NAME} printable characters is needed")
    return value


def _is_name(text: str) -> bool:
    return 0 < len(text) <= LONGEST_NAME and text.isprintable()


def seen_key(source: object, event_id: object) -> str:
    """Return the row key under which an event is remembered: ids are unique within a source only."""
    return sha256(f"{source}\n{event_id}".encode(errors="replace")).hexdigest()[:40]


def shown(value: Any) -> str:
    """Return an event's content as it may be kept: shortened, and without what could be a secret or say who it was."""
    text = json.dumps(_without_secrets(value, 0), default=str, skipkeys=True)  # ASCII: half a character is storable too
    return _SECRET_TEXT.sub(HIDDEN, text)[:LONGEST_PAYLOAD]


def _without_secrets(value: Any, depth: int) -> Any:
    if depth > 8:
        return HIDDEN
    if isinstance(value, Mapping):
        return {
            str(name)[:100]: HIDDEN if _SECRET_NAME.search(str(name)) else _without_secrets(inner, depth + 1)
            for name, inner in list(value.items())[:100]
        }
    if isinstance(value, list):
        return [_without_secrets(inner, depth + 1) for inner in value[:100]]
    return value[:LONGEST_PAYLOAD] if isinstance(value, str) else value
