"""What Dev Center lets a project have: an upper bound on its own settings, set outside DevBoxGPU."""

from __future__ import annotations

import msgspec

from shared.domain.settings import Mode


class Governance(msgspec.Struct, frozen=True, kw_only=True):
    """Dev Center's word on a project's GPU sessions (azure.md 6.1, 6.2). None: it sets no bound.

    `mode` and `max_concurrent` bound the project's own settings from above. `mode_locked` and `cap_locked` tell that a
    Dev Center project policy fixes them: they are not the project's to change.
    """

    mode: Mode | None = None
    max_concurrent: int | None = None
    mode_locked: bool = False
    cap_locked: bool = False
