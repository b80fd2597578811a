"""Refused attempts to change something, counted so that no flood of them fills the audit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

ANONYMOUS = "anonymous"
"""The actor of attempts whose token was missing or not accepted."""
OTHERS = "others"
"""The actor, or the operation, of attempts beyond what is told apart at a time."""
TOLD_EVERY = timedelta(seconds=15)
AUDITED = frozenset({401, 403, 404, 409, 429})
"""Statuses of attempts that somebody was not let through with. What is malformed (400) is nobody's attempt."""
NO_REFUSALS = frozenset({"ShellNotReady"})
"""Codes that tell a caller to come again, and refuse nothing."""
MOST_OF_ONE = 10
"""Kinds of one caller's attempts that are told apart in `TOLD_EVERY`."""
MOST_NAMED = 400
MOST_ANONYMOUS = 50


class Key(NamedTuple):
    """What is counted together: a caller's attempts at one operation with one outcome."""

    project: str
    actor: str
    operation: str
    code: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One refused attempt. `project` is empty where none was named; `target` tells which of its things was meant."""

    at: datetime
    project: str
    actor: str
    operation: str
    status: int
    code: str
    request: str
    source: str
    target: str = ""

    @property
    def is_anonymous(self) -> bool:
        return self.actor == ANONYMOUS

    @property
    def is_audited(self) -> bool:
        return self.status in AUDITED and self.code not in NO_REFUSALS

    @property
    def key(self) -> Key:
        return Key(self.project, self.actor, self.operation, self.code, self.source if self.is_anonymous else "")

    def without_particulars(self) -> Attempt:
        """Return the attempt without what tells it apart from others of its caller's with the same outcome."""
        source = "" if self.is_anonymous else self.source
        return replace(self, project="", operation=OTHERS, source=source, target="")

    def of_nobody_in_particular(self) -> Attempt:
        """Return the attempt without what tells it apart from anybody's with the same outcome."""
        return replace(self, project="", actor=OTHERS, operation=OTHERS, source="", target="")


@dataclass(frozen=True, slots=True)
class Tally:
    """Attempts that are counted together: the first of them, how many, and when the last was."""

    first: Attempt
    count: int
    last_at: datetime

    def and_another(self, at: datetime) -> Tally:
        return Tally(self.first, self.count + 1, max(at, self.last_at))

    def after(self, earlier: Tally | None) -> Tally:
        """Return both together, where the earlier ones could not be written down yet."""
        if earlier is None:
            return self
        return Tally(earlier.first, earlier.count + self.count, max(earlier.last_at, self.last_at))
