"""Entra groups as the directory: members and administrators by group, asked of Microsoft Graph."""

from __future__ import annotations

import pytest
from port_harness import AnyToken

from shared.domain.names import ProjectId, UserId
from shared.ports.entitlement import EntitlementUnknown
from shared.ports.entra_groups import MOST_GROUPS_A_QUESTION, GroupEntitlement, ProjectGroups

USER = UserId("a0000000-0000-4000-8000-000000000001")
ASK = f"/v1.0/users/{USER}/checkMemberGroups"
DEMO, LAB, OTHER = ProjectId("demo"), ProjectId("ai-lab"), ProjectId("other")


def group(number: int) -> str:
    return f"9a000000-0000-4000-8000-{number:012d}"


GROUPS = {
    DEMO: ProjectGroups(members=group(1), administrators=group(2)),
    LAB: ProjectGroups(members=group(3)),
}


@pytest.fixture
def entitlement(service) -> GroupEntitlement:
    return GroupEntitlement(endpoint=service.origin, credential=AnyToken(), groups=GROUPS)


@pytest.mark.parametrize(
    ("groups", "members_of", "administers"),
    [
        ([], [], []),
        ([group(1)], [DEMO], []),
        ([group(2)], [], [DEMO]),
        ([group(3).upper(), group(1)], [LAB, DEMO], []),
        ([group(99)], [], []),
    ],
)
def test_groups_decide_who_is_a_member_and_who_administers(entitlement, service, groups, members_of, administers):
    service.says("POST", ASK, {"value": groups})

    assert entitlement.projects_of(USER) == members_of
    assert [project for project in (LAB, DEMO, OTHER) if entitlement.is_member(project, USER)] == members_of
    assert [project for project in (LAB, DEMO, OTHER) if entitlement.is_administrator(project, USER)] == administers
    assert entitlement.all_projects() == [LAB, DEMO]
    assert service.asked == [("POST", ASK)], "one question tells it all"


def test_a_user_whom_the_directory_does_not_know_is_in_no_group(entitlement, service):
    service.says("POST", ASK, {"error": {"code": "Request_ResourceNotFound"}}, 404)

    assert entitlement.projects_of(USER) == []
    assert entitlement.trouble is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"<html>", 404),
        ({"error": {"code": "UnknownError"}}, 404),
        ({"error": {"code": "Authorization_RequestDenied"}}, 403),
        (b"<html>", 503),
        (b"<html>", 200),
        ({}, 200),
        ({"value": None}, 200),
        ({"value": [7]}, 200),
    ],
)
def test_what_is_not_answered_is_unknown_and_shows(entitlement, service, body, status):
    service.says("POST", ASK, body, status)

    for ask in (lambda: entitlement.is_member(DEMO, USER), lambda: entitlement.is_administrator(DEMO, USER)):
        with pytest.raises(EntitlementUnknown):
            ask()
    assert "Microsoft Graph" in str(entitlement.trouble)
    service.says("POST", ASK, {"value": [group(1)]})
    assert entitlement.is_member(DEMO, USER)
    assert entitlement.trouble is None


def test_answers_are_remembered_for_two_minutes(entitlement, service, pass_time):
    service.says("POST", ASK, {"value": [group(1)]})
    assert entitlement.is_member(DEMO, USER)
    service.says("POST", ASK, {"value": []})
    pass_time(119)
    assert entitlement.is_member(DEMO, USER)
    pass_time(2)
    assert not entitlement.is_member(DEMO, USER)


def test_more_groups_than_a_question_takes_are_asked_for_in_several(service):
    many = {ProjectId(f"project-{n}"): ProjectGroups(members=group(n)) for n in range(MOST_GROUPS_A_QUESTION + 1)}
    entitlement = GroupEntitlement(endpoint=service.origin, credential=AnyToken(), groups=many)
    service.says("POST", ASK, {"value": [group(MOST_GROUPS_A_QUESTION)]})

    assert entitlement.projects_of(USER) == [ProjectId(f"project-{MOST_GROUPS_A_QUESTION}")]
    assert len(service.asked) == 2
