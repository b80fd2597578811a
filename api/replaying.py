"""Policy replay: what other settings would have made of what was asked. Nothing is written, and nothing is promised."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec

from api.call import Call, Reply
from api.replay_wire import (
    AmountView,
    DelayedUser,
    DifferenceView,
    FiguresView,
    ReplayReport,
    ReplayRequest,
    WaitsView,
)
from api.settings_writing import merged, refused_for
from shared.domain.complaints import shown
from shared.domain.demand import Record, record_of
from shared.domain.effective import bounded, lock_problems, may_break_a_lock
from shared.domain.errors import ErrorCode, Problem
from shared.domain.fates import fate_of
from shared.domain.pricing import CURRENCY, GpuType, Rate
from shared.domain.replay import replay
from shared.domain.replay_report import Difference, Figures, Waits, difference, figures
from shared.domain.settings import GpuSettings
from shared.domain.settings_reading import read_settings
from shared.ports.history import recorded

MOST_DAYS = 90


def replay_policy(call: Call) -> Reply:
    """Replay the demand of the last days under the settings that hold and under the proposed ones, and compare."""
    stored = call.world.sessions.settings(call.project)
    own = stored.row.settings if stored else GpuSettings()
    asked, wanted = _asked(call, own)
    bounds = call.world.governance.bounds(call.project)
    present, proposed = bounded(own, bounds), bounded(wanted, bounds)
    now = call.world.now()
    found = recorded(call.world.sessions, call.project, now - timedelta(days=asked.days), now)
    record = record_of(found.sessions, found.since, now, CURRENCY, _prices(call, proposed))
    really = [fate_of(row, now, CURRENCY) for row in found.sessions]
    before, after = replay(record, present), replay(record, proposed)
    report = ReplayReport(
        begins=found.since,
        ends=now,
        truncated=found.truncated,
        really=_figures_view(figures(really, found.since, now, present.project_cap)),
        present=_figures_view(figures(before, found.since, now, present.project_cap)),
        proposed=_figures_view(figures(after, found.since, now, proposed.project_cap)),
        difference=_difference_view(difference(before, after, found.since), record),
        settings=proposed,
    )
    return Reply(status=200, body=report)


def _asked(call: Call, own: GpuSettings) -> tuple[ReplayRequest, GpuSettings]:
    """Return the request and the settings that it proposes; raise Refused with all that is wrong, or locked."""
    body: Mapping[str, Any] = call.body(dict)
    patch = body.get("settings", {})
    said = patch if isinstance(patch, dict) else {}
    settings = read_settings(merged(msgspec.to_builtins(own), said), call.world.bounds)
    problems = [*_faults(body), *(settings if isinstance(settings, list) else [])]
    if problems or isinstance(settings, list):
        raise refused_for(400, ErrorCode.INVALID_PARAMETER, "The replay is not valid", problems)
    if may_break_a_lock(said, settings):
        broken = lock_problems(said, settings, call.world.governance.bounds(call.project))
        if broken:
            raise refused_for(409, ErrorCode.SETTING_LOCKED_BY_POLICY, "The settings are locked", broken)
    return msgspec.convert(body, ReplayRequest), settings


def _faults(body: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with the request besides the settings in it."""
    days, patch, known = body.get("days", 1), body.get("settings", {}), ReplayRequest.__struct_encode_fields__
    faults = [(name, f"there is no such field; there are: {', '.join(known)}") for name in body if name not in known]
    if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= MOST_DAYS:
        faults.append(("days", f"must be a whole number from 1 to {MOST_DAYS}; it is {shown(days)}"))
    if not isinstance(patch, dict):
        faults.append(("settings", f"must be an object, a merge patch of the settings; it is {shown(patch)}"))
    return [Problem(code=ErrorCode.INVALID_PARAMETER, target=name, message=message) for name, message in faults]


def _prices(call: Call, settings: GpuSettings) -> dict[GpuType, Rate]:
    """Return what is known of prices where the project's sessions are tried first: for types that nobody has had."""
    region = settings.regions_in_order()[0].name
    known = {gpu_type: call.world.prices.known(region, gpu_type) for gpu_type in GpuType}
    return {gpu_type: rate for gpu_type, rate in known.items() if rate is not None}


def _figures_view(found: Figures) -> FiguresView:
    return FiguresView(
        sessions=found.sessions,
        admitted_at_once=found.at_once,
        waited=found.waited,
        waits=_waits_view(found.waits),
        still_waiting=found.still_waiting,
        timed_out=found.timed_out,
        gave_up=found.gave_up,
        never_ran=found.never_ran,
        refused=dict(found.refused),
        stopped_idle=found.stopped_idle,
        stopped_lifetime=found.stopped_lifetime,
        gpu_seconds=found.gpu_seconds,
        cost=AmountView(amount=str(found.cost), currency=CURRENCY),
        unpriced_sessions=found.unpriced,
        most_at_once=found.most_at_once,
        utilisation=round(found.utilisation, 4) if found.utilisation is not None else None,
        doubts=dict(found.doubts),
    )


def _waits_view(waits: Waits | None) -> WaitsView | None:
    if waits is None:
        return None
    return WaitsView(
        p50_seconds=round(waits.p50_s, 1), p95_seconds=round(waits.p95_s, 1), max_seconds=round(waits.max_s, 1)
    )


def _difference_view(found: Difference, record: Record) -> DifferenceView:
    return DifferenceView(
        saved=AmountView(amount=str(found.saved), currency=record.currency),
        not_compared=found.not_compared,
        gpu_seconds_saved=found.gpu_seconds_saved,
        users_waiting_longer=found.users_waiting_longer,
        users_turned_away=found.users_turned_away,
        users_stopped=found.users_stopped,
        most_delayed=[
            DelayedUser(
                user=one.user,
                user_name=one.user_name,
                added_wait_seconds=round(one.added_s, 1),
                sessions=one.sessions,
            )
            for one in found.most_delayed
        ],
    )
