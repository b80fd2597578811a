"""The made-up people and projects of the local cloud, and the ids by which tokens and Dev Center know them.

Nothing here is secret or real: ids are derived from names, so that every machine has the same ones.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass

TENANT = "11111111-1111-1111-1111-111111111111"
OTHER_TENANT = "22222222-2222-2222-2222-222222222222"
NAMESPACE = uuid.UUID("7a0d6f4e-3b52-5c1a-9d0b-d0c5d0c5d0c5")

DEMO_PROJECT = "demo"
OTHER_PROJECT = "other"
OPERATOR_ROLE = "Gpu.Operator"
LOAD_USERS = 9999
LOAD_NAME = re.compile(r"load-([1-9][0-9]{0,3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Someone who can sign in, with what Dev Center and the directory say about them."""

    name: str
    roles: tuple[str, ...] = ()
    dev_box_in: str | None = None
    administers: str | None = None

    @property
    def object_id(self) -> str:
        return object_id(self.name)


NAMED = {
    person.name: person
    for person in (
        Person(name="alice", dev_box_in=DEMO_PROJECT),
        Person(name="bob", dev_box_in=DEMO_PROJECT),
        Person(name="carol", dev_box_in=DEMO_PROJECT, administers=DEMO_PROJECT),
        Person(name="dave"),
        Person(name="erin", dev_box_in=OTHER_PROJECT),
        Person(name="olga", roles=(OPERATOR_ROLE,)),
    )
}


def object_id(name: str) -> str:
    """Return the directory's id of whoever or whatever has this name."""
    return str(uuid.uuid5(NAMESPACE, name))


CONTROL_PLANE_ID = object_id("control-plane")
CONTROL_PLANE_CLIENT_ID = object_id("control-plane-client")
COMMAND_CLIENT_ID = object_id("devboxgpu-command")


def find_person(name: str) -> Person | None:
    """Return the person of this name; `load-1` to `load-9999` exist without being listed."""
    if person := NAMED.get(name):
        return person
    if LOAD_NAME.fullmatch(name):
        return Person(name=name, dev_box_in=DEMO_PROJECT)
    return None


def everyone() -> list[Person]:
    """Return all made-up people, the crowd for load included, in a lasting order."""
    crowd = [Person(name=f"load-{number}", dev_box_in=DEMO_PROJECT) for number in range(1, LOAD_USERS + 1)]
    return [*NAMED.values(), *crowd]
