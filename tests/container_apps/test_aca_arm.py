from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aca_harness import GOOD_TOKEN, LocalCloud, app_path, body, http, sdk_client, wait_until
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)

from localcloud.container_apps.catalog import ENVIRONMENTS, RESOURCE_GROUP, SUBSCRIPTION

PROVIDER = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.App"


def test_an_app_is_created_by_the_sdk_poller_read_and_deleted(cloud: LocalCloud) -> None:
    created = cloud.sdk.container_apps.begin_create_or_update(RESOURCE_GROUP, "dbg-one", body()).result()

    assert created.properties.provisioning_state == "Succeeded"
    assert created.tags == {"session": "s-1"}
    assert created.system_data.created_by == GOOD_TOKEN

    cloud.sdk.container_apps.begin_delete(RESOURCE_GROUP, "dbg-one").result()

    with pytest.raises(ResourceNotFoundError) as missing:
        cloud.app("dbg-one")
    assert missing.value.error is not None
    assert missing.value.error.code == "ResourceNotFound"


def test_a_put_answers_201_in_progress_with_the_operation_to_poll(cloud: LocalCloud) -> None:
    cloud.capacity(createSeconds=1000)

    status, app, headers = cloud.rest("PUT", app_path("dbg-one"), body())

    assert status == 201
    assert app["properties"]["provisioningState"] == "InProgress"
    assert int(headers["Retry-After"]) >= 1
    poll_status, operation, _ = http("GET", headers["Azure-AsyncOperation"], Authorization=f"Bearer {GOOD_TOKEN}")
    assert (poll_status, operation["status"]) == (200, "InProgress")
    cloud.capacity(createSeconds=0)
    wait_until(lambda: cloud.app("dbg-one").properties.provisioning_state == "Succeeded")
    _, operation, _ = http("GET", headers["Azure-AsyncOperation"], Authorization=f"Bearer {GOOD_TOKEN}")
    assert operation["status"] == "Succeeded"
    assert operation["endTime"] >= operation["startTime"]


def test_the_location_of_a_delete_answers_202_until_it_answers_204(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")
    cloud.capacity(deleteSeconds=1000)

    status, nothing, headers = cloud.rest("DELETE", app_path("dbg-one"))

    assert (status, nothing) == (202, None)
    assert http("GET", headers["Location"], Authorization=f"Bearer {GOOD_TOKEN}")[0] == 202
    assert cloud.app("dbg-one").properties.provisioning_state == "Deleting"
    assert cloud.truth_of("dbg-one")["alive"]
    cloud.capacity(deleteSeconds=0)
    wait_until(lambda: http("GET", headers["Location"], Authorization=f"Bearer {GOOD_TOKEN}")[0] == 204)
    assert not cloud.exists("dbg-one")


def test_deleting_what_is_not_there_answers_204(cloud: LocalCloud) -> None:
    assert cloud.rest("DELETE", app_path("dbg-none"))[0] == 204


def test_the_same_put_again_makes_no_revision_and_another_template_makes_one(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")
    first = cloud.app("dbg-one").properties.latest_revision_name

    status, again, headers = cloud.rest("PUT", app_path("dbg-one"), body())
    assert status == 200
    assert again["properties"]["latestRevisionName"] == first
    assert "Azure-AsyncOperation" not in headers

    cloud.sdk.container_apps.begin_create_or_update(RESOURCE_GROUP, "dbg-one", body(command=["sleep", "9999"])).result()
    second = cloud.app("dbg-one").properties.latest_revision_name
    assert second != first
    assert cloud.running_replica("dbg-one").name.startswith(second)
    assert len(cloud.truth(alive="1")) == 1
    listed = [found.name for found in cloud.sdk.container_apps_revisions.list_revisions(RESOURCE_GROUP, "dbg-one")]
    assert listed == [second]


def test_a_patch_merges_tags_and_keeps_the_replica(cloud: LocalCloud) -> None:
    before = cloud.run_app("dbg-one").name

    patched = cloud.sdk.container_apps.begin_update(
        RESOURCE_GROUP, "dbg-one", {"tags": {"expires": "soon"}, "location": "westus3"}
    ).result()

    assert patched.tags == {"session": "s-1", "expires": "soon"}
    assert cloud.running_replica("dbg-one").name == before
    assert cloud.truth_of("dbg-one")["tags"] == {"session": "s-1", "expires": "soon"}


def test_a_write_during_an_operation_is_refused_with_the_services_code(cloud: LocalCloud) -> None:
    cloud.capacity(createSeconds=1000)
    cloud.put("dbg-one")

    with pytest.raises(ResourceExistsError) as refusal:
        cloud.put("dbg-one")

    assert refusal.value.error is not None
    assert refusal.value.error.code == "ContainerAppOperationInProgress"
    assert "active provisioning operation in progress" in str(refusal.value)


def test_a_delete_during_create_is_taken_and_cancels_the_create(cloud: LocalCloud) -> None:
    cloud.capacity(createSeconds=1000)
    _, _, headers = cloud.rest("PUT", app_path("dbg-one"), body())

    cloud.gone("dbg-one")

    _, operation, _ = http("GET", headers["Azure-AsyncOperation"], Authorization=f"Bearer {GOOD_TOKEN}")
    assert operation["status"] == "Canceled"
    assert cloud.truth(alive="1") == []


def test_an_app_of_a_deleted_name_is_a_new_one(cloud: LocalCloud) -> None:
    first = cloud.run_app("dbg-one").name
    cloud.gone("dbg-one")

    second = cloud.run_app("dbg-one").name

    assert second != first
    assert [row["deletedAt"] is None for row in cloud.truth()] == [False, True]


def test_stop_ends_the_replica_and_start_brings_another(cloud: LocalCloud) -> None:
    first = cloud.run_app("dbg-one").name

    cloud.sdk.container_apps.begin_stop(RESOURCE_GROUP, "dbg-one").result()
    assert cloud.app("dbg-one").properties.running_status == "Stopped"
    wait_until(lambda: not cloud.truth_of("dbg-one")["alive"])

    cloud.sdk.container_apps.begin_start(RESOURCE_GROUP, "dbg-one").result()
    assert cloud.running_replica("dbg-one").name != first


def test_a_deactivated_revision_has_no_replica_until_it_is_activated(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")
    revision = cloud.app("dbg-one").properties.latest_revision_name

    cloud.sdk.container_apps_revisions.deactivate_revision(RESOURCE_GROUP, "dbg-one", revision)
    wait_until(lambda: not cloud.truth_of("dbg-one")["alive"])

    cloud.sdk.container_apps_revisions.activate_revision(RESOURCE_GROUP, "dbg-one", revision)
    assert cloud.running_replica("dbg-one").properties.containers[0].ready


def test_lists_come_in_pages_and_the_sdk_follows_them(cloud: LocalCloud) -> None:
    cloud.capacity(pageSize=2)
    for number in range(5):
        cloud.put(f"dbg-{number}", body(profile="Consumption"))

    in_group = [app.name for app in cloud.sdk.container_apps.list_by_resource_group(RESOURCE_GROUP)]
    everywhere = [app.name for app in cloud.sdk.container_apps.list_by_subscription()]

    assert in_group == everywhere == [f"dbg-{number}" for number in range(5)]
    _, page, _ = cloud.rest("GET", f"{PROVIDER}/containerApps")
    assert len(page["value"]) == 2
    assert page["nextLink"].startswith(cloud.arm)


def test_addresses_are_matched_in_any_case(cloud: LocalCloud) -> None:
    cloud.put("dbg-one", body(profile="Consumption"))
    shouted = app_path("dbg-one").replace("resourceGroups", "resourcegroups").replace("containerApps", "CONTAINERAPPS")

    assert cloud.rest("GET", shouted)[0] == 200
    assert cloud.rest("POST", shouted + "/GETAUTHTOKEN")[0] == 200


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"/subscriptions/{'0' * 36}/providers/Microsoft.App/containerApps", 404, "SubscriptionNotFound"),
        (app_path("a-b").replace(RESOURCE_GROUP, "nowhere"), 404, "ResourceGroupNotFound"),
        (f"{PROVIDER}/elsewhere", 404, "InvalidResourceType"),
        (app_path("dbg-none"), 404, "ResourceNotFound"),
        (app_path("dbg-none") + "/revisions/r/replicas", 404, "ResourceNotFound"),
        (f"{PROVIDER}/locations/westus3/containerappOperationStatuses/none", 404, "OperationNotFound"),
    ],
)
def test_what_is_not_there_is_refused_by_its_code(cloud: LocalCloud, path: str, status: int, code: str) -> None:
    found_status, answer, headers = cloud.rest("GET", path)

    assert (found_status, answer["error"]["code"]) == (status, code)
    assert headers["x-ms-request-id"]


def test_the_api_version_is_required_and_must_be_known(cloud: LocalCloud) -> None:
    bearer = {"Authorization": f"Bearer {GOOD_TOKEN}"}

    missing = http("GET", f"{cloud.arm}{app_path('dbg-one')}", **bearer)
    unknown = http("GET", f"{cloud.arm}{app_path('dbg-one')}?api-version=1999-01-01", **bearer)

    assert (missing[0], missing[1]["error"]["code"]) == (400, "MissingApiVersionParameter")
    assert (unknown[0], unknown[1]["error"]["code"]) == (400, "NoRegisteredProviderFound")


def test_a_bad_or_absent_token_is_refused_with_401(cloud: LocalCloud) -> None:
    with pytest.raises(ClientAuthenticationError) as refusal:
        sdk_client(cloud.arm, "forged").container_apps.get(RESOURCE_GROUP, "dbg-one")
    assert refusal.value.error is not None
    assert refusal.value.error.code == "InvalidAuthenticationToken"
    status, answer, headers = http("GET", f"{cloud.arm}{app_path('dbg-one')}?api-version=2026-07-01")
    assert (status, answer["error"]["code"]) == (401, "AuthenticationFailed")
    assert headers["WWW-Authenticate"].startswith("Bearer")


def _with(section: str, **values: Any) -> dict[str, Any]:
    wish = body()
    target = wish["properties"] if section == "properties" else wish["properties"][section] if section else wish
    target.update(values)
    return wish


@pytest.mark.parametrize(
    ("name", "wish", "code"),
    [
        ("Upper", body(), "ContainerAppInvalidName"),
        ("a--b", body(), "ContainerAppInvalidName"),
        ("ends-", body(), "ContainerAppInvalidName"),
        ("x" * 33, body(), "ContainerAppInvalidName"),
        ("dbg-one", body(container={"resources": {"cpu": 9.0, "memory": "56Gi"}}), "ContainerAppInvalidResourceTotal"),
        ("dbg-one", body(container={"image": "not an image"}), "InvalidParameterValueInContainerTemplate"),
        ("dbg-one", body(container={"name": ""}), "InvalidParameterValueInContainerTemplate"),
        ("dbg-one", _with("properties", workloadProfileName="gpu-h100"), "WorkloadProfileNotFound"),
        ("dbg-one", _with("template", containers=[]), "ContainerAppCreateMustContainContainer"),
        ("dbg-one", _with("", location=None), "LocationRequired"),
        ("dbg-one", _with("", location="swedencentral"), "InvalidResourceLocation"),
        ("dbg-one", body(configuration={"secrets": [{"name": "s"}]}), "ContainerAppSecretInvalid"),
        ("dbg-one", _with("", tags={"name": "v" * 257}), "InvalidTagNameLength"),
    ],
)
def test_a_body_that_the_service_refuses_is_refused_with_its_code(
    cloud: LocalCloud, name: str, wish: dict[str, Any], code: str
) -> None:
    status, answer, _ = cloud.rest("PUT", app_path(name), wish)

    assert (status, answer["error"]["code"]) == (400, code)
    assert cloud.truth() == []


def test_cpu_and_memory_of_the_plain_profile_come_in_pairs(cloud: LocalCloud) -> None:
    pair = body(profile="Consumption", container={"resources": {"cpu": 0.25, "memory": "0.5Gi"}})
    no_pair = body(profile="Consumption", container={"resources": {"cpu": 4.0, "memory": "4Gi"}})

    assert cloud.rest("PUT", app_path("dbg-one"), pair)[0] == 201
    status, answer, _ = cloud.rest("PUT", app_path("dbg-two"), no_pair)
    assert (status, answer["error"]["code"]) == (400, "ContainerAppInvalidResourceTotal")


def test_secret_values_reach_the_container_and_never_a_reader(cloud: LocalCloud) -> None:
    wish = body(
        configuration={"secrets": [{"name": "key", "value": "hidden-value"}]},
        container={"env": [{"name": "FROM_SECRET", "secretRef": "key"}, {"name": "PLAIN", "value": "seen"}]},
    )

    cloud.run_app("dbg-one", wish)

    assert "hidden-value" not in str(cloud.rest("GET", app_path("dbg-one")))
    printed = cloud.exec_in("dbg-one", "sh -c 'echo $FROM_SECRET $PLAIN'").output
    assert printed == "hidden-value seen\r\n"


def test_environments_show_profiles_usages_and_states(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")
    environment = cloud.sdk.managed_environments.get(RESOURCE_GROUP, "gpu-westus3")

    profiles = {found.name: found.workload_profile_type for found in environment.properties.workload_profiles}
    usages = {
        row.name.value: (row.current_value, row.limit)
        for row in cloud.sdk.managed_environment_usages.list(RESOURCE_GROUP, "gpu-westus3")
    }
    states = {
        state.name: state.properties.current_count
        for state in cloud.sdk.managed_environments.list_workload_profile_states(RESOURCE_GROUP, "gpu-westus3")
    }

    assert profiles["gpu-t4"] == "Consumption-GPU-NC8as-T4"
    assert usages["ManagedEnvironmentConsumptionT4Gpus"] == (1, 100)
    assert usages["ManagedEnvironmentConsumptionNCA100Gpus"] == (0, 20)
    assert states == {"Consumption": 0, "gpu-t4": 1, "gpu-a100": 0}
    listed = [found.name for found in cloud.sdk.managed_environments.list_by_resource_group(RESOURCE_GROUP)]
    assert listed == list(ENVIRONMENTS)


def test_an_environment_lies_in_a_virtual_network_where_its_region_is_given_one(cloud: LocalCloud) -> None:
    def subnet(region: str) -> str | None:
        network = cloud.sdk.managed_environments.get(RESOURCE_GROUP, f"gpu-{region}").properties.vnet_configuration
        return network and network.infrastructure_subnet_id

    assert subnet("westus3") is None
    cloud.capacity(virtualNetwork={"westus3": True})

    assert (subnet("westus3") or "").endswith("/subnets/sessions")
    assert subnet("swedencentral") is None
    cloud.capacity(virtualNetwork={"westus3": False})
    assert subnet("westus3") is None


def test_usages_fail_alone_when_they_are_asked_to(cloud: LocalCloud) -> None:
    cloud.faults(usages_500={"value": True, "count": 1})

    assert cloud.rest("GET", f"{ENVIRONMENTS['gpu-westus3'].id}")[0] == 200
    statuses = [cloud.rest("GET", f"{ENVIRONMENTS['gpu-westus3'].id}/usages")[0] for _ in range(2)]
    assert statuses == [500, 200]


def test_a_region_lists_its_profiles_and_usages_without_the_t4_row(cloud: LocalCloud) -> None:
    offered = {found.name: found.properties.gpus for found in cloud.sdk.available_workload_profiles.get("westus3")}
    rows = {row.name.value for row in cloud.sdk.usages.list("westus3")}

    assert offered == {"Consumption": 0, "Consumption-GPU-NC8as-T4": 1, "Consumption-GPU-NC24-A100": 1}
    assert "SubscriptionNCA100Gpus" in rows
    assert not any("T4" in row for row in rows)


def test_writes_and_deletes_raise_resource_manager_events(cloud: LocalCloud) -> None:
    cloud.run_app("dbg-one")
    cloud.gone("dbg-one")
    wait_until(lambda: len(cloud.events) == 2)

    assert [event["eventType"] for event in cloud.events] == [
        "Microsoft.Resources.ResourceWriteSuccess",
        "Microsoft.Resources.ResourceDeleteSuccess",
    ]
    assert {event["subject"] for event in cloud.events} == {app_path("dbg-one")}
    assert cloud.events[1]["data"]["operationName"] == "Microsoft.App/containerApps/delete"
    assert len({event["id"] for event in cloud.events}) == 2


def test_the_read_bucket_empties_and_says_when_to_come_back(cloud: LocalCloud) -> None:
    cloud.capacity(throttle={"reads": [3, 0]})

    answers = [cloud.rest("GET", app_path("dbg-none")) for _ in range(4)]

    assert [status for status, _, _ in answers] == [404, 404, 404, 429]
    assert [headers["x-ms-ratelimit-remaining-subscription-reads"] for _, _, headers in answers] == ["2", "1", "0", "0"]
    assert int(answers[3][2]["Retry-After"]) >= 1
    assert cloud.rest("DELETE", app_path("dbg-none"))[0] == 204, "deletes have a bucket of their own"
    other = cloud.rest("GET", app_path("dbg-none"), Authorization=f"Bearer {GOOD_TOKEN}-of-another")
    assert other[0] == 404, "another principal has a bucket of its own"


def test_system_data_keeps_the_creation_and_follows_the_changes(cloud: LocalCloud) -> None:
    cloud.put("dbg-one", body(profile="Consumption"))
    wait_until(lambda: cloud.app("dbg-one").properties.provisioning_state == "Succeeded")
    created = cloud.app("dbg-one").system_data
    changed = body(profile="Consumption") | {"tags": {"new": "tag"}}

    cloud.rest("PUT", app_path("dbg-one"), changed, Authorization=f"Bearer {GOOD_TOKEN}-of-another")

    now = cloud.app("dbg-one").system_data
    assert now.created_at == created.created_at
    assert (created.last_modified_by, now.last_modified_by) == (GOOD_TOKEN, f"{GOOD_TOKEN}-of-another")
    assert created.created_at <= now.last_modified_at


def test_managed_by_and_identity_are_kept(cloud: LocalCloud) -> None:
    owner = "/subscriptions/x/resourceGroups/y/providers/Microsoft.Web/sites/devboxgpu"
    wish = body(profile="Consumption", managedBy=owner, identity={"type": "None"})

    cloud.put("dbg-one", wish)

    assert cloud.app("dbg-one").managed_by == owner
    assert cloud.app("dbg-one").identity.type == "None"


def test_a_body_that_is_no_json_is_refused(cloud: LocalCloud) -> None:
    status, answer, _ = cloud.rest("PUT", app_path("dbg-one"), ["no", "object"])

    assert (status, answer["error"]["code"]) == (400, "InvalidRequestContent")


def test_twenty_apps_at_once_come_and_go(cloud: LocalCloud) -> None:
    names = [f"dbg-{number}" for number in range(20)]

    async def each(work: Any) -> None:
        await asyncio.gather(*(asyncio.to_thread(work, name) for name in names))

    asyncio.run(each(cloud.run_app))
    assert len(cloud.truth(alive="1")) == 20
    assert len({row["pids"][0] for row in cloud.truth(alive="1")}) == 20
    asyncio.run(each(cloud.gone))

    assert cloud.truth(alive="1") == []
    assert all(row["deletedAt"] and row["replicaEndedAt"] for row in cloud.truth())


def test_an_expired_operation_fails_the_sdk_poller(cloud: LocalCloud) -> None:
    cloud.faults(op_expired=True)

    with pytest.raises(HttpResponseError, match=r"Operation expired\."):
        cloud.sdk.container_apps.begin_create_or_update(RESOURCE_GROUP, "dbg-one", body()).result()

    assert cloud.app("dbg-one").properties.provisioning_state == "Failed"
    assert cloud.replicas("dbg-one") == []
    wait_until(lambda: cloud.events)
    assert cloud.events[0]["eventType"] == "Microsoft.Resources.ResourceWriteFailure"
