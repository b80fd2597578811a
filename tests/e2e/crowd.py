"""Many people who ask for a GPU at the same moment, and what is seen of their apps from outside meanwhile."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.e2e.people import Person, Shell
from tests.e2e.running_stack import RunningStack
from tests.e2e.waiting import pause, until

LOOK_EVERY_S = 0.2


@dataclass
class Watch:
    """How many apps there were at each look: those that Azure has, and those with a living process."""

    present: list[int] = field(default_factory=list)
    alive: list[int] = field(default_factory=list)

    def look(self, stack: RunningStack) -> None:
        apps = stack.truth()
        self.present.append(sum(app["deletedAt"] is None for app in apps))
        self.alive.append(sum(app["alive"] for app in apps))


@contextmanager
def watched(stack: RunningStack) -> Iterator[Watch]:
    """Look at what really runs for as long as this lasts."""
    watch, over = Watch(), threading.Event()

    def look_on() -> None:
        while not over.is_set():
            watch.look(stack)
            pause(LOOK_EVERY_S)

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look_on)
        try:
            yield watch
        finally:
            over.set()
        looking.result()


def all_at_once(people: Sequence[Person], bodies: Sequence[dict[str, object]]) -> list[Shell]:
    """Let each of these people open a shell, none before all of them are ready to."""
    start = threading.Barrier(len(people))

    def ask(person: Person, body: dict[str, object]) -> Shell:
        start.wait()
        return person.open(**body)

    with ThreadPoolExecutor(len(people)) as pool:
        return list(pool.map(ask, people, bodies))


def states(stack: RunningStack, shells: Sequence[Shell]) -> Counter[str]:
    """Return how many of the shells' sessions are in each state; those that hold a place are `held`."""
    rows = {row["session"]: row for row in stack.rows("s-", "s.")}
    mine = [rows[shell.session] for shell in shells]
    return Counter("held" if row["holds"] else row["state"] for row in mine)


def drain(stack: RunningStack, shells: Sequence[Shell], *, until_left: int = 0) -> None:
    """Close whatever runs until no more than so many of the sessions are left."""
    by_session = {shell.session: shell for shell in shells}

    def some_more() -> bool:
        rows = [row for row in stack.rows("s-", "s.") if row["session"] in by_session and row["state"] != "Ended"]
        for row in rows:
            if row["state"] == "Running" and not row.get("stop_reason"):
                by_session[row["session"]].close()
        return len(rows) <= until_left

    until(some_more, f"all but {until_left} of {len(shells)} sessions to end", every_s=LOOK_EVERY_S)
