"""Projects as the caller may use them, with their use against caps and budget."""

from __future__ import annotations

from decimal import Decimal

from api.call import Call, Reply
from api.project_wire import BudgetView, ProjectList, ProjectView, TypeInProject
from shared.domain.effective import bounded
from shared.domain.names import ProjectId
from shared.domain.records import LedgerRow
from shared.domain.settings import GpuSettings
from shared.ports.book_keeping import ledger_of


def get_project(call: Call) -> Reply:
    return Reply(status=200, body=_view(call, call.project, administers=call.administers))


def list_projects(call: Call) -> Reply:
    """List the caller's projects: where the caller has a Dev Box, and those that the caller administers."""
    directory, user = call.world.entitlement, call.caller.user
    mine = set(directory.projects_of(user))
    views = []
    for project in sorted(directory.all_projects()):
        administers = call.caller.administers_everywhere or directory.is_administrator(project, user)
        if administers or project in mine:
            views.append(_view(call, project, administers=administers))
    return Reply(status=200, body=ProjectList(value=views))


def _view(call: Call, project: ProjectId, *, administers: bool) -> ProjectView:
    stored = call.world.sessions.ledger(project)
    row = stored.row if stored else None
    settings = bounded(row.policy if row else GpuSettings(), call.world.governance.bounds(project))
    by_type, by_user = (row.by_type, row.by_user) if row else ({}, {})
    return ProjectView(
        id=project,
        enabled=settings.enabled,
        role="operator" if call.caller.is_operator else "administrator" if administers else "member",
        max_concurrent_sessions=settings.project_cap,
        sessions=sum(by_type.values()),
        max_concurrent_sessions_per_user=settings.max_concurrent_sessions_per_user,
        your_sessions=by_user.get(call.caller.user, 0),
        waiting=row.waiting if row else 0,
        gpu_types=[
            TypeInProject(
                type=entry.type,
                max_concurrent=settings.cap_of_type(entry.type) or 0,
                sessions=by_type.get(entry.type, 0),
            )
            for entry in settings.gpu_types
        ],
        shell_sharing=settings.shell_sharing,
        budget=_budget(call, settings, row),
    )


def _budget(call: Call, settings: GpuSettings, row: LedgerRow | None) -> BudgetView | None:
    budget = settings.budget
    if budget is None or row is None:
        return None
    ledger = ledger_of(row).brought_to(call.world.now(), settings.line)
    used = ledger.spent + sum(ledger.accrued.values(), Decimal(0))
    return BudgetView(monthly_amount=str(budget.monthly_amount), spent=f"{used:.2f}", currency=budget.currency)
