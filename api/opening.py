"""Opening a shell: what is asked for, under the id that the client chose."""

from __future__ import annotations

import hashlib

import msgspec

from api.call import Call, Reply
from api.shells import session_of
from api.views import FIRST_POLL_MS, OPEN, monitor_headers, operation_view, shell_view
from api.wire import OpenShellRequest, Origin
from shared.domain import names
from shared.domain.admission import refusal_at_once
from shared.domain.driving import Drive
from shared.domain.errors import ErrorCode, Refused
from shared.domain.events import EventType
from shared.domain.records import SessionRow, ShellRow
from shared.domain.settings import PRESET_IMAGE, GpuSettings
from shared.domain.states import SessionState
from shared.ports import ids
from shared.ports.sessions import outbox, until_settled
from shared.ports.tables import Insert


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
    return _opened(call, 200, stored.row, session_of(call, stored.row))


def _opened(call: Call, status: int, shell: ShellRow, session: SessionRow, *, start: Drive | None = None) -> Reply:
    view = shell_view(shell, session, call.world.now())
    headers = {"ETag": view.etag, **_monitor(call, session)}
    return Reply(status=status, body=view, headers=headers, start=start)


def _monitor(call: Call, session: SessionRow) -> dict[str, str]:
    under_way = operation_view(OPEN, session).status in ("NotStarted", "Running")
    return monitor_headers(call, OPEN, session, FIRST_POLL_MS if under_way else None)


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
