"""The one table of operations: routes, roles, types, handlers. Functions, OpenAPI and tests are made by walking it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from api import (
    activity,
    connecting,
    explaining,
    extending,
    leases,
    meta,
    offers,
    opening,
    project_settings,
    projects,
    reconciling,
    replaying,
    sessions,
    shells,
    sweeps,
    usage,
    verifying,
)
from api.call import Call, Reply
from api.project_wire import EffectiveSettings, ExplanationView, OfferList, ProjectList, ProjectView
from api.replay_wire import ReplayReport, ReplayRequest
from api.sweeps import SweepReport
from api.usage_wire import ActivityList, ReconciliationView, UsageView, VerificationView
from api.wire import (
    ConnectShellRequest,
    ConnectView,
    DecisionView,
    ExtendSessionRequest,
    HealthView,
    LeaseView,
    OpenShellRequest,
    OperationView,
    RenewLeaseRequest,
    SessionList,
    SessionView,
    ShellList,
    ShellView,
    StopSessionRequest,
)
from shared.domain.access import Who
from shared.domain.settings import GpuSettings

API_VERSION = "2026-12-01-preview"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of the API."""

    name: str
    method: str
    route: str
    summary: str
    cost: float = 1.0
    """What a call draws from the rate limits: more than 1 where it reads many rows."""
    who: Who
    handler: Callable[[Call], Reply]
    answers: dict[int, Any]
    body: Any = None
    body_required: bool = False
    reads_body: bool = False  # whether the handler is given the JSON as it is, to name all faults in it at once
    query: tuple[str, ...] = ()
    csv: bool = False  # whether the answer may also be text/csv
    versioned: bool = True
    commands: bool = False  # whether the durable engine is asked for something after the answer is decided


_SHELL = "projects/{project}/users/{user}/shells/{shell}"
_SESSIONS = "projects/{project}/sessions"
_SETTINGS = "projects/{project}/gpuSettings"
_USAGE = "projects/{project}/usage"

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="OpenShell", commands=True, method="PUT", route=_SHELL, who=Who.SELF, handler=opening.open_shell,
        summary="Open a shell on a GPU under an id that the client chooses.",
        body=OpenShellRequest, query=("dryRun",), answers={200: (ShellView, DecisionView), 201: ShellView},
    ),
    Operation(
        name="GetShell", method="GET", route=_SHELL, who=Who.SELF_OR_ADMIN, handler=shells.get_shell,
        summary="Read a shell.", answers={200: ShellView, 304: None},
    ),
    Operation(
        name="ListShells", method="GET", route="projects/{project}/users/{user}/shells", who=Who.SELF_OR_ADMIN,
        handler=shells.list_shells, summary="List a user's shells, newest first.", answers={200: ShellList},
    ),
    Operation(
        name="CloseShell", commands=True, method="DELETE", route=_SHELL, who=Who.SELF_OR_ADMIN,
        handler=shells.close_shell,
        summary="Close a shell. The last one to close ends its session.", answers={202: ShellView, 204: None},
    ),
    Operation(
        name="ConnectShell", method="POST", route=f"{_SHELL}/connect", who=Who.SELF, handler=connecting.connect_shell,
        summary="Return a short-lived way into the shell's container.", body=ConnectShellRequest,
        answers={200: ConnectView},
    ),
    Operation(
        name="RenewLease", method="POST", route=f"{_SHELL}/renewLease", who=Who.SELF, handler=leases.renew_lease,
        summary="Prove that the shell is alive.", body=RenewLeaseRequest, answers={200: LeaseView},
    ),
    Operation(
        name="ListSessions", method="GET", route=_SESSIONS, who=Who.MEMBER, handler=sessions.list_sessions,
        summary="List sessions, newest first: one's own, or all for an administrator.",
        query=("state", "user", "maxpagesize", "after"), answers={200: SessionList},
    ),
    Operation(
        name="GetSession", method="GET", route=_SESSIONS + "/{session}", who=Who.ANYONE_SIGNED_IN,
        handler=sessions.get_session, summary="Read a session.", answers={200: SessionView},
    ),
    Operation(
        name="StopSession", commands=True, method="POST", route=_SESSIONS + "/{session}/stop", who=Who.ANYONE_SIGNED_IN,
        handler=sessions.stop_session, summary="Stop a session.",
        body=StopSessionRequest, answers={202: SessionView},
    ),
    Operation(
        name="ExtendSession", commands=True, method="POST", route=_SESSIONS + "/{session}/extend",
        who=Who.ANYONE_SIGNED_IN, handler=extending.extend_session,
        summary="Keep a session for at least so many minutes from now.",
        body=ExtendSessionRequest, body_required=True, answers={200: SessionView},
    ),
    Operation(
        name="ExplainSession", method="GET", route=_SESSIONS + "/{session}/explain", who=Who.ANYONE_SIGNED_IN,
        handler=explaining.explain_session,
        summary="Tell why a session waits, lives or has ended, and what would change that.",
        answers={200: ExplanationView},
    ),
    Operation(
        name="ListProjects", method="GET", route="projects", who=Who.ANYONE_SIGNED_IN,
        handler=projects.list_projects, summary="List the caller's projects, with use against caps and budget.",
        answers={200: ProjectList},
    ),
    Operation(
        name="GetProject", method="GET", route="projects/{project}", who=Who.MEMBER, handler=projects.get_project,
        summary="Read a project, with use against caps and budget.", answers={200: ProjectView},
    ),
    Operation(
        name="GetSettings", method="GET", route=_SETTINGS, who=Who.MEMBER, handler=project_settings.get_settings,
        summary="Read a project's GPU settings, or with `view=effective` how they hold and why.",
        query=("view",), answers={200: (GpuSettings, EffectiveSettings), 304: None},
    ),
    Operation(
        name="ReplaceSettings", commands=True, method="PUT", route=_SETTINGS, who=Who.ADMIN,
        handler=project_settings.replace_settings, summary="Replace a project's GPU settings.",
        query=("dryRun", "runningSessions"), body=GpuSettings, body_required=True, reads_body=True,
        answers={200: GpuSettings, 201: GpuSettings},
    ),
    Operation(
        name="UpdateSettings", commands=True, method="PATCH", route=_SETTINGS, who=Who.ADMIN,
        handler=project_settings.update_settings, summary="Change some of a project's GPU settings (merge patch).",
        query=("dryRun", "runningSessions"), body=dict, body_required=True, reads_body=True,
        answers={200: GpuSettings, 201: GpuSettings},
    ),
    Operation(
        name="ReplayPolicy", cost=10, method="POST", route="projects/{project}/replay", who=Who.ADMIN,
        handler=replaying.replay_policy, summary="Tell what other settings would have made of recorded demand.",
        body=ReplayRequest, reads_body=True, answers={200: ReplayReport},
    ),
    Operation(
        name="ListOffers", method="GET", route="projects/{project}/offers", who=Who.MEMBER,
        handler=offers.list_offers, summary="List what could be opened now, with prices.",
        answers={200: OfferList},
    ),
    Operation(
        name="GetUsage", cost=5, method="GET", route=_USAGE, who=Who.MEMBER, handler=usage.get_usage,
        summary="Sum up what was used and what it cost: one's own, or all for an administrator.",
        query=("from", "to", "interval", "groupBy", "user", "gpuType", "region", "label", "format"),
        csv=True, answers={200: UsageView},
    ),
    Operation(
        name="ReconcileUsage", cost=10, method="GET", route=f"{_USAGE}/reconciliation", who=Who.ADMIN,
        handler=reconciling.reconcile_usage, summary="Hold the estimated cost of sessions against what Azure billed.",
        query=("from", "to"), answers={200: ReconciliationView},
    ),
    Operation(
        name="ListActivity", method="GET", route="projects/{project}/activity", who=Who.ADMIN,
        handler=activity.list_activity, summary="List who changed what and when, newest first.",
        query=("from", "to", "type", "actor", "session", "maxpagesize", "after"), answers={200: ActivityList},
    ),
    Operation(
        name="VerifyActivity", method="GET", route="projects/{project}/activity/verification", who=Who.ADMIN, cost=20,
        handler=verifying.verify_activity,
        summary="Tell what was altered, removed or added in the audit after it was sealed.",
        query=("from", "to", "expect"), answers={200: VerificationView},
    ),
    Operation(
        name="ListPlatformActivity", method="GET", route="activity", who=Who.OPERATOR, handler=activity.list_activity,
        summary="List attempts that were refused and belong to no project, newest first.",
        query=("from", "to", "type", "actor", "session", "maxpagesize", "after"), answers={200: ActivityList},
    ),
    Operation(
        name="VerifyPlatformActivity", method="GET", route="activity/verification", who=Who.OPERATOR, cost=20,
        handler=verifying.verify_activity, summary="Verify the audit of what belongs to no project.",
        query=("from", "to", "expect"), answers={200: VerificationView},
    ),
    Operation(
        name="GetOperation", method="GET", route="projects/{project}/operations/{operation}",
        who=Who.ANYONE_SIGNED_IN, handler=sessions.get_operation, summary="Follow a long operation.",
        answers={200: OperationView},
    ),
    Operation(
        name="SweepProject", commands=True, method="POST", route="projects/{project}/sweep", who=Who.OPERATOR,
        handler=sweeps.sweep_project, summary="Compare a project's rows, apps and drivers now, and repair.",
        query=("dryRun",), answers={200: SweepReport},
    ),
    Operation(
        name="GetHealth", method="GET", route="healthz", who=Who.ANYONE, handler=meta.get_health,
        summary="Tell that the API answers.", answers={200: HealthView}, versioned=False,
    ),
    Operation(
        name="GetOpenApi", method="GET", route="openapi.json", who=Who.ANYONE, handler=meta.get_openapi,
        summary="Return this API's OpenAPI document.", answers={200: dict}, versioned=False,
    ),
)  # fmt: skip
