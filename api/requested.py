"""What a request for a shell asks for, checked against the settings: all that can be refused without the ledger."""

from __future__ import annotations

import msgspec

from api.call import Call
from api.wire import OpenShellRequest, Origin
from shared.domain.admission import acceptable_types, refusal_at_once
from shared.domain.beginning import waits_until
from shared.domain.effective import bounded
from shared.domain.errors import ErrorCode, Problem, Refused
from shared.domain.images import allowed_image
from shared.domain.placement import environments_of
from shared.domain.plain_text import plain
from shared.domain.records import Asked, SessionRow, ShellRow
from shared.domain.settings import GpuSettings
from shared.domain.states import SessionState
from shared.ports import ids
from shared.ports.environments import EnvironmentUnknown
from shared.ports.telemetry import current_trace

LONGEST_NAME = 200
"""Characters of a user's display name, which others are shown."""


def settings_that_hold(call: Call) -> GpuSettings:
    """Return the project's settings within Dev Center's bounds, a moment old at most. Raise GovernanceUnknown."""
    settings = call.world.sessions.recent_policy(call.project)
    bounds = call.world.governance.bounds(call.project)
    call.world.sessions.hold_bounds(call.project, bounds)
    return bounded(settings, bounds)


def requested_session(call: Call, request: OpenShellRequest, settings: GpuSettings) -> SessionRow:
    """Return the session that is asked for, as yet undecided; raise Refused for what the settings alone refuse."""
    if not call.world.entitlement.is_member(call.project, call.user):
        raise Refused(
            403,
            ErrorCode.NOT_ENTITLED,
            "You have no usable Dev Box in this project. Create one, or name another project with --project.",
        )
    gpu_types = acceptable_types(settings, request.gpu_type)
    if (refused := refusal_at_once(settings, gpu_types[0])) is not None:
        raise _refused(refused)
    image = allowed_image(settings.images, request.image)
    if isinstance(image, Problem):
        raise _refused(image)
    places = _places(call, request, settings)
    now = call.world.now()
    return SessionRow(
        project=call.project,
        session=ids.new_session_id(),
        user=call.user,
        user_name=plain(call.caller.name, LONGEST_NAME),
        state=SessionState.REQUESTED,
        gpu_type=gpu_types[0],
        gpu_types=list(gpu_types),
        image=image.reference,
        registry=image.server,
        pull_identity=(image.identity or call.world.settings.pull_identity) if image.server else None,
        regions=list(places),
        environments=places,
        created_at=now,
        booked_at=now,
        trace=str(trace) if (trace := current_trace()) else None,
        shells=[call.shell],
        session_name=request.session_name,
        labels={**settings.labels, **request.labels},
        asked=Asked(gpu_type=request.gpu_type, wait_s=request.wait_timeout_seconds),
        waits=request.wait,
        wait_until=waits_until(request.wait_timeout_seconds, settings.line, now),
        idle_timeout_s=settings.idle.timeout_minutes * 60,
        max_lifetime_s=settings.max_lifetime_minutes * 60,
        lease_grace_s=settings.idle.grace_minutes * 60,
        leased_until=now + call.world.settings.lease,
    )


def _refused(problem: Problem) -> Refused:
    return Refused(403, problem.code, problem.message, target=problem.target)


def _places(call: Call, request: OpenShellRequest, settings: GpuSettings) -> dict[str, str]:
    """Return environment ids by region that may be tried, in order: those of the project that are served."""
    served = environments_of(settings, call.world.settings.environments)
    asked = served if request.region is None else {key: one for key, one in served.items() if key == request.region}
    if not asked:
        what = f"'{request.region}' is not a region of this project" if request.region else "no region is served"
        raise _region_refused(what, ", ".join(served) or "none")
    if not settings.require_virtual_network:
        return asked
    within = {region: one for region, one in asked.items() if _has_virtual_network(call, one)}
    if not within:
        raise _region_refused("none of its environments is in a virtual network, which this project requires", "none")
    return within


def _has_virtual_network(call: Call, environment_id: str) -> bool:
    """Tell whether the environment is in a virtual network; one that cannot be read counts as not: fail closed."""
    try:
        return call.world.environments.facts(environment_id).has_virtual_network
    except EnvironmentUnknown:
        return False


def _region_refused(what: str, allowed: str) -> Refused:
    return Refused(403, ErrorCode.REGION_NOT_ALLOWED, f"Refused: {what}. Allowed: {allowed}.", target="region")


def new_shell(call: Call, request: OpenShellRequest, session: SessionRow, wish: str) -> ShellRow:
    """Return the row of the shell that is opened in this session."""
    now = call.world.now()
    return ShellRow(
        project=call.project,
        user=call.user,
        shell=call.shell,
        session=session.session,
        request=wish,
        created_at=now,
        lease_expires_at=now + call.world.settings.lease,
        last_activity_at=now,
        origin=_origin_facts(request.origin),
    )


def _origin_facts(origin: Origin | None) -> dict[str, str]:
    """Return what was said of where the shell was opened, without what was left out."""
    told: dict[str, str | None] = msgspec.to_builtins(origin) if origin else {}
    return {name: value for name, value in told.items() if value is not None}
