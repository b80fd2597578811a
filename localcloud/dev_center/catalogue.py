"""What the Dev Center stand-in knows: projects, who has a Dev Box where, who administers what.

Field names and values are those of the Dev Center data plane (`reference/azure.md` section 6.5).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from localcloud.identity import people
from localcloud.identity.people import Person

RESOURCE_GROUP = "devboxgpu-dev-center"
LOCATION = "westus3"
POOL = "local-pool"
CREATED_TIME = "2026-01-05T09:00:00Z"
MAX_DEV_BOXES_PER_USER = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A Dev Center project as the data plane shows it."""

    name: str
    description: str

    def to_wire(self) -> dict[str, object]:
        return {"name": self.name, "description": self.description, "maxDevBoxesPerUser": MAX_DEV_BOXES_PER_USER}


PROJECTS = {
    project.name: project
    for project in (
        Project(name=people.DEMO_PROJECT, description="The demonstration project of the local cloud"),
        Project(name=people.OTHER_PROJECT, description="A project where GPU sessions are not enabled"),
    )
}


def find_project(name: str) -> Project | None:
    """Return the project of this name, whose case does not matter."""
    return PROJECTS.get(name.lower())


def owners(project: str | None = None, user: str | None = None) -> list[Person]:
    """Return who has a Dev Box: anyone, or whoever has one in the project, has this object id, or both."""
    known = _people_by_id()
    asked = known.values() if user is None else filter(None, [known.get(user.lower())])
    return [person for person in asked if person.dev_box_in and project in (None, person.dev_box_in)]


def dev_box(person: Person) -> dict[str, object]:
    """Return the person's Dev Box as the data plane shows it."""
    return {
        "name": f"{person.name}-box",
        "projectName": person.dev_box_in,
        "poolName": POOL,
        "provisioningState": "Succeeded",
        "actionState": "Unknown",
        "powerState": "Running",
        "uniqueId": str(uuid.uuid5(people.NAMESPACE, f"dev box of {person.name}")),
        "location": LOCATION,
        "osType": "Windows",
        "user": person.object_id,
        "hardwareProfile": {"skuName": "general_i_8c32gb256ssd_v2", "vCPUs": 8, "memoryGB": 32},
        "storageProfile": {"osDisk": {"diskSizeGB": 256}},
        "imageReference": {"name": "local-image", "version": "1.0.0"},
        "createdTime": CREATED_TIME,
        "localAdministrator": "Enabled",
        "hibernateSupport": "Disabled",
    }


def administrators(project: str) -> list[Person]:
    return [person for person in people.NAMED.values() if person.administers == project]


@cache
def _people_by_id() -> Mapping[str, Person]:
    return {person.object_id: person for person in people.everyone()}
