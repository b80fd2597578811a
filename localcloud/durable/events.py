"""External events and those who wait for them.

Names ignore case. Waiters of one name are a stack: the youngest gets the next event. Events that nobody awaits are
kept in order, and the next waiter of their name gets the oldest (functions-host.md 1.6).
"""

from collections import deque

from localcloud.durable.promises import Promise


class ExternalEvents:
    """The waiters and the buffered events of one generation.

    `delivered` tells all that came, and `crowded` the names of those that came early beside others with other data.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, list[Promise[str | None]]] = {}
        self._buffered: dict[str, deque[str | None]] = {}
        self._awaited: set[str] = set()
        self.delivered: list[tuple[str, str | None]] = []
        self.crowded: list[str] = []

    def wait_for(self, name: str) -> Promise[str | None]:
        """A promise of the next event of this name; settled at once where one was kept."""
        key = name.lower()
        promise: Promise[str | None] = Promise()
        self._waiting.setdefault(key, []).append(promise)
        self._awaited.add(key)
        kept = self._buffered.get(key)
        if kept:
            event = kept.popleft()
            if not kept:
                del self._buffered[key]
            self._hand_over(name, event)
        return promise

    def deliver(self, name: str, input_text: str | None) -> None:
        """Hand an event to the youngest waiter, or keep it."""
        kept = self._buffered.get(name.lower())
        if kept and input_text not in kept and name.lower() not in self._awaited:
            self.crowded.append(name)
        self.delivered.append((name, input_text))
        self._hand_over(name, input_text)

    @property
    def has_waiters(self) -> bool:
        return bool(self._waiting)

    def kept_names(self) -> list[str]:
        """The names of the events that nobody awaited so far, in lower case."""
        return list(self._buffered)

    def _hand_over(self, name: str, input_text: str | None) -> None:
        key = name.lower()
        waiting = self._waiting.get(key)
        if not waiting:
            self._buffered.setdefault(key, deque()).append(input_text)
            return
        promise = waiting.pop()
        if not waiting:
            del self._waiting[key]
        promise.resolve(input_text)
