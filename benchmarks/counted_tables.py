"""Tables whose transactions are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from shared.ports.tables import Tables

ROWS_A_TRANSACTION = 1000


class Counted:
    """The real tables, with every transaction counted: a scan is one for each thousand rows."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.done: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._tables, name)

        def counted(*parts: Any, **more: Any) -> Any:
            answer = call(*parts, **more)
            self.done[name] += max(1, -(-len(answer) // ROWS_A_TRANSACTION)) if isinstance(answer, list) else 1
            return answer

        return counted
