"""A write of a project's settings: judged whole, against the version that was read, and against Dev Center's locks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from api.call import Call, Reply
from shared.domain import names
from shared.domain.budget import still_reached
from shared.domain.effective import lock_problems, may_break_a_lock
from shared.domain.errors import ErrorCode, Problem, Refused
from shared.domain.events import EventType
from shared.domain.records import LedgerRow, SettingsRow
from shared.domain.settings import GpuSettings
from shared.domain.settings_reading import read_settings
from shared.ports.book_keeping import ledger_of
from shared.ports.outgoing import outbox_entry
from shared.ports.sessions import is_live, until_settled
from shared.ports.tables import Change, Insert, Stored, Update

UNSET_ETAG = '"0"'
MOST_TOLD = 100
WARNING_MINUTES = 5.0
"""How long sessions of a disabled project run on where its settings give no warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a write says, and how: instead of all settings or merged into them; for good or to see; with what end."""

    said: Mapping[str, Any]
    whole: bool
    dry_run: bool
    stops_running: bool

    @property
    def is_nothing(self) -> bool:
        return not (self.said or self.whole or self.stops_running)

    def onto(self, present: GpuSettings) -> Mapping[str, Any]:
        return self.said if self.whole else merged(msgspec.to_builtins(present), self.said)


def merged(target: Any, patch: Any) -> Any:
    """Return the target with a merge patch (RFC 7396): null takes a member away, which leaves its default."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def write_settings(call: Call, *, whole: bool) -> Reply:
    """Write what the body says and answer with the settings as they are then, or with all that stands against it."""
    wanted = Wanted(
        said=call.body(dict),
        whole=whole,
        dry_run=_choice(call, "dryRun", ("false", "true")) == "true",
        stops_running=_choice(call, "runningSessions", ("keep", "stop")) == "stop",
    )

    def attempt() -> Reply | None:
        stored = call.world.sessions.settings(call.project)
        _check_condition(call, stored)
        present = stored.row.settings if stored else GpuSettings()
        if wanted.is_nothing:
            return Reply(status=200, body=present, headers={"ETag": etag_of(stored)})
        settings = _judged(call, wanted, present)
        if wanted.dry_run:
            return Reply(status=200, body=settings, headers={"ETag": etag_of(stored)})
        now = call.world.now()
        row = SettingsRow(
            project=call.project,
            settings=settings,
            revision=stored.row.revision + 1 if stored else 1,
            changed_at=now,
            changed_by=call.caller.user,
            stop_running_at=_end_of_running(settings, stored, now, stops=wanted.stops_running),
        )
        return _commit(call, stored, row)

    return until_settled(attempt)


def etag_of(stored: Stored[SettingsRow] | None) -> str:
    return _etag(stored.row) if stored else UNSET_ETAG


def _etag(row: SettingsRow) -> str:
    return f'"{row.revision}-{int(row.changed_at.timestamp() * 1_000_000):x}"'


def _choice(call: Call, name: str, options: tuple[str, str]) -> str:
    """Return a query parameter that is one of these; absent, the first."""
    given = call.query.get(name, options[0])
    if given not in options:
        message = f"'{name}' must be {' or '.join(options)}."
        raise Refused(400, ErrorCode.INVALID_PARAMETER, message, target=name)
    return given


def _check_condition(call: Call, stored: Stored[SettingsRow] | None) -> None:
    match, none_match = call.headers.get("if-match"), call.headers.get("if-none-match")
    if match is None and none_match is None:
        message = "Say which settings you replace: If-Match with the ETag of GET, or If-None-Match: * to create."
        raise Refused(428, ErrorCode.PRECONDITION_REQUIRED, message)
    if (match is not None and match not in ("*", etag_of(stored))) or (none_match == "*" and stored is not None):
        message = "The settings have changed since you read them. Read them again and repeat your change."
        raise Refused(412, ErrorCode.CONDITION_NOT_MET, message)


def _judged(call: Call, wanted: Wanted, present: GpuSettings) -> GpuSettings:
    """Return what the settings would be; raise Refused with all that is wrong with them, or locked."""
    settings = read_settings(wanted.onto(present), call.world.bounds)
    if isinstance(settings, list):
        raise refused_for(400, ErrorCode.INVALID_PARAMETER, "The settings are not valid", settings)
    if wanted.stops_running and settings.enabled:
        message = "'runningSessions=stop' goes with a write that sets serverlessGpuSessionsMode to Disabled."
        raise Refused(400, ErrorCode.INVALID_PARAMETER, message, target="runningSessions")
    if may_break_a_lock(wanted.said, settings):
        broken = lock_problems(wanted.said, settings, call.world.governance.bounds(call.project))
        if broken:
            raise refused_for(409, ErrorCode.SETTING_LOCKED_BY_POLICY, "The settings are locked", broken)
    return settings


def refused_for(status: int, code: ErrorCode, what: str, problems: list[Problem]) -> Refused:
    """Return the refusal that names all of these problems, as many as are told at once."""
    told = problems[:MOST_TOLD]
    text = "; ".join(f"{problem.target}: {problem.message}" for problem in told)
    more = f"; and {len(problems) - MOST_TOLD} more" if len(problems) > MOST_TOLD else ""
    return Refused(status, code, f"{what}: {text}{more}", target=problems[0].target, details=tuple(told))


def _end_of_running(
    settings: GpuSettings, stored: Stored[SettingsRow] | None, now: datetime, *, stops: bool
) -> datetime | None:
    """Return when sessions of a disabled project end at the latest, None where they may go on. No write puts it off."""
    if settings.enabled:
        return None
    before = stored.row.stop_running_at if stored else None
    if before is not None or not stops:
        return before
    return now + timedelta(minutes=max(settings.idle.warn_minutes, default=WARNING_MINUTES))


def _alerted(ledger: LedgerRow, settings: GpuSettings) -> list[int]:
    """Return the percentages that stay told of: of a budget that was raised, those that are not reached are not."""
    return still_reached(ledger_of(ledger), settings.budget) if settings.budget else ledger.alerted


def _commit(call: Call, stored: Stored[SettingsRow] | None, row: SettingsRow) -> Reply | None:
    """Write settings and ledger in one transaction: admissions under way see the change or come first (I15)."""
    sessions = call.world.sessions
    before = msgspec.to_builtins(stored.row.settings) if stored else None
    told = {"before": before, "after": msgspec.to_builtins(row.settings), "revision": row.revision}
    if row.stop_running_at is not None:
        told["stopRunningAt"] = row.stop_running_at
    changes: list[Change] = []
    if stored is None:
        guard = LedgerRow(project=call.project, revision=1, policy=row.settings)
        changes += [Insert(names.SETTINGS_KEY, row), Insert(names.LEDGER_KEY, guard)]
    else:
        ledger = sessions.ledger(call.project)
        if ledger is None:
            return None
        guard = msgspec.structs.replace(
            ledger.row,
            revision=ledger.row.revision + 1,
            policy=row.settings,
            alerted=_alerted(ledger.row, row.settings),
        )
        changes += [Update(stored.key, row, stored.etag), Update(ledger.key, guard, ledger.etag)]
    told["ledgerRevision"] = guard.revision
    changes.append(outbox_entry(EventType.SETTINGS_CHANGED, "gpuSettings", told, call.actor, row.changed_at))
    if not sessions.commit(call.project, changes):
        return None
    sessions.ledgers.promote(call.project)  # a cap that was raised is used at once
    affected = tuple(session for session in sessions.sessions(call.project) if is_live(session))
    return Reply(status=201 if stored is None else 200, body=row.settings, headers={"ETag": _etag(row)}, wake=affected)
