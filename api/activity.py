"""The activity of a project, for its administrators: who changed what and when, newest first, from the audit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

from api.asked import instants_asked, page_size, text_asked, wrong
from api.call import Call, Reply
from api.usage_wire import ActivityList, ActivityView
from shared.domain import names
from shared.domain.events import EventType
from shared.domain.records import OutboxRow
from shared.ports.sessions import CORE
from shared.ports.tables import Stored

USUAL = timedelta(days=7)
MOST_DAYS_A_CALL = 60
"""Days that are looked through for one answer; the next one goes on where it ended."""
PREFIX = "DevBoxGpu."
_AFTER = re.compile(r"o-(\d{14})(-\w{1,40})?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which entries are asked for; None lets all through."""

    types: frozenset[str] | None
    actor: str | None
    session: str | None

    def takes(self, row: OutboxRow) -> bool:
        return (
            (self.types is None or row.event_type in self.types)
            and (self.actor is None or row.actor == self.actor)
            and (self.session is None or self.session in (row.data.get("session"), row.subject.rpartition("/")[2]))
        )


def list_activity(call: Call) -> Reply:
    """List a page of the changes between `from` and `to`, those that wait to be published included."""
    wanted, size = _wanted(call), page_size(call)
    first, end = instants_asked(call, usual=USUAL)
    keys = names.outbox_span(first, end)
    if (after := _after(call)) is not None:
        end, keys = min(end, after[0]), (keys[0], min(keys[1], after[1]))
    found: list[Stored[OutboxRow]] = []
    following = None
    for day, entries in _days(call, (first, end), keys):
        found += [entry for entry in entries if wanted.takes(entry.row)]
        if len(found) > size:
            following = found[size - 1].key
            break
        if (end.date() - day).days >= MOST_DAYS_A_CALL - 1 and day > first.date():
            following = names.outbox_span(_midnight(day), end)[0]
            break
    views = [_view(call, entry) for entry in found[:size]]
    return Reply(status=200, body=ActivityList(value=views, next_link=_link(call, following)))


def _days(
    call: Call, between: tuple[datetime, datetime], keys: tuple[str, str]
) -> Iterator[tuple[date, list[Stored[OutboxRow]]]]:
    """Yield (UTC day, entries) from the last day to the first; entries with keys in the range, newest first.

    What waits in the outbox is read before the audit: an entry on its way from there to here is seen twice, and counts
    once, rather than not at all.
    """
    first, end = between
    tables = call.world.sessions.tables
    waiting = tables.scan(CORE, call.scope, keys, OutboxRow)
    day = end.date()
    while day >= first.date():
        audited = tables.scan("audit", names.audit_partition(call.scope, day), keys, OutboxRow)
        entries = {entry.key: entry for entry in (*waiting, *audited) if entry.row.at.astimezone(UTC).date() == day}
        yield day, [entries[key] for key in sorted(entries, reverse=True)]
        day -= timedelta(days=1)


def _wanted(call: Call) -> Wanted:
    actor, session = text_asked(call, "actor"), call.query.get("session")
    if session is not None and names.session_id(session) is None:
        raise wrong("session", names.SESSION_RULE)
    return Wanted(
        types=_types(text_asked(call, "type")),
        actor=call.caller.user if actor == "me" else actor.lower() if actor else None,
        session=session,
    )


def _types(text: str | None) -> frozenset[str] | None:
    """Return the event types that a list names, with or without their common beginning; refuse unknown ones."""
    if text is None:
        return None
    known = {kind.removeprefix(PREFIX).lower(): str(kind) for kind in EventType}
    asked = [word.strip() for word in text.split(",") if word.strip()]
    for word in asked:
        if word.lower().removeprefix(PREFIX.lower()) not in known:
            raise wrong("type", f"out of {', '.join(EventType)}; there is no '{word[:60]}'")
    return frozenset(known[word.lower().removeprefix(PREFIX.lower())] for word in asked)


def _after(call: Call) -> tuple[datetime, str] | None:
    """Return the instant and the key from which on the last page has told everything."""
    text = call.query.get("after")
    if text is None:
        return None
    found = _AFTER.fullmatch(text)
    if found is None:
        raise wrong("after", "as the last page's nextLink has it")
    return datetime.fromtimestamp(int(found.group(1)) / 1000, UTC), text


def _link(call: Call, following: str | None) -> str | None:
    if following is None:
        return None
    path = "" if call.project_or_none is None else f"/projects/{call.project}"
    return f"{call.base_url}{path}/activity?{urlencode({**call.query, 'after': following})}"


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _view(call: Call, entry: Stored[OutboxRow]) -> ActivityView:
    row = entry.row
    return ActivityView(
        id=f"{call.scope}.{entry.key}",
        time=row.at,
        type=row.event_type,
        actor=row.actor,
        subject=row.subject,
        data=row.data,
        request=row.request,
        source=row.source,
    )
