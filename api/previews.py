"""What would become of a request for a shell: the same decision as opening takes, and nothing is written."""

from __future__ import annotations

import msgspec

from api.call import Call, Reply
from api.sharing import Joining, seat_for
from api.views import price_view
from api.wire import DecisionView, OpenShellRequest
from shared.domain.admission import Admit, Decision, Refuse, Wait, Wish, decide
from shared.domain.placement import next_place
from shared.domain.pricing import GpuType
from shared.domain.records import SessionRow
from shared.domain.settings import GpuSettings
from shared.ports.tables import StorageUnavailable


def preview(call: Call, request: OpenShellRequest, session: SessionRow, settings: GpuSettings) -> Reply:
    """Return the decision that this request would meet now."""
    seat = seat_for(call, request, session, settings)
    if isinstance(seat, Joining):
        row = seat.session.row
        view = DecisionView(
            decision="join",
            gpu_type=row.gpu_type,
            region=row.region,
            price=price_view(row.rate),
            session=row.session,
            message="The shell joins a session that you have open.",
        )
        return Reply(status=200, body=view)
    book = call.world.sessions.book(call.project)
    if book is None:
        raise StorageUnavailable(f"project {call.project} has no ledger")
    return Reply(
        status=200, body=_decision_view(call, session, decide(book, Wish(waiter=session.waiter, wait=session.waits)))
    )


def _decision_view(call: Call, session: SessionRow, decision: Decision) -> DecisionView:
    match decision:
        case Admit(gpu_type=gpu_type):
            return _placed(call, session, gpu_type, DecisionView(decision="admit", gpu_type=gpu_type))
        case Wait(place=place, why=why, estimate_s=estimate_s):
            waits = DecisionView(
                decision="wait",
                gpu_type=session.gpu_type,
                code=why.code,
                message=why.message,
                queue_position=place,
                expected_wait_seconds=estimate_s,
            )
            return _placed(call, session, session.gpu_type, waits)
        case Refuse(problem=problem):
            return DecisionView(
                decision="refuse", gpu_type=session.gpu_type, code=problem.code, message=problem.message
            )


def _placed(call: Call, session: SessionRow, gpu_type: GpuType, view: DecisionView) -> DecisionView:
    """Return the view with where it would be tried first, at what price, and how soon it was ready there lately."""
    outlook, now = call.world.outlook(call.project), call.world.now()
    place = next_place(session.regions, [gpu_type], (), outlook, now)
    if place is None:
        return view
    remembered = outlook.memory.get(place)
    return msgspec.structs.replace(
        view,
        region=place.region,
        price=price_view(call.world.prices.rate(place.region, gpu_type)),
        expected_ready_seconds=remembered.ready_s if remembered else None,
    )
