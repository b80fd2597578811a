"""What the audit's seals and its entries, held against each other, tell: what was altered, removed or added."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import pairwise

from shared.domain.sealing import SealRow

Digests = Mapping[date, Mapping[str, str]]


class Tampering(StrEnum):
    """What can be found. All but `Late` are faults."""

    ALTERED = "Altered"
    REMOVED = "Removed"
    ADDED = "Added"
    SEAL_ALTERED = "SealAltered"
    SEAL_MISSING = "SealMissing"
    HEAD_CHANGED = "HeadChanged"
    LATE = "Late"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that does not fit: an entry by its key, or a seal by its number."""

    kind: Tampering
    day: date
    detail: str
    key: str = ""
    seal: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    findings: list[Finding]
    sealed: int
    waiting: int
    """Entries that are not sealed yet, as they may be: too young, or from before there were seals."""

    @property
    def intact(self) -> bool:
        return all(finding.kind is Tampering.LATE for finding in self.findings)


def verdict_on(seals: Sequence[SealRow], present: Digests) -> Verdict:
    """Hold the entries of some days against all seals that may speak of them, in the order of their numbers.

    The seals may be the end of a longer chain: what came before the first of them is not judged.
    """
    findings = [*_faults_of_chain(seals)]
    sealed = waiting = 0
    for day, entries in sorted(present.items()):
        told, digests = _sealed_of(seals, day)
        findings += _contradictions(day, entries, digests, told)
        for key in sorted(entries.keys() - digests.keys()):
            finding = _unsealed(seals, day, key)
            findings += [finding] if finding else []
            waiting += finding is None or finding.kind is Tampering.LATE
        sealed += len(digests.keys() & entries.keys())
    return Verdict(findings=findings, sealed=sealed, waiting=waiting)


def head_fault(seals: Sequence[SealRow], number: int, expected: str) -> Finding | None:
    """Return what is wrong where the seal of this number was noted elsewhere with this hash, None where it is so."""
    found = next((seal for seal in seals if seal.number == number), None)
    if found is not None and found.hash == expected:
        return None
    what = "is not there" if found is None else f"has the hash {found.hash}"
    day = found.day if found else seals[-1].day if seals else date.min
    detail = f"seal {number} was noted with the hash {expected}; it {what}"
    return Finding(kind=Tampering.HEAD_CHANGED, day=day, detail=detail, seal=number)


def _faults_of_chain(seals: Sequence[SealRow]) -> Iterator[Finding]:
    for seal in seals:
        if seal.own_hash() != seal.hash or (seal.number == 1) is bool(seal.before):
            detail = f"seal {seal.number} does not have the hash of what it says"
            yield Finding(kind=Tampering.SEAL_ALTERED, day=seal.day, detail=detail, seal=seal.number)
    for one, following in pairwise(seals):
        if following.number != one.number + 1:
            detail = f"seal {following.number} comes after seal {one.number}"
            yield Finding(kind=Tampering.SEAL_MISSING, day=following.day, detail=detail, seal=one.number + 1)
        elif following.before != one.hash:
            detail = f"seal {following.number} names another seal before it than seal {one.number} is"
            yield Finding(kind=Tampering.SEAL_ALTERED, day=one.day, detail=detail, seal=one.number)


def _sealed_of(seals: Sequence[SealRow], day: date) -> tuple[dict[str, SealRow], dict[str, str]]:
    """Return the seal of each late entry of the day, and the first digest that was sealed of each entry."""
    late: dict[str, SealRow] = {}
    digests: dict[str, str] = {}
    behind = ""
    for seal in seals:
        if seal.day == day:
            for key, digest in seal.entries.items():
                digests.setdefault(key, digest)
                if key <= behind or seal.next_day > day:
                    late[key] = seal
        behind = seal.next_key if seal.next_day == day else behind
    return late, digests


def _contradictions(
    day: date, entries: Mapping[str, str], digests: Mapping[str, str], late: Mapping[str, SealRow]
) -> Iterator[Finding]:
    for key, digest in sorted(digests.items()):
        if key not in entries:
            yield Finding(kind=Tampering.REMOVED, day=day, key=key, detail="it was sealed and is not there any more")
        elif entries[key] != digest:
            yield Finding(kind=Tampering.ALTERED, day=day, key=key, detail="it is not what was sealed")
        elif key in late:
            told = f"sealed at {late[key].sealed_at.isoformat()}, after entries that are younger than it"
            yield Finding(kind=Tampering.LATE, day=day, key=key, detail=told)


def _unsealed(seals: Sequence[SealRow], day: date, key: str) -> Finding | None:
    """Return what an entry means that no seal lists; None where it may well be so."""
    last = seals[-1] if seals else None
    if last is None or day > last.next_day or (seals[0].number == 1 and day < seals[0].day):
        return None
    if day < last.next_day:
        return Finding(kind=Tampering.ADDED, day=day, key=key, detail="it came after its day was closed")
    if key <= last.next_key:
        detail = "it came after younger entries were sealed, and will be sealed when its day is closed"
        return Finding(kind=Tampering.LATE, day=day, key=key, detail=detail)
    return None
