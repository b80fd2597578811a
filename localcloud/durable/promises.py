"""Promises that settle synchronously: what runs after one runs at once, on the same stack.

The vendor's engine replays an orchestration on a task scheduler of this kind. asyncio's futures defer their callbacks
to the next turn of a loop, which would let two completions of one history overtake each other.
"""

from collections.abc import Callable, Coroutine, Generator, Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Cancelled(Exception):
    """The awaited thing was cancelled."""


class Promise(Generic[T]):
    """A value that comes later, or an error; it settles once and for all."""

    __slots__ = ("_error", "_then", "_value", "settled")

    def __init__(self) -> None:
        self.settled = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._then: list[Callable[[], None]] = []

    @property
    def error(self) -> BaseException | None:
        return self._error

    def resolve(self, value: T) -> None:
        self._value = value
        self._settle()

    def reject(self, error: BaseException) -> None:
        self._error = error
        self._settle()

    def _settle(self) -> None:
        if self.settled:
            raise RuntimeError("a promise was settled twice")
        self.settled = True
        waiting, self._then = self._then, []
        for call in waiting:
            call()

    def when_settled(self, call: Callable[[], None]) -> None:
        """Have `call` made when this settles, or now if it has."""
        if self.settled:
            call()
        else:
            self._then.append(call)

    def result(self) -> T:
        """The value; raises the error. To be asked only of a settled promise."""
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]  # set by resolve, which is typed

    def __await__(self) -> Generator["Promise[Any]", None, T]:
        if not self.settled:
            yield self
        return self.result()


def start(work: Coroutine[Promise[Any], None, T]) -> Promise[T]:
    """Run a coroutine that awaits promises only, up to its first open one, and on from there when that settles."""
    outcome: Promise[T] = Promise()

    def advance() -> None:
        try:
            waited_for = work.send(None)
        except StopIteration as end:
            outcome.resolve(end.value)
        except Exception as error:  # whatever the coroutine raises is the promise's error, for its awaiter
            outcome.reject(error)
        else:
            waited_for.when_settled(advance)

    advance()
    return outcome


def when_all(promises: Sequence[Promise[Any]]) -> Promise[None]:
    """Resolves when all have settled, whether or not some failed."""
    outcome: Promise[None] = Promise()
    left = len(promises)

    def one_settled() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            outcome.resolve(None)

    if not promises:
        outcome.resolve(None)
    for promise in promises:
        promise.when_settled(one_settled)
    return outcome


def when_any(promises: Sequence[Promise[Any]]) -> Promise[None]:
    """Resolves when the first has settled; of none, never."""
    outcome: Promise[None] = Promise()

    def one_settled() -> None:
        if not outcome.settled:
            outcome.resolve(None)

    for promise in promises:
        promise.when_settled(one_settled)
    return outcome
