"""Sweeps on request: what a project's rows, its apps and the engine say, compared now and told."""

from __future__ import annotations

from datetime import datetime

from activities.sweep_now import Report
from api.call import Call, Reply, SweepWanted
from api.wire import Answer
from shared.domain.errors import ErrorCode, Refused
from shared.domain.events import EventType
from shared.domain.sweeping import Found
from shared.ports.outgoing import outbox_entry


class FindingView(Answer, frozen=True, kw_only=True, omit_defaults=False):
    """One thing that was found. `repaired` False: only noted, to be repaired by a later look, or a dry run."""

    what: Found
    subject: str
    detail: str
    repaired: bool


class SweepReport(Answer, frozen=True, kw_only=True, omit_defaults=False):
    """What a sweep has found and done. `unknown`: what could not be asked, of which nothing follows."""

    project: str
    started_at: datetime
    dry_run: bool
    apps: int
    sessions: int
    found: list[FindingView]
    unknown: list[str]


def sweep_project(call: Call) -> Reply:
    """Have the project swept now; with `dryRun` nothing is touched."""
    if call.world.sessions.ledger(call.project) is None:
        raise Refused(404, ErrorCode.NOT_FOUND, "There is no such project.")
    wanted = SweepWanted(project=call.project, dry_run=call.flag("dryRun"))
    if not wanted.dry_run:
        told = outbox_entry(EventType.SWEEP_REQUESTED, "sweep", {}, call.actor, call.world.now())
        call.world.sessions.commit(call.project, [told])
    return Reply(status=200, sweep=wanted)


def report_view(report: Report) -> SweepReport:
    return SweepReport(
        project=report.project,
        started_at=report.started_at,
        dry_run=report.dry_run,
        apps=report.apps,
        sessions=report.sessions,
        found=[
            FindingView(what=one.what, subject=one.subject, detail=one.detail, repaired=one.repaired)
            for one in report.found
        ],
        unknown=report.unknown,
    )
