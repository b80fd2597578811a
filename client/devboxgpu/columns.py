"""The columns of lists for people: sessions, offers, projects, activity."""

from __future__ import annotations

from datetime import UTC, datetime

from devboxgpu.data_output import Column
from devboxgpu.wire import Json, Money, count_of, instant_of, items_of, mapping_of, number_of, text_of
from devboxgpu.wording import duration, estimate, moment, money, ordinal


def _age(session: Json) -> str:
    if (lasted_s := number_of(session, "durationSeconds")) is not None:
        return duration(lasted_s)
    created = instant_of(session, "createdAt")
    ended = instant_of(session, "endedAt") or datetime.now(UTC)
    return duration(max(0.0, (ended - created).total_seconds())) if created else ""


def _state(session: Json) -> str:
    state = text_of(session, "state") or ""
    match state:
        case "Provisioning":
            more = text_of(session, "phase")
        case "Waiting":
            position = count_of(session, "queuePosition")
            more = f"{ordinal(position)} in line" if position else None
        case "Running":
            more = "no client heard" if instant_of(session, "waitsForClientUntil") else None
        case _:
            more = text_of(session, "endReason")
    return f"{state} ({more})" if more else state


def _cost(session: Json) -> str:
    cost = Money.read(mapping_of(session, "cost"), "amount")
    return money(cost) if cost else ""


def _stops(session: Json) -> str:
    stops_at, reason = instant_of(session, "stopsAt"), text_of(session, "stopReason")
    if stops_at is None:
        return ""
    return f"{moment(stops_at)} ({reason})" if reason else moment(stops_at)


def _regions(offer: Json) -> str:
    return ", ".join(_region(region) for region in items_of(offer, "regions"))


def _region(region: Json) -> str:
    """The name, and what stands in the way there."""
    name = text_of(region, "name") or ""
    if region.get("shortage"):
        return f"{name} (shortage)"
    return f"{name} (no quota left)" if number_of(region, "quotaFree") == 0 else name


def _price(offer: Json) -> str:
    told = [mapping_of(region, "price") for region in items_of(offer, "regions")]
    known = [price for one in told if (price := Money.read(one, "amountPerHour")) is not None]
    if not known:
        return "unknown"
    least, most = min(known, key=lambda price: price.amount), max(known, key=lambda price: price.amount)
    shown = money(least) if least == most else f"{money(least)} to {money(most)}"
    return f"{shown} (bundled)" if any(one and one.get("source") == "bundled" for one in told) else shown


def _wait(offer: Json) -> str:
    wait_s = number_of(offer, "expectedWaitSeconds")
    if wait_s is None:
        return "unknown"
    return estimate(wait_s) if wait_s else "none"


def _note(offer: Json) -> str:
    return ", ".join(word for word in ("default", "fallback") if offer.get(word))


def _of(used: object, most: object) -> str:
    """`3 of 4`; a side that is not known is a question mark."""
    return f"{'?' if used is None else used} of {'?' if most is None else most}"


def _gpu_types(project: Json) -> str:
    entries = items_of(project, "gpuTypes")
    return ", ".join(
        f"{entry.get('type')} {_of(entry.get('sessions'), entry.get('maxConcurrent'))}" for entry in entries
    )


def _budget(project: Json) -> str:
    budget = mapping_of(project, "budget")
    spent, most = Money.read(budget, "spent"), Money.read(budget, "monthlyAmount")
    if most is None:
        return "no budget"
    return f"{money(spent) if spent is not None else 'unknown'} of {money(most)}"


def _happened(entry: Json) -> str:
    return (text_of(entry, "type") or "").removeprefix("DevBoxGpu.")


def _facts(entry: Json) -> str:
    """What the entry tells beyond its columns: plain facts, each `name=value`."""
    facts = mapping_of(entry, "data") or {}
    return ", ".join(
        f"{name}={value}"
        for name, value in facts.items()
        if name not in UNTOLD_FACTS and isinstance(value, str | int | float) and value != ""
    )


UNTOLD_FACTS = frozenset({"session", "user", "seq", "ledgerRevision", "ledgerIndex", "ledgerAt", "revision"})
SESSION_COLUMNS = (
    Column("SESSION", lambda session: session.get("id")),
    Column("STATE", _state),
    Column("USER", lambda session: session.get("userName") or session.get("user")),
    Column("GPU", lambda session: session.get("gpuType")),
    Column("REGION", lambda session: session.get("region")),
    Column("AGE", _age),
    Column("EST. COST", _cost),
    Column("STOPS", _stops),
)
OFFER_COLUMNS = (
    Column("GPU", lambda offer: offer.get("gpuType")),
    Column("PRICE AN HOUR", _price),
    Column("FREE", lambda offer: offer.get("freeNow")),
    Column("FOR YOU", lambda offer: offer.get("freeForYou")),
    Column("CAP", lambda offer: offer.get("maxConcurrent")),
    Column("IN LINE", lambda offer: offer.get("waiting")),
    Column("WAIT", _wait),
    Column("REGIONS", _regions),
    Column("NOTE", _note),
)
PROJECT_COLUMNS = (
    Column("PROJECT", lambda project: project.get("id")),
    Column("GPU", lambda project: "enabled" if project.get("enabled") else "disabled"),
    Column("ROLE", lambda project: project.get("role")),
    Column("SESSIONS", lambda project: _of(project.get("sessions"), project.get("maxConcurrentSessions"))),
    Column("YOURS", lambda project: _of(project.get("yourSessions"), project.get("maxConcurrentSessionsPerUser"))),
    Column("IN LINE", lambda project: project.get("waiting")),
    Column("IN USE BY TYPE", _gpu_types),
    Column("SHARING", lambda project: project.get("shellSharing")),
    Column("SPENT THIS MONTH", _budget),
)
ACTIVITY_COLUMNS = (
    Column("TIME", lambda entry: entry.get("time")),
    Column("WHAT", _happened),
    Column("BY", lambda entry: entry.get("actor")),
    Column("ON", lambda entry: entry.get("subject")),
    Column("FROM", lambda entry: entry.get("source")),
    Column("FACTS", _facts),
)
FINDING_COLUMNS = (
    Column("WHAT", lambda finding: finding.get("what")),
    Column("ON", lambda finding: finding.get("subject")),
    Column("REPAIRED", lambda finding: "yes" if finding.get("repaired") else "not yet"),
    Column("DETAIL", lambda finding: finding.get("detail")),
)
