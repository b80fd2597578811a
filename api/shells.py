"""Shells: open, read, close, connect, renew."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

import msgspec

from api.call import Call, Reply
from api.views import FIRST_POLL_MS, OPEN, operation_view, shell_view
from api.wire import ConnectView, LeaseView, OpenShellRequest, Origin, RenewLeaseRequest, ShellList, ShellView
from shared.domain import names
from shared.domain.admission import refusal_at_once
from shared.domain.driving import Drive
from shared.domain.errors import ErrorCode, Problem, Refused
from shared.domain.events import EventType, session_facts
from shared.domain.lease import HoldFacts, activity_instant, planned_end
from shared.domain.records import SessionRow, ShellRow
from shared.domain.settings import PRESET_IMAGE, GpuSettings
from shared.domain.states import EndReason, SessionState
from shared.ports import ids
from shared.ports.container_apps import NotYet
from shared.ports.sessions import new_wake, outbox, outbox_entry, session_update, until_settled
from shared.ports.tables import Change, Insert, Stored, Update

POLL_MS = 500


def open_shell(call: Call) -> Reply:
    """Create the shell under the id that the client chose, or return the one that is there."""
    request = call.body(OpenShellRequest)
    wish = hashlib.sha256(msgspec.json.encode(request, order="deterministic")).hexdigest()
    try:
        session = _admissible(call, request)
    except Refused:
        if (known := _known(call, wish)) is not None:
            return known
        raise
    shell = _new_shell(call, request, session, wish)

    def attempt() -> Reply | None:
        changes = [
            Insert(names.session_key(session.session), session),
            Insert(names.shell_key(shell.user, shell.shell), shell),
            outbox(EventType.SESSION_REQUESTED, session, call.caller.user, session.created_at),
        ]
        if not call.world.sessions.commit(call.project, changes):
            return _known(call, wish)
        drive = Drive(project=session.project, session=session.session, epoch=session.epoch)
        return _opened(call, 201, shell, session, start=drive)

    return until_settled(attempt)


def _admissible(call: Call, request: OpenShellRequest) -> SessionRow:
    """Return the session that is asked for; raise Refused for what can be refused without the ledger."""
    if not call.world.entitlement.has_dev_box(call.project, call.user):
        raise Refused(
            403,
            ErrorCode.NOT_ENTITLED,
            "You have no usable Dev Box in this project. Create one, or name another project with --project.",
        )
    stored = call.world.sessions.recent_settings(call.project)
    settings = stored.row.settings if stored else GpuSettings()
    return _new_session(call, request, settings)


def _known(call: Call, wish: str) -> Reply | None:
    """Return the answer for a shell id that is in use: the shell as it is, if the same was asked for."""
    stored = call.world.sessions.shell(call.project, call.user, call.shell)
    if stored is None:
        return None
    if stored.row.request != wish:
        raise Refused(
            409, ErrorCode.SHELL_EXISTS, f"Shell '{call.shell}' was opened with another request. Choose another id."
        )
    return _opened(call, 200, stored.row, _session_of(call, stored.row))


def _opened(call: Call, status: int, shell: ShellRow, session: SessionRow, *, start: Drive | None = None) -> Reply:
    view = shell_view(shell, session, call.world.now())
    headers = {"ETag": view.etag, **_monitor(call, session)}
    return Reply(status=status, body=view, headers=headers, start=start)


def _monitor(call: Call, session: SessionRow) -> dict[str, str]:
    """Return the headers that send a client to the operation's monitor."""
    place = f"{call.base_url}/projects/{session.project}/operations/{OPEN}-{session.session}"
    headers = {"Operation-Location": f"{place}?api-version={call.query['api-version']}"}
    if operation_view(OPEN, session).status in ("NotStarted", "Running"):
        headers |= {"Retry-After": "1", "Retry-After-Ms": str(FIRST_POLL_MS)}
    return headers


def _new_session(call: Call, request: OpenShellRequest, settings: GpuSettings) -> SessionRow:
    gpu_type = request.gpu_type or settings.gpu_types[0].type
    if (refused := refusal_at_once(settings, gpu_type)) is not None:
        raise Refused(403, refused.code, refused.message, target=refused.target)
    image = request.image or settings.images.default
    if image != PRESET_IMAGE:
        raise Refused(
            403, ErrorCode.IMAGE_NOT_ALLOWED, f"This project allows the image {PRESET_IMAGE} only.", target="image"
        )
    now = call.world.now()
    return SessionRow(
        project=call.project,
        session=ids.new_session_id(),
        user=call.user,
        user_name=call.caller.name,
        state=SessionState.REQUESTED,
        gpu_type=gpu_type,
        image=image,
        regions=_regions(call, request, settings),
        created_at=now,
        booked_at=now,
        shells=[call.shell],
        session_name=request.session_name,
        labels=request.labels,
        idle_timeout_s=settings.idle.timeout_minutes * 60,
        max_lifetime_s=settings.max_lifetime_minutes * 60,
        lease_grace_s=settings.idle.grace_minutes * 60,
        leased_until=now + call.world.settings.lease,
    )


def _regions(call: Call, request: OpenShellRequest, settings: GpuSettings) -> list[str]:
    """Return the regions that may be tried, in order: those of the project that the platform serves."""
    served = [region.name for region in settings.regions_in_order() if region.name in call.world.bounds.regions]
    if request.region is None and served:
        return served
    if request.region in served:
        return [request.region]
    asked = f"'{request.region}' is not a region of this project" if request.region else "no region is served"
    allowed = ", ".join(served) or "none"
    raise Refused(403, ErrorCode.REGION_NOT_ALLOWED, f"Refused: {asked}. Allowed: {allowed}.", target="region")


def _new_shell(call: Call, request: OpenShellRequest, session: SessionRow, wish: str) -> ShellRow:
    return ShellRow(
        project=call.project,
        user=call.user,
        shell=call.shell,
        session=session.session,
        request=wish,
        created_at=session.created_at,
        lease_expires_at=session.created_at + call.world.settings.lease,
        last_activity_at=session.created_at,
        origin=_origin_facts(request.origin),
    )


def _origin_facts(origin: Origin | None) -> dict[str, str]:
    """Return what was said of where the shell was opened, without what was left out."""
    told: dict[str, str | None] = msgspec.to_builtins(origin) if origin else {}
    return {name: value for name, value in told.items() if value is not None}


def get_shell(call: Call) -> Reply:
    stored = _shell_or_404(call)
    view = shell_view(stored.row, _session_of(call, stored.row), call.world.now())
    if call.headers.get("if-none-match") == view.etag:
        return Reply(status=304, headers={"ETag": view.etag})
    return Reply(status=200, body=view, headers={"ETag": view.etag})


def list_shells(call: Call) -> Reply:
    shells = call.world.sessions.shells_of(call.project, call.user)
    sessions = {row.session: row for row in call.world.sessions.sessions(call.project)}
    now = call.world.now()
    views: list[ShellView] = [
        shell_view(shell, sessions[shell.session], now) for shell in shells if shell.session in sessions
    ]
    return Reply(status=200, body=ShellList(value=sorted(views, key=lambda view: view.created_at, reverse=True)))


def close_shell(call: Call) -> Reply:
    """Close the shell; the last one to close ends its session."""

    def attempt() -> Reply | None:
        stored = call.world.sessions.shell(call.project, call.user, call.shell)
        if stored is None:
            return Reply(status=204)
        session = call.world.sessions.session(call.project, stored.row.session)
        if session is None or session.row.state is SessionState.ENDED:
            return Reply(status=204)
        if stored.row.closed_at is not None:
            return _closed(call, stored.row, session.row)
        return _close(call, stored, session)

    return until_settled(attempt)


def _close(call: Call, stored: Stored[ShellRow], session: Stored[SessionRow]) -> Reply | None:
    shell = msgspec.structs.replace(stored.row, closed_at=call.world.now())
    running = session.row.running_at is not None
    reason = session.row.stop_reason or (EndReason.SHELLS_CLOSED if running else EndReason.CANCELLED)
    row = msgspec.structs.replace(
        session.row,
        stop_reason=reason,
        stop_by=session.row.stop_by or call.caller.user,
        wakes=session.row.wakes + 1,
    )
    facts = {**session_facts(row), "shell": shell.shell}
    changes: list[Change] = [
        session_update(session, row),
        Update(stored.key, shell, stored.etag),
        new_wake(row.session, "close", call.world.now()),
        outbox_entry(
            EventType.SHELL_CLOSED, f"sessions/{row.session}", facts, call.caller.user, call.world.now(), seq=row.seq
        ),
    ]
    return _closed(call, shell, row) if call.world.sessions.commit(call.project, changes) else None


def _closed(call: Call, shell: ShellRow, session: SessionRow) -> Reply:
    view = shell_view(shell, session, call.world.now())
    place = f"{call.base_url}/projects/{session.project}/operations/stop-{session.session}"
    headers = {
        "Operation-Location": f"{place}?api-version={call.query['api-version']}",
        "Retry-After": "1",
        "Retry-After-Ms": str(POLL_MS),
    }
    return Reply(status=202, body=view, headers=headers, wake=(session,))


def connect_shell(call: Call) -> Reply:
    """Return a way into the container, just in time, to the shell's owner."""
    stored = _shell_or_404(call)
    session = _session_of(call, stored.row)
    _refuse_if_over(stored.row)
    if session.state is not SessionState.RUNNING:
        raise _not_ready(str(session.phase or session.state))
    _renew(call, active_seconds_ago=0.0)
    way_in = call.world.apps.way_in(names.app_name(session.session))
    if isinstance(way_in, NotYet):
        raise _not_ready(way_in.why)
    body = ConnectView(exec_url=way_in.exec_url, token=way_in.token, token_expires_at=way_in.expires_at)
    return Reply(status=200, body=body, headers={"Cache-Control": "no-store"})


def _not_ready(why: str) -> Refused:
    message = f"The session is not ready to connect to yet ({why}). Ask again in a moment."
    return Refused(409, ErrorCode.SHELL_NOT_READY, message, retry_after_s=1)


def renew_lease(call: Call) -> Reply:
    shell = _renew(call, active_seconds_ago=call.body(RenewLeaseRequest).active_seconds_ago)
    stop = None
    if shell.running_at is not None and shell.idle_timeout_s and shell.max_lifetime_s:
        facts = HoldFacts(
            shells=(shell.facts(),),
            running_at=shell.running_at,
            idle_timeout=timedelta(seconds=shell.idle_timeout_s),
            max_lifetime=timedelta(seconds=shell.max_lifetime_s),
            lease_grace=timedelta(0),
        )
        stop = planned_end(facts)
    body = LeaseView(
        lease_expires_at=shell.lease_expires_at,
        renew_after_seconds=call.world.settings.renew_after.total_seconds(),
        stops_at=stop.at if stop else None,
        stop_reason=stop.reason if stop else None,
    )
    return Reply(status=200, body=body)


def _renew(call: Call, *, active_seconds_ago: float) -> ShellRow:
    """Renew the shell's lease with one read and one guarded write; a stop that was decided first wins (I8)."""

    def attempt() -> ShellRow | None:
        stored = _shell_or_404(call)
        _refuse_if_over(stored.row)
        now: datetime = call.world.now()
        row = msgspec.structs.replace(
            stored.row,
            lease_expires_at=now + call.world.settings.lease,
            last_activity_at=activity_instant(active_seconds_ago, now, stored.row.last_activity_at),
        )
        return row if call.world.sessions.commit(call.project, [Update(stored.key, row, stored.etag)]) else None

    return until_settled(attempt)


def _refuse_if_over(shell: ShellRow) -> None:
    if shell.stop_reason is None and shell.closed_at is None:
        return
    message = shell.stop_message or "This shell was closed."
    why = Problem(code=ErrorCode.STOPPED, message=message, target=str(shell.stop_reason or EndReason.SHELLS_CLOSED))
    raise Refused(409, ErrorCode.SHELL_ENDED, f"The shell has ended. {message} Open a new one.", details=(why,))


def _shell_or_404(call: Call) -> Stored[ShellRow]:
    stored = call.world.sessions.shell(call.project, call.user, call.shell)
    if stored is None:
        raise Refused(404, ErrorCode.NOT_FOUND, "There is no such shell.")
    return stored


def _session_of(call: Call, shell: ShellRow) -> SessionRow:
    stored = call.world.sessions.session(call.project, shell.session)
    if stored is None:
        raise Refused(404, ErrorCode.NOT_FOUND, "There is no such shell.")
    return stored.row
