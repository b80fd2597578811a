"""A GPU wherever there is one: regions and types tried in order, what each try cost, and what is remembered of it."""

from __future__ import annotations

from shared.domain.errors import ErrorCode
from shared.domain.names import ProjectId
from shared.domain.placement import Place
from shared.domain.pricing import GpuType
from shared.domain.provisioning import AppCondition, no_capacity
from shared.domain.states import EndReason, SessionState
from shared.domain.usage import UsageRow
from shared.ports.container_apps import NoGpu
from shared.ports.environments import EnvironmentFacts
from tests.control_plane.plane import Plane

BOTH_TYPES = [{"type": "T4", "maxConcurrent": 2}, {"type": "A100", "maxConcurrent": 1, "fallback": True}]


async def renewing(one: Plane, seconds: int, shell: str = "shell-one") -> None:
    for _ in range(0, seconds, 30):
        await one.run_for(30)
        await one.renew(shell=shell)


def test_a_refusal_of_azures_leads_to_the_next_region_and_every_try_is_told(played_exactly):
    async def story(one: Plane):
        one.azure.no_gpu_in = frozenset({("westus3", "gpu-t4")})
        one.azure.system_log = "AssigningReplicaFailed: Maximum Allowed Cores exceeded for the Managed Environment."
        view = await one.open()
        await renewing(one, 120)
        row = one.session(view["session"])
        assert (row.state, row.region, row.attempt) == (SessionState.RUNNING, "swedencentral", 2)
        _, operation, _ = await one.call("alice", "GetOperation", operation=f"open-{row.session}")
        (tried,) = operation["tries"]
        assert (tried["region"], tried["gpuType"], tried["code"]) == ("westus3", "T4", "NoCapacity")
        assert "Maximum Allowed Cores" in tried["message"]
        assert one.reserved() == 1
        apps = [app.spec.region for app in one.azure.apps.values()]
        assert apps == ["swedencentral"]

    played_exactly(story)


def test_silence_is_borne_up_to_the_phases_limit_and_then_the_next_region_is_tried(played_exactly):
    async def story(one: Plane):
        one.azure.no_gpu_in = frozenset({("westus3", "gpu-t4")})
        view = await one.open()
        await renewing(one, 540)
        assert one.session(view["session"]).region == "westus3"
        await renewing(one, 120)
        row = one.session(view["session"])
        assert (row.state, row.region) == (SessionState.RUNNING, "swedencentral")

    played_exactly(story)


def test_no_gpu_anywhere_ends_with_every_try_and_its_reason(played_exactly):
    async def story(one: Plane):
        await one.enable(gpuTypes=BOTH_TYPES)
        one.azure.stages = (AppCondition.CREATING, AppCondition.NO_REPLICA)
        one.azure.system_log = "pod didn't trigger scale-up: 1 max node group size reached"
        view = await one.open()
        await renewing(one, 1500)
        row = one.session(view["session"])
        assert (row.state, row.end_reason) == (SessionState.ENDED, EndReason.NO_CAPACITY)
        tried = ["westus3/T4", "swedencentral/T4", "westus3/A100", "swedencentral/A100"]
        _, operation, _ = await one.call("alice", "GetOperation", operation=f"open-{row.session}")
        assert operation["status"] == "Failed"
        assert operation["error"]["code"] == "NoCapacity"
        assert [detail["target"] for detail in operation["error"]["details"]] == tried
        assert all(place in operation["error"]["message"] for place in tried)
        one.check_nothing_left()

    played_exactly(story)


def test_a_session_that_named_its_type_never_gets_another(played_exactly):
    async def story(one: Plane):
        await one.enable(gpuTypes=BOTH_TYPES)
        one.azure.rejection = no_capacity("ManagedEnvironmentQuotaExceeded")
        view = await one.open(gpuType="T4")
        await one.run_for(60)
        assert {str(place) for place in one.session(view["session"]).tried} == {"westus3/T4", "swedencentral/T4"}

    played_exactly(story)


def test_another_type_takes_its_own_place_in_the_ledger_and_none_beyond_its_cap(played_exactly):
    async def story(one: Plane):
        await one.enable(cap=4, gpuTypes=BOTH_TYPES)
        one.azure.no_gpu_in = frozenset({("westus3", "gpu-t4"), ("swedencentral", "gpu-t4")})
        one.azure.system_log = "exceeded quota"
        await one.open("alice", "shell-one")
        await one.open("bob", "shell-two")
        for _ in range(12):
            await one.run_for(30)
            await one.renew("alice", "shell-one")
            await one.renew("bob", "shell-two")
        ledger = one.world.sessions.ledger(ProjectId("demo")).row
        assert ledger.by_type == {"A100": 1}
        rows = {row.state: row for row in one.world.sessions.sessions(ProjectId("demo"))}
        assert set(rows) == {SessionState.RUNNING, SessionState.ENDED}
        assert rows[SessionState.RUNNING].gpu_type is GpuType.A100
        assert rows[SessionState.ENDED].error_code is ErrorCode.NO_CAPACITY
        assert "A100 GPUs of this project are in use" in (rows[SessionState.ENDED].error_message or "")

    played_exactly(story)


def test_a_replica_without_its_gpu_is_paid_for_and_counted_at_its_own_place(played_exactly):
    async def story(one: Plane):
        one.azure.stages = (AppCondition.CREATING, AppCondition.STARTING, AppCondition.RUNNING)
        one.azure.proofs = [NoGpu("No devices were found")]
        view = await one.open()
        await one.run_for(60)
        row = one.session(view["session"])
        assert (row.state, row.region) == (SessionState.RUNNING, "swedencentral")
        (tried,) = row.tries
        assert (tried.code, tried.region) == (ErrorCode.GPU_MISSING, "westus3")
        assert tried.metered_s > 0
        await one.call("alice", "CloseShell", shell="shell-one")
        await one.run_for(60)
        row = one.session(view["session"])
        (first, _), (second, ended) = [(begun, gone) for _, begun, gone in one.azure.history]
        assert row.metered_s is not None
        assert abs(row.metered_s - tried.metered_s - (ended - second).total_seconds()) <= 2
        assert first < second
        one.check_nothing_left()

    played_exactly(story)


def test_a_stop_while_it_moves_on_leaves_nothing_behind(played_exactly):
    async def story(one: Plane):
        one.azure.proofs = [NoGpu("No devices were found")]
        view = await one.open()
        while not one.session(view["session"]).tries:
            await one.run_for(1)
        await one.call("alice", "CloseShell", shell="shell-one")
        await one.run_for(60)
        assert one.session(view["session"]).end_reason is EndReason.CANCELLED
        assert len(one.azure.history) == 1
        one.check_nothing_left()

    played_exactly(story)


def test_where_a_gpu_just_failed_to_come_the_next_session_tries_last(played_exactly):
    async def story(one: Plane):
        one.azure.no_gpu_in = frozenset({("westus3", "gpu-t4")})
        one.azure.system_log = "exceeded quota"
        await one.open("alice", "shell-one")
        await renewing(one, 120)
        second = await one.open("bob", "shell-two")
        assert second["region"] == "swedencentral"
        _, offers, _ = await one.call("bob", "ListOffers")
        west, sweden = offers["value"][0]["regions"]
        assert (west.get("shortage", False), sweden.get("shortage", False)) == (True, False)
        assert sweden["readySeconds"] > 0
        assert one.memory.known(Place("westus3", GpuType.T4)).failures == 1

    played_exactly(story)


def test_azures_quota_that_is_used_up_refuses_with_its_own_code_and_lets_in_when_it_is_raised(played_exactly):
    async def story(one: Plane):
        full = EnvironmentFacts(has_virtual_network=False, free={GpuType.T4: 0, GpuType.A100: 0})
        one.environments.by_id = {"/environments/one": full, "/environments/two": full}
        refused = await one.open("alice", "shell-one")
        assert refused["error"]["code"] == "EnvironmentQuotaReached"
        waiting = await one.open("bob", "shell-two", wait=True)
        assert waiting["state"] == "Waiting"
        one.environments.by_id = {}
        await one.run_for(40)
        assert one.session(waiting["session"]).state is SessionState.RUNNING

    played_exactly(story)


def test_usages_that_cannot_be_read_refuse_nobody(played_exactly):
    async def story(one: Plane):
        one.environments.by_id = {
            place: EnvironmentFacts(has_virtual_network=False, free=None)
            for place in ("/environments/one", "/environments/two")
        }
        await one.opened()
        one.environments.away = True
        await one.open("bob", "shell-two")

    played_exactly(story)


def test_a_project_that_requires_a_virtual_network_uses_only_environments_in_one(played_exactly):
    async def story(one: Plane):
        await one.enable(requireVirtualNetwork=True)
        status, answer, _ = await one.call("alice", "OpenShell", {}, shell="shell-one")
        assert (status, answer["error"]["code"]) == (403, "RegionNotAllowed")
        one.environments.by_id = {"/environments/two": EnvironmentFacts(has_virtual_network=True, free=None)}
        view = await one.open()
        await one.run_for(30)
        assert one.session(view["session"]).region == "swedencentral"

    played_exactly(story)


def test_an_image_of_the_customers_is_pulled_by_its_registrys_identity(played_exactly):
    identity = "/subscriptions/sub/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/puller"

    async def story(one: Plane):
        registry = {"server": "contoso.azurecr.io", "repositories": ["team/*"], "identity": identity}
        await one.enable(images={"registries": [registry], "requireDigest": True})
        status, answer, _ = await one.call(
            "alice", "OpenShell", {"image": "contoso.azurecr.io/team/train:1"}, shell="shell-one"
        )
        assert (status, answer["error"]["code"]) == (403, "ImageNotAllowed")
        await one.open(image=f"contoso.azurecr.io/team/train@sha256:{'a' * 64}")
        await one.run_for(30)
        (app,) = one.azure.apps.values()
        assert (app.spec.registry, app.spec.pull_identity) == ("contoso.azurecr.io", identity)

    played_exactly(story)


def test_a_try_that_was_paid_for_is_counted_once_where_the_other_type_has_no_room(played_exactly):
    async def story(one: Plane):
        await one.enable(gpuTypes=BOTH_TYPES, per_user=2)
        await one.open("bob", "shell-two", gpuType="A100")
        await one.run_for(30)
        one.azure.proofs = [NoGpu("No devices were found"), NoGpu("No devices were found")]
        view = await one.open()
        await renewing(one, 240)
        row = one.session(view["session"])
        assert (row.state, row.end_reason) == (SessionState.ENDED, EndReason.NO_CAPACITY)
        lived = [
            (ended - begun).total_seconds() for name, begun, ended in one.azure.history if name.endswith(row.session)
        ]
        assert len(lived) == 2
        assert abs(row.metered_s - sum(lived)) <= 2 * 5
        booked = [used for used in one.tables.rows("usage", "", UsageRow) if used.session == row.session]
        assert sum(used.seconds for used in booked) == row.metered_s
        assert len(booked) == 2
        view = (await one.call("alice", "GetSession", session=row.session))[1]
        ended = [event for _, _, event in one.topic.published if event.event_type == "DevBoxGpu.Session.Ended"]
        cost = {"amount": str(sum(used.cost for used in booked)), "currency": "USD"}
        assert ended[-1].data["cost"] == cost
        assert view["cost"]["amount"] == cost["amount"]

    played_exactly(story)


def test_the_cost_of_a_try_has_its_currency_though_the_last_place_has_no_price(played_exactly):
    async def story(one: Plane):
        one.azure.proofs = [NoGpu("No devices were found")]
        one.azure.no_gpu_in = frozenset({("swedencentral", "gpu-t4")})
        one.azure.system_log = "AssigningReplicaFailed: Maximum Allowed Cores exceeded for the Managed Environment."
        one.prices.unknown_in = frozenset({"swedencentral"})
        view = await one.open()
        await renewing(one, 900)
        row = one.session(view["session"])
        assert (row.state, row.currency) == (SessionState.ENDED, None)
        ended = [event for _, _, event in one.topic.published if event.event_type == "DevBoxGpu.Session.Ended"]
        shown = (await one.call("alice", "GetSession", session=row.session))[1]["cost"]
        assert ended[-1].data["cost"] == {"amount": shown["amount"], "currency": "USD"}
        assert float(shown["amount"]) > 0

    played_exactly(story)
