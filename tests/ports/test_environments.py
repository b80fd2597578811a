"""The facts of an environment: what its usages mean in every shape, and that an unknown stays one."""

from __future__ import annotations

import pytest
from port_harness import SUBSCRIPTION, AnyToken, ManagedIdentity, clear, put

from shared.domain.pricing import GpuType
from shared.ports.arm_client import environment_place
from shared.ports.container_apps import ArmUnknown
from shared.ports.environments import AzureEnvironments, EnvironmentFacts, EnvironmentUnknown, free_quota

T4_ROW, A100_ROW = "ManagedEnvironmentConsumptionT4Gpus", "ManagedEnvironmentConsumptionNCA100Gpus"
ENVIRONMENT = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/theirs/providers/Microsoft.App/managedEnvironments/gpu"
PLACE = "/resourceGroups/theirs/providers/Microsoft.App/managedEnvironments/gpu"
LOCAL = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/devboxgpu-sessions/providers/Microsoft.App/managedEnvironments"


def row(name: object, used: object, limit: object, **more: object) -> dict:
    return {"name": name, "currentValue": used, "limit": limit, **more}


@pytest.mark.parametrize(
    ("rows", "free"),
    [
        ([row({"value": T4_ROW, "localizedValue": "T4"}, 1.0, 4.0, unit="Count")], {GpuType.T4: 3}),
        ([row(T4_ROW, 1, 4)], {GpuType.T4: 3}),
        ([row(T4_ROW.upper(), "1.0", "4", usage="25%")], {GpuType.T4: 3}),
        ([row(T4_ROW, 0.5, 2)], {GpuType.T4: 1}),
        ([row(T4_ROW, 7, 4)], {GpuType.T4: 0}),
        ([row(T4_ROW, 0, 2), row(A100_ROW, 0, 1)], {GpuType.T4: 2, GpuType.A100: 1}),
        ([row("ManagedEnvironmentConsumptionCores", 0.5, 10)], {}),
        ([], {}),
        ([row(T4_ROW, None, 4), row(A100_ROW, 0, 1)], {GpuType.A100: 1}),
        ([row(T4_ROW, float("nan"), 4), {"name": {"value": T4_ROW}}, row(None, 1, 2), None, "odd", {}], {}),
        ([row({"localizedValue": "no value"}, 1, 2), row(T4_ROW, 0, "Infinity"), row(T4_ROW, True, 2)], {}),
    ],
)
def test_usage_rows_are_read_in_every_shape(rows, free):
    assert free_quota(rows) == free


@pytest.fixture
def environments(service) -> AzureEnvironments:
    service.says("GET", PLACE, {"name": "gpu", "properties": {}})
    return AzureEnvironments(credential=AnyToken(), endpoint=service.origin, subscription_id=SUBSCRIPTION)


def test_an_environment_is_asked_for_in_its_own_resource_group(environments, service):
    service.says("GET", "/usages", {"value": [row(T4_ROW, 1, 4)]})

    facts = environments.facts(ENVIRONMENT)

    assert facts == EnvironmentFacts(has_virtual_network=False, free={GpuType.T4: 3})
    assert [path for _, path in service.asked] == [ENVIRONMENT, f"{ENVIRONMENT}/usages"]


def test_all_pages_of_usages_are_read(environments, service):
    service.says("GET", "/usages", {"value": [row(T4_ROW, 1, 4)], "nextLink": f"{service.origin}/second"})
    service.says("GET", "/second", {"value": [row(A100_ROW, 1, 2)]})

    assert environments.facts(ENVIRONMENT).free == {GpuType.T4: 3, GpuType.A100: 1}


@pytest.mark.parametrize(
    ("network", "has_one"),
    [
        (None, False),
        ({}, False),
        ({"internal": True}, False),
        ({"infrastructureSubnetId": ""}, False),
        ({"infrastructureSubnetId": "/subscriptions/s/subnets/one"}, True),
        ("odd", False),
    ],
)
def test_a_subnet_makes_the_virtual_network(environments, service, network, has_one):
    service.says("GET", PLACE, {"properties": {"vnetConfiguration": network}})
    service.says("GET", "/usages", {"value": []})

    assert environments.facts(ENVIRONMENT).has_virtual_network is has_one


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": {"code": "InternalServerError"}}, 500),
        (b"<html>not available</html>", 503),
        (b"<html>signed out</html>", 200),
        ({"error": {"code": "AuthorizationFailed"}}, 403),
        ({"value": None}, 200),
        ([1], 200),
    ],
)
def test_usages_that_cannot_be_read_are_unknown_and_the_environment_is_known_still(environments, service, body, status):
    service.says("GET", "/usages", body, status)

    assert environments.facts(ENVIRONMENT) == EnvironmentFacts(has_virtual_network=False, free=None)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": {"code": "InternalServerError"}}, 500),
        (b"<html>not available</html>", 503),
        (b"<html>signed out</html>", 200),
        ({"error": {"code": "AuthorizationFailed"}}, 403),
        ({"error": {"code": "ResourceNotFound"}}, 404),
    ],
)
def test_an_environment_that_cannot_be_read_is_unknown(environments, service, body, status):
    service.says("GET", PLACE, body, status)

    with pytest.raises(EnvironmentUnknown):
        environments.facts(ENVIRONMENT)


def test_nobody_there_is_unknown():
    nowhere = AzureEnvironments(credential=AnyToken(), endpoint="http://127.0.0.1:1", subscription_id=SUBSCRIPTION)

    with pytest.raises(EnvironmentUnknown):
        nowhere.facts(ENVIRONMENT)


def test_azure_is_asked_every_30_seconds_at_most_and_what_it_said_holds_for_10_minutes(
    environments, service, pass_time
):
    service.says("GET", "/usages", {"value": [row(T4_ROW, 1, 4)]})
    assert environments.known(ENVIRONMENT) is None
    first = environments.facts(ENVIRONMENT)
    service.says("GET", PLACE, b"<html>", 503)

    assert environments.facts(ENVIRONMENT.upper()) == first
    assert len(service.asked) == 2
    for _ in range(19):
        pass_time(31)
        assert environments.facts(ENVIRONMENT) == environments.known(ENVIRONMENT) == first
    assert len(service.asked) == 2 + 19
    pass_time(31)
    with pytest.raises(EnvironmentUnknown, match="503"):
        environments.facts(ENVIRONMENT)
    with pytest.raises(EnvironmentUnknown, match="503"):
        environments.facts(ENVIRONMENT)
    assert environments.known(ENVIRONMENT) is None
    assert len(service.asked) == 2 + 20


@pytest.mark.parametrize(
    "text", ["", "gpu", "/environments/one", ENVIRONMENT + "/usages", ENVIRONMENT.replace("App", "X")]
)
def test_what_is_no_environment_id_is_asked_of_nobody(environments, service, text):
    with pytest.raises(EnvironmentUnknown, match="is not the id of a managed environment"):
        environments.facts(text)
    with pytest.raises(ArmUnknown):
        environment_place(text)
    assert service.asked == []


def test_group_and_name_are_read_without_regard_to_case():
    assert environment_place(ENVIRONMENT.upper()) == ("THEIRS", "GPU")
    assert environment_place(f"{ENVIRONMENT}/") == ("theirs", "gpu")


@pytest.mark.stack
def test_the_stand_ins_environments_show_network_and_quota(cloud):
    arm = cloud.endpoints["arm"]

    def fresh() -> AzureEnvironments:
        return AzureEnvironments(credential=ManagedIdentity(cloud), endpoint=arm, subscription_id=SUBSCRIPTION)

    put(f"{arm}/_capacity", {"virtualNetwork": {"westus3": True}, "quota": {"gpu-westus3": {"T4": 20}}})
    used = 20 - fresh().facts(f"{LOCAL}/gpu-westus3").free[GpuType.T4]  # by what other tests have left here
    put(f"{arm}/_capacity", {"quota": {"gpu-westus3": {"T4": used + 2}}})

    try:
        assert fresh().facts(f"{LOCAL}/gpu-westus3") == EnvironmentFacts(
            has_virtual_network=True, free={GpuType.T4: 2, GpuType.A100: 20}
        )
        assert not fresh().facts(f"{LOCAL}/gpu-swedencentral").has_virtual_network
        put(f"{arm}/_faults", {"usages_500": True})
        assert fresh().facts(f"{LOCAL}/gpu-westus3") == EnvironmentFacts(has_virtual_network=True, free=None)
        put(f"{arm}/_faults", {"usages_500": False, "html_503": True})
        with pytest.raises(EnvironmentUnknown):
            fresh().facts(f"{LOCAL}/gpu-westus3")
    finally:
        clear(f"{arm}/_faults")
        clear(f"{arm}/_capacity")
