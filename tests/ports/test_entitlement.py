"""Who has a Dev Box where, asked of Dev Center's data plane; what it does not answer is unknown."""

from __future__ import annotations

import pytest
from port_harness import SUBSCRIPTION, AnyToken, ManagedIdentity, clear, put

from localcloud.dev_center.catalogue import RESOURCE_GROUP
from localcloud.identity import people
from shared.domain.names import ProjectId, UserId
from shared.ports.dev_center import DEV_CENTER_OWNER, PROJECT_ADMIN, ArmProjects, DevCenterEntitlement
from shared.ports.entitlement import EntitlementUnknown

USER = UserId("a0000000-0000-4000-8000-000000000001")
BOXES = f"/users/{USER}/devboxes"


class AskedFor:
    """The control plane's identity, which has a token for each service that it is asked for."""

    def __init__(self, cloud, dev_center: ManagedIdentity) -> None:
        self._tokens = {"devcenter": dev_center, "management": ManagedIdentity(cloud)}

    def get_token(self, *scopes: str, **more: object):
        (of,) = (token for word, token in self._tokens.items() if f"//{word}." in scopes[0])
        return of.get_token(*scopes, **more)


def box(project: object, state: str = "Succeeded") -> dict:
    return {"name": "box", "projectName": project, "provisioningState": state}


@pytest.fixture
def entitlement(service) -> DevCenterEntitlement:
    projects = ArmProjects(endpoint=service.origin, subscription_id="sub", resource_group="dev-centers")
    return DevCenterEntitlement(endpoint=service.origin, credential=AnyToken(), projects=projects)


def test_a_users_projects_are_those_with_a_usable_dev_box_each_once(entitlement, service):
    first = [box("demo"), box("Demo"), box("failed", "Failed"), box("gone", "Deleting")]
    service.says("GET", BOXES, {"value": first, "nextLink": f"{service.origin}/second"})
    service.says(
        "GET", "/second", {"value": [box("ai-lab", "ProvisionedWithWarning"), box("no.id_of ours"), box(None)]}
    )

    assert entitlement.projects_of(USER) == ["ai-lab", "demo"]


def test_all_projects_are_listed_without_names_that_cannot_be_ours(entitlement, service):
    service.says(
        "GET", "/projects", {"value": [{"name": "other"}, {"name": "DEMO"}, {"name": "a_b"}, {"name": "x"}, {}]}
    )

    assert entitlement.all_projects() == ["demo", "other"]


def test_what_dev_center_does_not_know_has_no_projects(entitlement):
    assert entitlement.projects_of(USER) == []
    assert entitlement.all_projects() == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": {}}, 500),
        (b"<html>", 503),
        (b"<html>", 200),
        ({"error": {}}, 403),
        ([], 200),
        ({}, 200),
        ({"value": None}, 200),
        ({"value": ["box"]}, 200),
        ({"value": [], "nextLink": 7}, 200),
        ({"value": [], "nextLink": "https://elsewhere.example/next"}, 200),
    ],
)
def test_a_list_that_cannot_be_read_is_unknown(entitlement, service, body, status):
    for end in (BOXES, "/projects"):
        service.says("GET", end, body, status)

    for ask in (lambda: entitlement.projects_of(USER), entitlement.all_projects):
        with pytest.raises(EntitlementUnknown):
            ask()


def test_answers_are_remembered_for_two_minutes_and_failures_are_not(entitlement, service, pass_time):
    service.says("GET", BOXES, b"<html>", 503)
    with pytest.raises(EntitlementUnknown):
        entitlement.projects_of(USER)
    service.says("GET", BOXES, {"value": [box("demo")]})
    entitlement.projects_of(USER).clear()

    assert entitlement.projects_of(USER) == ["demo"]
    assert len(service.asked) == 2
    service.says("GET", BOXES, b"<html>", 503)
    pass_time(121)
    with pytest.raises(EntitlementUnknown):
        entitlement.projects_of(USER)


def test_a_page_that_was_promised_and_is_not_there_is_unknown(entitlement, service):
    service.says("GET", BOXES, {"value": [box("demo", "Deleting")], "nextLink": f"{service.origin}/second"})

    with pytest.raises(EntitlementUnknown):
        entitlement.projects_of(USER)


ASSIGNMENTS = (
    "/subscriptions/sub/resourceGroups/dev-centers/providers/Microsoft.DevCenter/projects/demo"
    "/providers/Microsoft.Authorization/roleAssignments"
)
DEV_BOX_USER = "45d50f46-0b78-4001-a660-4198cbe8cd05"


def assigned(role: str, **more: object) -> dict:
    return {"properties": {"roleDefinitionId": f"/subscriptions/s/roleDefinitions/{role}", "principalId": "p", **more}}


@pytest.mark.parametrize(
    ("assignments", "administers"),
    [
        ([], False),
        ([assigned(PROJECT_ADMIN)], True),
        ([assigned(DEV_BOX_USER), assigned(DEV_CENTER_OWNER.upper())], True),
        ([assigned(DEV_BOX_USER)], False),
        ([assigned(PROJECT_ADMIN, condition="@Resource[...]")], False),
        ([assigned(f"{PROJECT_ADMIN}0")], False),
        ([{"properties": None}, {}], False),
    ],
)
def test_an_administrator_is_who_has_dev_centers_role_for_that(entitlement, service, assignments, administers):
    service.says("GET", ASSIGNMENTS, {"value": assignments})

    assert entitlement.is_administrator(ProjectId("demo"), USER) is administers
    assert service.asked == [("GET", ASSIGNMENTS)]


def test_role_assignments_that_cannot_be_read_are_unknown_and_that_shows(entitlement, service):
    service.says("GET", ASSIGNMENTS, {"error": {"code": "AuthorizationFailed"}}, 403)

    with pytest.raises(EntitlementUnknown):
        entitlement.is_administrator(ProjectId("demo"), USER)
    assert "Azure Resource Manager" in str(entitlement.trouble)


def test_without_a_place_for_projects_nobody_administers_by_a_role_in_azure(service):
    alone = DevCenterEntitlement(endpoint=service.origin, credential=AnyToken())

    assert not alone.is_administrator(ProjectId("demo"), USER)
    assert service.asked == []


def test_an_outage_shows_until_an_answer_comes(entitlement, service):
    assert entitlement.trouble is None
    service.says("GET", BOXES, b"<html>", 503)
    with pytest.raises(EntitlementUnknown):
        entitlement.is_member(ProjectId("demo"), USER)
    assert "503" in str(entitlement.trouble) or "Dev Center" in str(entitlement.trouble)

    service.says("GET", BOXES, {"value": [box("demo")]})
    assert entitlement.is_member(ProjectId("demo"), USER)
    assert entitlement.trouble is None


@pytest.mark.stack
def test_the_stand_ins_people_are_where_they_belong(cloud):
    dev_center = cloud.endpoints["devCenter"]

    def fresh() -> DevCenterEntitlement:
        identity = ManagedIdentity(cloud, "https://devcenter.azure.com")
        projects = ArmProjects(endpoint=dev_center, subscription_id=SUBSCRIPTION, resource_group=RESOURCE_GROUP)
        return DevCenterEntitlement(endpoint=dev_center, credential=AskedFor(cloud, identity), projects=projects)

    def person(name: str) -> UserId:
        return UserId(people.object_id(name))

    entitlement = fresh()
    assert [entitlement.projects_of(person(name)) for name in ("alice", "erin", "dave")] == [["demo"], ["other"], []]
    assert entitlement.all_projects() == ["demo", "other"]
    assert entitlement.is_member(ProjectId("demo"), person("alice"))
    assert not entitlement.is_member(ProjectId("other"), person("alice"))
    assert entitlement.is_administrator(ProjectId("demo"), person("carol"))
    put(f"{dev_center}/_faults", {"status": 503})
    try:
        with pytest.raises(EntitlementUnknown):
            fresh().projects_of(person("alice"))
    finally:
        clear(f"{dev_center}/_faults")
