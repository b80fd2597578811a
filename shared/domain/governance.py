"""What a project's Dev Center allows it at most, whatever the project's own settings say."""

from __future__ import annotations

import msgspec

from shared.domain.settings import Mode


class Governance(msgspec.Struct, frozen=True, kw_only=True):
    """The upper bound that Dev Center sets: a policy's default where it is locked, else the project's own value there.

    Absent: no bound. Locked: the policy says NotModifiable (reference/azure.md 6.2).
    """

    mode: Mode | None = None
    max_concurrent: int | None = None
    mode_locked: bool = False
    cap_locked: bool = False
