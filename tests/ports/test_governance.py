"""Dev Center's bounds: what settings and policies mean together, in every shape, and that unknown stays unknown."""

from __future__ import annotations

import pytest
from port_harness import SUBSCRIPTION, AnyToken, ManagedIdentity, clear, put

from localcloud.dev_center.catalogue import RESOURCE_GROUP
from shared.domain.governance import Governance
from shared.domain.names import ProjectId
from shared.domain.settings import Mode
from shared.ports.governance import ArmGovernance, GovernanceUnknown, NoGovernance, governance_of

DEMO = ProjectId("demo")
LOCKED = {"statusModifiable": "NotModifiable", "valuesModifiable": "NotModifiable"}
CAP_OF_TWO = [{"name": "maxConcurrentSessionsPerProject", "value": "2"}]


def project(mode: object = None, cap: object = None) -> dict:
    settings = {"serverlessGpuSessionsMode": mode, "maxConcurrentSessionsPerProject": cap}
    return {"name": "demo", "properties": {"serverlessGpuSessionsSettings": settings}}


def inherited(**policy: object) -> dict:
    return {"networkSettings": {}, "serverlessGpuSessionsSettings": policy}


@pytest.mark.parametrize(
    ("own", "policy", "bounds"),
    [
        (project("AutoDeploy", 3), {}, Governance(mode=Mode.AUTO_DEPLOY, max_concurrent=3)),
        (project("Disabled", 3), {}, Governance(mode=Mode.DISABLED, max_concurrent=3)),
        (
            project("AutoDeploy", 5),
            inherited(**LOCKED, defaultStatus="Disabled", defaultValues=CAP_OF_TWO),
            Governance(mode=Mode.DISABLED, max_concurrent=2, mode_locked=True, cap_locked=True),
        ),
        (
            project("AutoDeploy", 5),
            inherited(statusModifiable="Modifiable", valuesModifiable="NotModifiable", defaultValues=CAP_OF_TWO),
            Governance(mode=Mode.AUTO_DEPLOY, max_concurrent=2, cap_locked=True),
        ),
        (
            project("AutoDeploy", 5),
            inherited(
                statusModifiable="Modifiable",
                valuesModifiable="Modifiable",
                defaultStatus="Disabled",
                defaultValues=CAP_OF_TWO,
            ),
            Governance(mode=Mode.AUTO_DEPLOY, max_concurrent=5),
        ),
        (
            project("Disabled"),
            inherited(statusModifiable="notmodifiable", defaultStatus="Enabled"),
            Governance(mode=Mode.AUTO_DEPLOY, mode_locked=True),
        ),
        (
            {"properties": {}},
            inherited(**LOCKED, defaultStatus="autoDeploy", defaultValues=[{"name": "Other", "value": "9"}]),
            Governance(mode=Mode.AUTO_DEPLOY, mode_locked=True, cap_locked=True),
        ),
        (
            project("AutoDeploy", 4),
            inherited(**LOCKED, defaultStatus="Sometimes", defaultValues=[{"name": None}, "odd"]),
            Governance(mode=Mode.AUTO_DEPLOY, max_concurrent=4, mode_locked=True, cap_locked=True),
        ),
    ],
)
def test_a_locked_policy_rules_and_else_the_projects_own_value_bounds(own, policy, bounds):
    assert governance_of(own, policy) == bounds


@pytest.mark.parametrize(
    "own", [None, [], {}, {"properties": None}, {"properties": {"serverlessGpuSessionsSettings": None}}, project()]
)
@pytest.mark.parametrize("policy", [None, "odd", {}, {"serverlessGpuSessionsSettings": None}, inherited()])
def test_absent_objects_set_no_bound(own, policy):
    assert governance_of(own, policy) == Governance()


@pytest.mark.parametrize(
    ("value", "cap"),
    [("3", 3), (3, 3), (3.0, 3), (" 3 ", 3), *((odd, None) for odd in ("3.5", 0, -1, "many", True, [], "inf", "nan"))],
)
def test_a_cap_comes_as_number_or_text(value, cap):
    assert governance_of(project("AutoDeploy", value), {}).max_concurrent == cap


@pytest.fixture
def governance(service) -> ArmGovernance:
    service.says("GET", "/projects/demo", project("AutoDeploy", 3))
    service.says("POST", "/projects/demo/getInheritedSettings", inherited())
    return ArmGovernance(
        credential=AnyToken(), endpoint=service.origin, subscription_id=SUBSCRIPTION, resource_group="group"
    )


def test_a_project_unknown_to_dev_center_has_no_bounds(governance):
    assert governance.bounds(ProjectId("nowhere")) == Governance()


@pytest.mark.parametrize("asked", [("GET", "/projects/demo"), ("POST", "/projects/demo/getInheritedSettings")])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": {"code": "InternalServerError"}}, 500),
        (b"<html>not available</html>", 503),
        (b"<html>signed out</html>", 200),
        (b"<html>no such page</html>", 404),
        ({"error": {"code": "AuthorizationFailed"}}, 403),
        ({"error": {"code": "ResourceGroupNotFound"}}, 404),
        ({"error": {"code": "SubscriptionNotFound"}}, 404),
    ],
)
def test_dev_center_that_does_not_answer_is_unknown_and_never_unbound(governance, service, asked, body, status):
    service.says(*asked, body, status)

    with pytest.raises(GovernanceUnknown):
        governance.bounds(DEMO)


def test_bounds_are_fresh_for_two_minutes_and_stand_in_for_an_hour(governance, service, pass_time):
    bounds = governance.bounds(DEMO)
    assert bounds == Governance(mode=Mode.AUTO_DEPLOY, max_concurrent=3)
    service.says("GET", "/projects/demo", project("AutoDeploy", 1))

    pass_time(119)
    assert governance.bounds(DEMO) == bounds
    assert len(service.asked) == 2
    service.says("GET", "/projects/demo", b"<html>", 503)
    pass_time(3400)
    assert governance.bounds(DEMO) == bounds
    pass_time(82)
    with pytest.raises(GovernanceUnknown, match="did not answer"):
        governance.bounds(DEMO)
    service.says("GET", "/projects/demo", project("AutoDeploy", 1))
    pass_time(16)
    assert governance.bounds(DEMO).max_concurrent == 1


def test_without_a_dev_center_no_project_has_bounds():
    assert NoGovernance().bounds(DEMO) == Governance()


@pytest.mark.stack
def test_the_stand_ins_dev_center_is_asked_with_the_apps_own_identity(cloud):
    handle = f"{cloud.endpoints['devCenter']}/_governance"

    def fresh(group: str = RESOURCE_GROUP) -> ArmGovernance:
        return ArmGovernance(
            credential=ManagedIdentity(cloud),
            endpoint=cloud.endpoints["devCenter"],
            subscription_id=SUBSCRIPTION,
            resource_group=group,
        )

    assert fresh().bounds(DEMO) == Governance()
    put(
        handle,
        {
            "project": "demo",
            "serverlessGpuSessionsSettings": {"serverlessGpuSessionsMode": "AutoDeploy"},
            "policy": {"valuesModifiable": "NotModifiable", "defaultValues": CAP_OF_TWO},
        },
    )
    try:
        assert fresh().bounds(DEMO) == Governance(mode=Mode.AUTO_DEPLOY, max_concurrent=2, cap_locked=True)
        assert fresh().bounds(ProjectId("third")) == Governance()
        with pytest.raises(GovernanceUnknown):
            fresh("another-group").bounds(DEMO)
    finally:
        clear(handle)
