"""What the caller could have now: GPU types, where, at what price, how many, and after what wait."""

from __future__ import annotations

from collections.abc import Iterable

from api.call import Call, Reply
from api.project_wire import OfferedRegion, OfferList, OfferView
from api.requested import settings_that_hold
from api.views import price_view
from shared.domain.admission import Book, Refuse, Wait, Wish, decide, free_for
from shared.domain.ledger import Ledger
from shared.domain.line import Line, Waiter
from shared.domain.memory import likely_short
from shared.domain.names import SessionId
from shared.domain.placement import Outlook, Place, environments_of
from shared.domain.pricing import GpuType
from shared.domain.settings import GpuSettings, GpuTypeSetting


def list_offers(call: Call) -> Reply:
    """Tell what the caller could have now."""
    settings = settings_that_hold(call)
    book = call.world.sessions.recent_book(call.project) or _empty_book(call, settings)
    regions = list(environments_of(settings, call.world.settings.environments))
    outlook = call.world.outlook(call.project)
    offers = [
        _offer(call, book, entry, [_region(call, Place(region, entry.type), outlook) for region in regions])
        for entry in settings.gpu_types
    ]
    return Reply(status=200, body=OfferList(value=offers))


def _empty_book(call: Call, settings: GpuSettings) -> Book:
    ledger = Ledger()
    return Book(settings=settings, ledger=ledger, line=Line([], ledger.shares, settings.line), now=call.world.now())


def _offer(call: Call, book: Book, entry: GpuTypeSetting, regions: Iterable[OfferedRegion]) -> OfferView:
    free, for_you = free_for(book, call.caller.user, entry.type)
    first = book.settings.gpu_types[0].type
    return OfferView(
        gpu_type=entry.type,
        regions=list(regions),
        max_concurrent=book.settings.cap_of_type(entry.type) or 0,
        free_now=free,
        free_for_you=for_you,
        waiting=sum(entry.type in waiter.gpu_types for waiter in book.line),
        default=entry.type is first,
        fallback=entry.fallback,
        expected_wait_seconds=_expected_wait_s(call, book, entry.type),
    )


def _expected_wait_s(call: Call, book: Book, gpu_type: GpuType) -> float | None:
    """Return 0 where the caller could be admitted at once, else the honest estimate, None where it is unknown."""
    now = book.now
    waiter = Waiter(session=SessionId("z" * 26), user=call.caller.user, gpu_types=(gpu_type,), since=now, until=now)
    match decide(book, Wish(waiter=waiter, wait=True)):
        case Wait(estimate_s=estimate_s):
            return estimate_s
        case Refuse():
            return None
        case _:
            return 0.0


def _region(call: Call, place: Place, outlook: Outlook) -> OfferedRegion:
    remembered = outlook.memory.get(place)
    return OfferedRegion(
        name=place.region,
        price=price_view(call.world.prices.rate(place.region, place.gpu_type)),
        quota_free=outlook.free.get(place),
        ready_seconds=remembered.ready_s if remembered else None,
        shortage=likely_short(remembered, call.world.now()),
    )
