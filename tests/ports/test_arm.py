"""Container apps through the vendor's SDK: what each answer of ARM means, and that an unknown stays one."""

from __future__ import annotations

import json
import threading
import uuid
from types import SimpleNamespace
from urllib.request import urlopen

import pytest
from port_harness import SUBSCRIPTION, AnyToken, ManagedIdentity, clear, put
from websockets.sync.client import connect

from localcloud.stack import LocalCloud
from shared.domain.errors import ErrorCode
from shared.domain.pricing import SHAPES, GpuType
from shared.domain.provisioning import AppCondition, Failure
from shared.domain.settings import PRESET_IMAGE
from shared.ports.arm_answers import app_body
from shared.ports.azure_container_apps import AzureContainerApps
from shared.ports.container_apps import Accepted, AppSpec, ArmUnknown, Gone, GpuProved, Later, NoGpu, NotYet, WayIn
from shared.ports.credentials import LoopbackTokenPolicy, PlainHttpRefused
from shared.ports.gpu_probe import verdict

pytestmark = pytest.mark.stack
GROUP = "devboxgpu-sessions"
ENVIRONMENT = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.App/managedEnvironments/gpu-westus3"
)


PULLER = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/acme/providers/Microsoft.ManagedIdentity/userAssignedIdentities/p"
)


@pytest.fixture
def apps(cloud) -> AzureContainerApps:
    set_faults(cloud, None)
    return AzureContainerApps(
        credential=ManagedIdentity(cloud),
        endpoint=cloud.endpoints["arm"],
        subscription_id=SUBSCRIPTION,
        resource_group=GROUP,
    )


@pytest.fixture
def name() -> str:
    return f"dbg-{uuid.uuid4().hex[:20]}"


def set_faults(cloud: LocalCloud, faults: dict | None) -> None:
    url = f"{cloud.endpoints['arm']}/_faults"
    clear(url) if faults is None else put(url, faults)


def spec(name: str, **more: object) -> AppSpec:
    shape = SHAPES[GpuType.T4]
    return AppSpec(
        name=name,
        region="westus3",
        environment_id=ENVIRONMENT,
        profile=shape.profile,
        cpu=float(shape.vcpu),
        memory_gib=shape.memory_gib,
        **{"image": PRESET_IMAGE, "tags": {"devboxgpu-session": name}, **more},
    )


def until(ask, wanted):
    for _ in range(400):
        seen = ask()
        if wanted(seen):
            return seen
        threading.Event().wait(0.05)
    raise AssertionError(f"never came: last seen {seen}")


def printed_by(way_in: WayIn, command: str) -> str:
    """Run a command in the container and return what it printed."""
    url = f"{way_in.exec_url}?command={command}"
    headers = {"Authorization": f"Bearer {way_in.token}"}
    printed = b""
    with connect(url, additional_headers=headers, compression=None, proxy=None) as socket:
        for frame in socket:
            printed += frame[2:] if frame[:1] == b"\x00" else b""
    return printed.decode()


def running(apps: AzureContainerApps, name: str, **more: str):
    assert apps.create(spec(name, **more)) == Accepted()
    return until(lambda: apps.look(name), lambda seen: getattr(seen, "condition", None) is AppCondition.RUNNING)


def test_an_app_comes_up_proves_its_gpu_lets_in_and_goes(apps, name):
    seen = running(apps, name)

    assert seen.replica_started_at is not None
    assert isinstance(apps.prove_gpu(name, seen.exec_url), GpuProved)
    way_in = apps.way_in(name)
    assert isinstance(way_in, WayIn)
    assert way_in.token not in repr(way_in)
    assert not apps.surely_gone(name, ENVIRONMENT)
    assert apps.delete(name) == Accepted()
    until(lambda: apps.look(name), lambda looked: looked == Gone())
    assert apps.surely_gone(name, ENVIRONMENT)
    assert apps.delete(name) == Gone()


def test_creating_twice_makes_one_app(apps, name, cloud):
    assert apps.create(spec(name)) == Accepted()
    assert apps.create(spec(name)) == Accepted()

    with urlopen(f"{cloud.endpoints['arm']}/_truth") as answer:
        assert [app["name"] for app in json.load(answer)["apps"]].count(name) == 1
    until(lambda: apps.delete(name), lambda answer: answer in (Accepted(), Gone()))


@pytest.mark.parametrize(
    ("faults", "after_s"),
    [
        ({"throttle": {"value": {"n": 1, "retry_after": 7}}}, 7.0),
        ({"status_500": {"value": True, "count": 1}}, 5.0),
        ({"html_503": {"value": True, "count": 1}}, 5.0),
    ],
    ids=["429", "500", "html 503"],
)
def test_trouble_on_the_way_to_a_create_asks_to_come_back(apps, name, cloud, faults, after_s):
    with urlopen(f"{cloud.endpoints['arm']}/_faults") as answer:
        shown = answer.read().decode()
    assert all(switch in shown for switch in faults)
    set_faults(cloud, faults)

    outcome = apps.create(spec(name))

    assert isinstance(outcome, Later), outcome
    assert outcome.after_s == after_s


def test_an_image_that_cannot_be_pulled_is_a_failure_with_azures_words(apps, name, cloud):
    set_faults(cloud, {"image_unauthorized": True})

    outcome = apps.create(spec(name))

    assert isinstance(outcome, Failure)
    assert outcome.problem.code is ErrorCode.IMAGE_NOT_PULLED
    assert "UNAUTHORIZED" in outcome.problem.message


def test_a_private_image_is_pulled_by_an_identity_that_the_container_never_sees(apps, name, cloud):
    seen = running(apps, name, image="acme.azurecr.io/gpu:1", registry="acme.azurecr.io", pull_identity=PULLER)

    found = apps._client.container_apps.get(GROUP, name)
    assert found.identity.type == "UserAssigned"
    assert list(found.identity.user_assigned_identities) == [PULLER]
    configuration = found.properties.configuration
    assert [(entry.server, entry.identity) for entry in configuration.registries] == [("acme.azurecr.io", PULLER)]
    assert [(entry.identity, entry.lifecycle) for entry in configuration.identity_settings] == [(PULLER, "None")]
    variables = printed_by(apps.way_in(name), "env")
    assert "CONTAINER_APP_NAME" in variables
    assert "IDENTITY" not in variables
    assert PULLER not in variables
    assert seen.replica_started_at is not None
    assert apps.delete(name) == Accepted()


@pytest.mark.parametrize("half", [{"registry": "acme.azurecr.io"}, {"pull_identity": "/id"}, {}])
def test_a_private_image_that_nobody_signs_in_for_is_refused(apps, name, half):
    outcome = apps.create(spec(name, image="acme.azurecr.io/gpu:1", **half))

    assert isinstance(outcome, Failure)
    assert outcome.problem.code is ErrorCode.IMAGE_NOT_PULLED
    assert "UNAUTHORIZED" in outcome.problem.message


def test_without_a_pull_identity_the_body_says_nothing_of_one():
    body = app_body(spec("dbg-plain"))

    assert "identity" not in body
    assert body["properties"]["configuration"] == {"activeRevisionsMode": "Single"}


@pytest.mark.parametrize("fault", ["arm_403", "status_500", "html_503"])
def test_an_app_that_cannot_be_asked_for_is_unknown_and_never_gone(apps, name, cloud, fault):
    running(apps, name)
    set_faults(cloud, {fault: True})

    for ask in (lambda: apps.look(name), lambda: apps.surely_gone(name, ENVIRONMENT)):
        with pytest.raises(ArmUnknown):
            ask()

    set_faults(cloud, None)
    assert apps.delete(name) == Accepted()


def test_an_app_is_surely_gone_only_while_its_environment_can_be_read_wherever_it_lies(service):
    elsewhere = ENVIRONMENT.replace(GROUP, "theirs")
    apps = AzureContainerApps(
        credential=AnyToken(), endpoint=service.origin, subscription_id=SUBSCRIPTION, resource_group=GROUP
    )
    service.says("GET", elsewhere, {"name": "gpu-westus3"})

    assert apps.surely_gone("dbg-gone", elsewhere)
    assert service.asked[-1] == ("GET", elsewhere)
    service.says("GET", elsewhere, b"<html>", 503)
    with pytest.raises(ArmUnknown):
        apps.surely_gone("dbg-gone", elsewhere)
    with pytest.raises(ArmUnknown):
        apps.surely_gone("dbg-gone", "/environments/one")


def test_a_container_without_a_gpu_is_told_from_one_that_cannot_be_asked_yet(apps, name, cloud):
    set_faults(cloud, {"cpu_only": True})
    seen = running(apps, name)

    assert isinstance(apps.prove_gpu(name, seen.exec_url), NoGpu)
    set_faults(cloud, {"exec_500_for": 600})
    assert isinstance(apps.prove_gpu(name, seen.exec_url), NotYet)
    set_faults(cloud, None)
    assert apps.delete(name) == Accepted()


@pytest.mark.parametrize(
    ("printed", "said", "kind"),
    [
        ("GPU 0: Tesla T4 (UUID: GPU-1)\r\n", "", GpuProved),
        ("No devices were found\r\n", "", NoGpu),
        ("", '{"Error":{"Message":"... exit code 9. ..."}}', NoGpu),
        ("", '{"Error":{"Code":"ClusterExecEndpointWebSocketConnectionError"}}', NotYet),
        ("GPU 0: Tesla T4 (UUID", "timed out", NotYet),
        ("", "", NotYet),
    ],
)
def test_what_nvidia_smi_printed_decides(printed, said, kind):
    assert isinstance(verdict(printed, said, broken=False), kind)


def test_half_an_output_on_a_broken_connection_is_no_proof_of_a_missing_gpu():
    assert isinstance(verdict("SIMULATED by the DevBoxGPU local cloud", "", broken=True), NotYet)
    assert isinstance(verdict("GPU 0: Tesla T4 (UUID: GPU-1)", "", broken=True), GpuProved)


def test_no_token_travels_in_plain_http_to_another_machine():
    request = SimpleNamespace(http_request=SimpleNamespace(url="http://management.example/", headers={}))

    with pytest.raises(PlainHttpRefused):
        LoopbackTokenPolicy(None, "scope").on_request(request)
    assert request.http_request.headers == {}


TAGS = {"devboxgpu-control-plane": "local", "devboxgpu-project": "demo"}


def listed(apps, platform="local"):
    pages, page = [], None
    while True:
        found = apps.list_apps(platform, page)
        pages.append(found.apps)
        if (page := found.next_page) is None:
            return pages


def test_all_our_apps_are_listed_page_by_page_and_nobody_elses(cloud, apps):
    put(f"{cloud.endpoints['arm']}/_capacity", {"pageSize": 2})
    names = sorted(f"dbg-{uuid.uuid4().hex[:20]}" for _ in range(5))
    try:
        for name in names:
            assert isinstance(apps.create(spec(name, tags=TAGS)), Accepted)
        assert isinstance(apps.create(spec(f"zz-{uuid.uuid4().hex[:20]}", tags={})), Accepted)

        pages = listed(apps)

        found = {app.name: app for page in pages for app in page}
        assert set(names) <= set(found)
        assert len(pages) >= 3
        assert found[names[0]].project == "demo"
        assert found[names[0]].created_at.tzinfo is not None
        assert listed(apps, "another") == [[]] * len(pages)
    finally:
        clear(f"{cloud.endpoints['arm']}/_capacity")


def test_a_list_that_fails_on_a_later_page_is_unknown(cloud, apps):
    put(f"{cloud.endpoints['arm']}/_capacity", {"pageSize": 1})
    try:
        for _ in range(2):
            apps.create(spec(f"dbg-{uuid.uuid4().hex[:20]}", tags=TAGS))
        set_faults(cloud, {"list_fails_on_page": 2})
        with pytest.raises(ArmUnknown):
            listed(apps)
    finally:
        set_faults(cloud, None)
        clear(f"{cloud.endpoints['arm']}/_capacity")


def test_a_list_of_a_group_that_there_is_not_is_unknown(service):
    service.says("GET", "containerApps", {"error": {"code": "ResourceGroupNotFound", "message": "gone"}}, 404)
    lost = AzureContainerApps(
        credential=AnyToken(), endpoint=service.origin, subscription_id=SUBSCRIPTION, resource_group="lost"
    )
    with pytest.raises(ArmUnknown):
        lost.list_apps("local")
