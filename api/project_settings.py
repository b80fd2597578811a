"""A project's settings and what it offers."""

from __future__ import annotations

from typing import Any

import msgspec

from api.call import Call, Reply
from api.views import price_view
from api.wire import OfferedRegion, OfferList, OfferView
from shared.domain import names
from shared.domain.admission import Ledger, Wish, free_for
from shared.domain.errors import ErrorCode, Refused
from shared.domain.events import EventType
from shared.domain.records import LedgerRow, SettingsRow
from shared.domain.settings import GpuSettings
from shared.domain.settings_bounds import settings_problems
from shared.ports.ledger_desk import ledger_of
from shared.ports.sessions import is_live, outbox_entry, until_settled
from shared.ports.tables import Change, Insert, Stored, Update

UNSET_ETAG = '"0"'


def get_settings(call: Call) -> Reply:
    """Return the project's settings; a project that nobody has configured has the defaults: disabled."""
    stored = call.world.sessions.settings(call.project)
    etag = _etag(stored)
    if call.headers.get("if-none-match") == etag:
        return Reply(status=304, headers={"ETag": etag})
    return Reply(status=200, body=stored.row.settings if stored else GpuSettings(), headers={"ETag": etag})


def replace_settings(call: Call) -> Reply:
    wanted = call.body(GpuSettings)
    return _write(call, lambda _: wanted)


def update_settings(call: Call) -> Reply:
    """Merge a patch (RFC 7396) into the settings."""
    patch: dict[str, Any] = call.body(dict)

    def merged(present: GpuSettings) -> GpuSettings:
        try:
            return msgspec.convert(_merge(msgspec.to_builtins(present), patch), GpuSettings)
        except msgspec.ValidationError as error:
            raise Refused(400, ErrorCode.INVALID_REQUEST, f"The patched settings are not valid: {error}") from error

    return _write(call, merged)


def _merge(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merge(result.get(name), value)
    return result


def _write(call: Call, make: Any) -> Reply:
    def attempt() -> Reply | None:
        stored = call.world.sessions.settings(call.project)
        _check_condition(call, stored)
        settings: GpuSettings = make(stored.row.settings if stored else GpuSettings())
        problems = settings_problems(settings, call.world.bounds)
        if problems:
            text = "The settings are not valid: " + "; ".join(f"{p.target}: {p.message}" for p in problems)
            raise Refused(400, ErrorCode.INVALID_PARAMETER, text, details=tuple(problems))
        row = SettingsRow(
            project=call.project,
            settings=settings,
            revision=stored.row.revision + 1 if stored else 1,
            changed_at=call.world.now(),
            changed_by=call.caller.user,
        )
        return _commit(call, stored, row)

    return until_settled(attempt)


def _commit(call: Call, stored: Stored[SettingsRow] | None, row: SettingsRow) -> Reply | None:
    """Write settings and ledger in one transaction: admissions under way see the change or come first (I15)."""
    sessions = call.world.sessions
    before = msgspec.to_builtins(stored.row.settings) if stored else None
    told = {"before": before, "after": msgspec.to_builtins(row.settings), "revision": row.revision}
    changes: list[Change] = [
        outbox_entry(EventType.SETTINGS_CHANGED, "gpuSettings", told, call.caller.user, row.changed_at)
    ]
    if stored is None:
        changes.append(Insert(names.SETTINGS_KEY, row))
        changes.append(Insert(names.LEDGER_KEY, LedgerRow(project=call.project, revision=1, policy=row.settings)))
    else:
        ledger = sessions.ledger(call.project)
        if ledger is None:
            return None
        changes.append(Update(stored.key, row, stored.etag))
        guard = msgspec.structs.replace(ledger.row, revision=ledger.row.revision + 1, policy=row.settings)
        changes.append(Update(ledger.key, guard, ledger.etag))
    if not sessions.commit(call.project, changes):
        return None
    affected = tuple(session for session in sessions.sessions(call.project) if is_live(session))
    return Reply(
        status=201 if stored is None else 200, body=row.settings, headers={"ETag": _etag_of(row)}, wake=affected
    )


def _check_condition(call: Call, stored: Stored[SettingsRow] | None) -> None:
    match, none_match = call.headers.get("if-match"), call.headers.get("if-none-match")
    if match is None and none_match is None:
        message = "Say which settings you replace: If-Match with the ETag of GET, or If-None-Match: * to create."
        raise Refused(428, ErrorCode.PRECONDITION_REQUIRED, message)
    etag = _etag(stored)
    if (match is not None and match not in ("*", etag)) or (none_match == "*" and stored is not None):
        message = "The settings have changed since you read them. Read them again and repeat your change."
        raise Refused(412, ErrorCode.CONDITION_NOT_MET, message)


def _etag(stored: Stored[SettingsRow] | None) -> str:
    return _etag_of(stored.row) if stored else UNSET_ETAG


def _etag_of(row: SettingsRow) -> str:
    return f'"{row.revision}-{int(row.changed_at.timestamp() * 1_000_000):x}"'


def list_offers(call: Call) -> Reply:
    """Tell what the caller could have now: types, regions, list prices, what is free."""
    stored, ledger_row = call.world.sessions.settings(call.project), call.world.sessions.ledger(call.project)
    settings = stored.row.settings if stored else GpuSettings()
    ledger = ledger_of(ledger_row.row) if ledger_row else Ledger()
    offers = []
    for index, entry in enumerate(settings.gpu_types):
        free, for_you = free_for(settings, ledger, Wish(user=call.caller.user, gpu_type=entry.type))
        regions = [
            OfferedRegion(name=region.name, price=price_view(call.world.prices.rate(region.name, entry.type)))
            for region in settings.regions_in_order()
            if region.name in call.world.bounds.regions
        ]
        offers.append(
            OfferView(
                gpu_type=entry.type,
                regions=regions,
                max_concurrent=settings.cap_of_type(entry.type) or 0,
                free_now=free,
                free_for_you=for_you,
                default=index == 0,
            )
        )
    return Reply(status=200, body=OfferList(value=offers))
