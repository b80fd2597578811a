"""Verifying the audit: its entries held against the seals that the sweep made of them (docs/decisions/0020)."""

from __future__ import annotations

import re
from datetime import UTC, timedelta

import msgspec

from api.asked import days_asked, wrong
from api.call import Call, Reply
from api.usage_wire import FindingView, SealHead, VerificationView
from shared.domain.names import ProjectId
from shared.domain.verification import Finding, Tampering, head_fault, verdict_on
from shared.ports.seals import digests_on, seals_since

MOST_TOLD = 100
USUAL_DAYS = 7
_HEAD = re.compile(r"(\d{1,10}):([0-9a-f]{64})", re.ASCII)


def verify_activity(call: Call) -> Reply:
    """Tell what was altered, removed or added after it was sealed. Seals are read first: what they miss is young."""
    today = call.world.now().astimezone(UTC).date()
    first, last = days_asked(call, usual_first=today - timedelta(days=USUAL_DAYS))
    expected, scope, tables = _expected(call), call.scope, call.world.sessions.tables
    unreadable: list[Finding] = []
    try:
        seals = seals_since(tables, scope, first)
    except msgspec.MsgspecError as error:
        seals = []
        detail = f"a seal cannot be read any more, so none is believed: {error}"
        unreadable.append(Finding(kind=Tampering.SEAL_ALTERED, day=last, detail=detail))
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    verdict = verdict_on(seals, {day: digests_on(tables, scope, day) for day in days})
    fault = head_fault(seals, *expected) if expected else None
    findings = [*unreadable, *([fault] if fault else []), *verdict.findings]
    head = seals[-1] if seals else None
    view = VerificationView(
        first=first,
        last=last,
        intact=verdict.intact and fault is None and not unreadable,
        sealed=verdict.sealed,
        waiting=verdict.waiting,
        seals=len(seals),
        head=SealHead(number=head.number, hash=head.hash, sealed_at=head.sealed_at) if head else None,
        found=len(findings),
        findings=[_view(scope, finding) for finding in findings[:MOST_TOLD]],
    )
    return Reply(status=200, body=view)


def _expected(call: Call) -> tuple[int, str] | None:
    """Return the seal that was noted elsewhere, None where none is named."""
    text = call.query.get("expect")
    if text is None:
        return None
    found = _HEAD.fullmatch(text)
    if found is None:
        raise wrong("expect", "NUMBER:HASH, as 'head' has told them before")
    return int(found[1]), found[2]


def _view(scope: ProjectId, finding: Finding) -> FindingView:
    entry = f"{scope}.{finding.key}" if finding.key else None
    return FindingView(kind=finding.kind, day=finding.day, detail=finding.detail, entry=entry, seal=finding.seal)
