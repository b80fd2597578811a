"""What was asked of a slow or costly service lately: one asks for a key while others wait, and all get the answer."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from threading import Lock
from typing import Generic, TypeVar

from shared.ports.clock import elapsed_s

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")
MOST_KEYS = 50_000


@dataclass(slots=True)
class _Entry(Generic[Answer]):
    asking: Lock = field(default_factory=Lock)
    answer: tuple[Answer, float] | None = None
    failure: tuple[str, float] | None = None
    outdated: bool = False


class RecentAnswers(Generic[Key, Answer]):
    """Answers by key, in this process's memory.

    An answer younger than `fresh_s` is given without asking. One younger than `usable_s` stands in where asking fails;
    a failed ask is not repeated for `again_s`. `unknown` is the error that tells of a failed ask.
    """

    def __init__(self, *, fresh_s: float, usable_s: float, again_s: float, unknown: type[Exception]) -> None:
        self._fresh_s = fresh_s
        self._usable_s = usable_s
        self._again_s = again_s
        self._unknown = unknown
        self._entries: dict[Key, _Entry[Answer]] = {}
        self._guard = Lock()

    def recall(self, key: Key, ask: Callable[[], Answer]) -> Answer:
        """Return what is remembered or else asked; raise `unknown` where neither gives an answer."""
        entry = self._entry(key)
        with entry.asking:
            if entry.answer is not None and not entry.outdated and _is_younger(entry.answer, self._fresh_s):
                return entry.answer[0]
            if entry.failure is None or not _is_younger(entry.failure, self._again_s):
                try:
                    entry.outdated = False
                    entry.answer, entry.failure = (ask(), elapsed_s()), None
                except self._unknown as error:
                    entry.failure = str(error), elapsed_s()
            if entry.answer is not None and _is_younger(entry.answer, self._usable_s):
                return entry.answer[0]
            raise self._unknown(entry.failure[0] if entry.failure else "no answer")

    def known(self, key: Key) -> Answer | None:
        """Return what is remembered and still usable, without asking or waiting for who asks."""
        with self._guard:
            entry = self._entries.get(key)
        answer = entry.answer if entry is not None else None
        return answer[0] if answer is not None and _is_younger(answer, self._usable_s) else None

    def outdate(self, key: Key) -> None:
        """Let the next question be asked, whatever is remembered; it stays usable where asking fails."""
        with self._guard:
            entry = self._entries.get(key)
        if entry is not None:
            entry.outdated = True

    def _entry(self, key: Key) -> _Entry[Answer]:
        with self._guard:
            if key not in self._entries and len(self._entries) >= MOST_KEYS:
                self._entries.clear()
            return self._entries.setdefault(key, _Entry())


def _is_younger(told: tuple[object, float], age_s: float) -> bool:
    return elapsed_s() - told[1] < age_s
