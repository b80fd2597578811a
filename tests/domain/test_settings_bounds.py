"""A project's settings: every bound, every fault named at once, and how they hold under Dev Center's bounds."""

from __future__ import annotations

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.complaints import shown
from shared.domain.effective import bounded, effective, lock_problems, may_break_a_lock
from shared.domain.errors import ErrorCode, Problem
from shared.domain.governance import Governance
from shared.domain.settings import (
    BudgetSettings,
    GpuSettings,
    IdleSettings,
    Mode,
    RegionSetting,
    ServerlessGpuSessionsSettings,
    SettingsBounds,
)
from shared.domain.settings_bounds import complaints, problem_of
from shared.domain.settings_reading import read_settings

BOUNDS = SettingsBounds(
    shortest_minutes=1,
    regions=frozenset({"westus3", "eastus"}),
    subscription_id="Sub-1",
    has_pull_identity=True,
)
PROVIDERS = "/subscriptions/sub-1/resourceGroups/group.One/providers"
ENVIRONMENT = f"{PROVIDERS}/Microsoft.App/managedEnvironments/one"
IDENTITY = f"{PROVIDERS}/Microsoft.ManagedIdentity/userAssignedIdentities/puller"
SECTION = "serverlessGpuSessionsSettings"
MODE, CAP = "serverlessGpuSessionsMode", "maxConcurrentSessionsPerProject"


def settings_problems(settings: GpuSettings, bounds: SettingsBounds) -> list[Problem]:
    return [problem_of(complaint) for complaint in complaints(settings, bounds)]


def targets(given) -> list[str]:
    read = read_settings(given, BOUNDS)
    return [] if isinstance(read, GpuSettings) else [problem.target for problem in read]


def nested(place: str, value):
    """Return settings in which one place such as `idle.graceMinutes` has a value."""
    for name in reversed(place.split(".")):
        value = {name: value}
    return value


def budget(**more):
    return {"budget": {"monthlyAmount": 100, **more}}


def registry(**more):
    return {"images": {"registries": [{"server": "contoso.azurecr.io", "repositories": ["a"], **more}]}}


NUMBERS = [
    (f"{SECTION}.{CAP}", 1, 500),
    ("maxConcurrentSessionsPerUser", 1, 500),
    ("idle.timeoutMinutes", 1, 10_080),
    ("idle.graceMinutes", 0, 1440),
    ("idle.gpuBusyPercent", 0, 100),
    ("maxLifetimeMinutes", 1, 10_080),
    ("extendLimitMinutes", 0, 10_080),
    ("line.maxLength", 1, 500),
    ("line.timeoutMinutes", 1, 1440),
    ("line.halfLifeMinutes", 1, 43_200),
    ("line.entryPenaltyMinutes", 0, 1440),
]


@pytest.mark.parametrize(("place", "lowest", "highest"), NUMBERS)
def test_a_number_is_taken_to_its_bounds_and_no_further(place, lowest, highest):
    for value in (lowest, highest, float(highest)):
        assert targets(nested(place, value)) == []
    for value in (lowest - 1, highest + 1, 10**40, -1e300, float("nan"), float("inf"), True, "5", None, [5]):
        assert targets(nested(place, value)) == [place], value


@pytest.mark.parametrize("place", ["idle.timeoutMinutes", "maxLifetimeMinutes", "line.timeoutMinutes"])
def test_the_operator_moves_the_shortest_timeout(place):
    shorter = SettingsBounds(shortest_minutes=0.001, regions=frozenset(), subscription_id="s")

    assert isinstance(read_settings(nested(place, 0.05), shorter), GpuSettings)
    assert isinstance(read_settings(nested(place, 0.0001), shorter), list)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"gpuTypes": []}, ["gpuTypes"]),
        ({"gpuTypes": [{"type": "T4"}, {"type": "T4"}]}, ["gpuTypes"]),
        ({"gpuTypes": [{"type": "T4", "maxConcurrent": 0}]}, []),
        ({"gpuTypes": [{"type": "T4", "maxConcurrent": 501}]}, ["gpuTypes[0].maxConcurrent"]),
        ({"gpuTypes": [{"type": "T4", "fallback": True}]}, ["gpuTypes[0].fallback"]),
        ({"gpuTypes": [{"type": "A100"}, {"type": "T4", "fallback": True}]}, []),
        ({"gpuTypes": [{"type": "T4"}, {"type": "V100"}, "A100"]}, ["gpuTypes[1].type", "gpuTypes[2]"]),
        ({"gpuTypes": [{"maxConcurrent": 1}]}, ["gpuTypes[0].type"]),
        ({"regions": []}, ["regions"]),
        ({"regions": [{"name": "westus3"}, {"name": "westus3"}]}, ["regions"]),
        ({"regions": [{"name": "mars"}]}, ["regions[0].name"]),
        ({"regions": [{"name": "West US"}]}, ["regions[0].name"]),
        ({"regions": [{"name": "australiaeast"}]}, []),
        ({"regions": [{"name": "mars", "environmentId": ENVIRONMENT}]}, []),
        ({"regions": [{"name": "mars", "environmentId": ENVIRONMENT.upper()}]}, []),
        ({"regions": [{"name": "mars", "environmentId": 5}]}, ["regions[0].environmentId"]),
        ({"regions": [{"name": "eastus", "environmentId": IDENTITY}]}, ["regions[0].environmentId"]),
        ({"regions": [{"name": "eastus", "order": -1}]}, ["regions[0].order"]),
        ({"idle": {"timeoutMinutes": 3}}, []),
        ({"idle": {"timeoutMinutes": 3, "warnMinutes": [2.5, 1]}}, []),
        ({"idle": {"timeoutMinutes": 3, "warnMinutes": [3, 0, -1]}}, [f"idle.warnMinutes[{i}]" for i in range(3)]),
        ({"idle": {"warnMinutes": []}}, []),
        ({"idle": {"warnMinutes": [1, 1]}}, ["idle.warnMinutes"]),
        ({"idle": {"warnMinutes": [1, 2, 3, 4, 5, 6]}}, ["idle.warnMinutes"]),
        ({"idle": {"warnMinutes": [60], "timeoutMinutes": "soon"}}, ["idle.timeoutMinutes"]),
        (budget(), []),
        (budget(monthlyAmount="99.50"), []),
        (budget(monthlyAmount=10_000_000), []),
        (budget(alertPercents=[1, 200]), []),
        (budget(alertPercents=[0, 201]), ["budget.alertPercents[0]", "budget.alertPercents[1]"]),
        (budget(alertPercents=[50, 50]), ["budget.alertPercents"]),
        (budget(alertPercents=list(range(1, 12))), ["budget.alertPercents"]),
        (budget(alertPercents=[49.5]), ["budget.alertPercents[0]"]),
        (budget(currency="EUR"), ["budget.currency"]),
        (budget(currency="usd"), ["budget.currency"]),
        ({"budget": {}}, ["budget.monthlyAmount"]),
        ({"budget": None}, []),
        ({"labels": {f"n{i}": "v" for i in range(16)}}, []),
        ({"labels": {f"n{i}": "v" for i in range(17)}}, ["labels"]),
        ({"labels": {"1x": "y"}}, ["labels"]),
        ({"labels": {"\x1b": 1}}, ["labels.?"]),
        ({"labels": {"x": "y\n"}}, ["labels.x"]),
        ({"labels": {"x": "y" * 65, "z": 1}}, ["labels.z", "labels.x"]),
        (registry(), []),
        (registry(identity=IDENTITY), []),
        (registry(identity=IDENTITY.replace("sub-1", "sub-2")), ["images.registries[0].identity"]),
        (registry(identity="system"), ["images.registries[0].identity"]),
        (registry(identity=IDENTITY + "\n"), ["images.registries[0].identity"]),
        (registry(server="evil.example"), ["images.registries[0].server"]),
        (registry(repositories=[]), ["images.registries[0].repositories"]),
        (registry(repositories=["a"] * 51), ["images.registries[0].repositories"]),
        (registry(repositories=["../a", "*", "b/*"]), ["images.registries[0].repositories[0]"]),
        ({"images": {"registries": registry()["images"]["registries"] * 2}}, ["images.registries"]),
        ({"images": {"allowPreset": ["gpu-quickstart"]}}, []),
        ({"images": {"allowPreset": ["gpu-quickstart", "x"]}}, ["images.allowPreset[1]"]),
        ({"images": {"allowPreset": False}}, ["images.default"]),
        ({"images": {"allowPreset": 1}}, ["images.allowPreset"]),
        ({"images": {"default": "gpu-quickstart"}}, []),
        ({"images": {"default": "contoso.azurecr.io/a:1"}}, ["images.default"]),
        ({"images": {"default": "contoso.azurecr.io/a:1", "registries": 5}}, ["images.registries"]),
        ({"invented": 1, "idle": {"also\x1b": 2}}, ["invented", "idle.also?"]),
        ({"line": None, "shellSharing": "never"}, ["shellSharing", "line"]),
        ({"requireVirtualNetwork": "yes", "labels": []}, ["requireVirtualNetwork", "labels"]),
    ],
)  # fmt: skip
def test_each_fault_is_named_by_its_place_and_nothing_else_is(given, found):
    assert targets(given) == found


@pytest.mark.parametrize("amount", [0, -1, 10_000_001, 0.001, "1_0", "１０", "NaN", "1e5", "Infinity", "", True, None])
def test_a_budget_is_money_to_two_decimals(amount):
    assert targets(budget(monthlyAmount=amount)) == ["budget.monthlyAmount"]


@pytest.mark.parametrize("amount", [Decimal("NaN"), Decimal("Infinity")])
def test_an_amount_that_is_no_number_is_a_fault_however_it_came(amount):
    problems = settings_problems(GpuSettings(budget=BudgetSettings(monthly_amount=amount)), BOUNDS)

    assert [problem.target for problem in problems] == ["budget.monthlyAmount"]


@pytest.mark.parametrize(
    "given",
    [
        "/subscriptions/sub-1/resourceGroups/g/providers/Microsoft.App/managedEnvironments/",
        "/subscriptions/sub-2/resourceGroups/g/providers/Microsoft.App/managedEnvironments/one",
        "/subscriptions/sub-1/resourceGroups/g./providers/Microsoft.App/managedEnvironments/one",
        "/subscriptions/sub-1/resourceGroups/g/providers/Microsoft.App/containerApps/one",
        f"{ENVIRONMENT}/certificates/x",
        f"{ENVIRONMENT}?x=1",
        f"https://management.azure.com{ENVIRONMENT}",
        f"{PROVIDERS}/../Microsoft.App/managedEnvironments/one",
        f"{ENVIRONMENT}\u212a",
        f"{ENVIRONMENT}\n",
        "",
    ],
)
def test_an_environment_of_ones_own_is_one_of_the_platforms_subscription(given):
    assert targets({"regions": [{"name": "eastus", "environmentId": given}]}) == ["regions[0].environmentId"]


def test_all_faults_of_settings_are_named_at_once_with_their_bounds():
    wrong = GpuSettings(
        serverless_gpu_sessions_settings=ServerlessGpuSessionsSettings(max_concurrent_sessions_per_project=0),
        gpu_types=(),
        regions=(RegionSetting(name="mars"), RegionSetting(name="mars")),
        idle=IdleSettings(timeout_minutes=0.1),
        max_lifetime_minutes=1e9,
    )

    problems = settings_problems(wrong, BOUNDS)

    assert {problem.target for problem in problems} == {
        "serverlessGpuSessionsSettings.maxConcurrentSessionsPerProject",
        "gpuTypes",
        "regions",
        "regions[0].name",
        "regions[1].name",
        "idle.timeoutMinutes",
        "maxLifetimeMinutes",
    }
    assert any("from 1 to 10080" in problem.message for problem in problems)
    assert {problem.code for problem in problems} == {ErrorCode.INVALID_PARAMETER}


def test_settings_that_one_audit_entry_could_not_hold_before_and_after_are_refused():
    repositories = ["a" * 250 + f"{index:03d}" for index in range(50)]
    many = [{"server": f"contoso{index}.azurecr.io", "repositories": repositories} for index in range(2)]

    assert targets({"images": {"registries": many[:1]}}) == []
    assert targets({"images": {"registries": many}}) == ["images.registries"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=12,
)


@given(name=st.sampled_from(GpuSettings.__struct_encode_fields__), value=json_values)
def test_whatever_is_written_is_read_or_refused_in_words_that_can_be_shown(name, value):
    read = read_settings({name: value}, BOUNDS)

    if isinstance(read, GpuSettings):
        assert settings_problems(read, BOUNDS) == []
        assert read_settings(json.loads(msgspec.json.encode(read)), BOUNDS) == read
    else:
        for problem in read:
            assert problem.target
            assert (problem.target + problem.message).isprintable()


def test_a_given_value_is_shown_short_and_printable():
    assert shown("x" * 100) == f"'{'x' * 59}…'"
    assert shown("a\x1b[2J\u202eb") == "'a?[2J?b'"
    assert (shown(30.0), shown(0.5), shown(True), shown(None), shown([1])) == ("30", "0.5", "true", "null", "[1]")


def settings(*, mode=Mode.AUTO_DEPLOY, cap=4, **more) -> GpuSettings:
    section = ServerlessGpuSessionsSettings(serverless_gpu_sessions_mode=mode, max_concurrent_sessions_per_project=cap)
    return GpuSettings(serverless_gpu_sessions_settings=section, **more)


@given(
    own_mode=st.sampled_from(Mode),
    own_cap=st.integers(1, 9),
    mode=st.none() | st.sampled_from(Mode),
    cap=st.none() | st.integers(1, 9),
)
def test_dev_center_only_ever_tightens(own_mode, own_cap, mode, cap):
    own, governance = settings(mode=own_mode, cap=own_cap), Governance(mode=mode, max_concurrent=cap)

    held = bounded(own, governance)

    assert held.enabled is (own.enabled and mode is not Mode.DISABLED)
    assert held.project_cap == min(own_cap, cap or own_cap)
    assert (held is own) is (held == own)
    assert bounded(held, governance) is held


@pytest.mark.parametrize(
    ("own", "governance", "mode", "cap", "locked"),
    [
        (settings(), Governance(), "project", "project", []),
        (settings(mode=Mode.DISABLED, cap=1), Governance(), "default", "default", []),
        (settings(), Governance(mode=Mode.AUTO_DEPLOY, max_concurrent=9), "project", "project", []),
        (settings(), Governance(mode=Mode.DISABLED, max_concurrent=3), "devCenter", "devCenter", []),
        (settings(), Governance(mode=Mode.DISABLED, mode_locked=True), "policy", "project", [MODE]),
        (settings(), Governance(max_concurrent=3, cap_locked=True), "project", "policy", [CAP]),
        (settings(), Governance(max_concurrent=4, cap_locked=True), "project", "policy", [CAP]),
        (settings(), Governance(max_concurrent=9, cap_locked=True), "project", "project", [CAP]),
        (settings(mode=Mode.DISABLED), Governance(mode=Mode.DISABLED), "default", "project", []),
        (settings(), Governance(mode=Mode.AUTO_DEPLOY, mode_locked=True), "project", "project", []),
    ],
)
def test_each_setting_tells_who_decided_it_and_what_is_locked(own, governance, mode, cap, locked):
    found = effective(own, governance, stored=True)

    assert (found.sources[f"{SECTION}.{MODE}"], found.sources[f"{SECTION}.{CAP}"]) == (mode, cap)
    assert [lock.setting for lock in found.locks] == [f"{SECTION}.{name}" for name in locked]
    assert found.settings == bounded(own, governance)


def test_sources_name_every_leaf_and_tell_written_values_from_defaults():
    written = settings(idle=IdleSettings(grace_minutes=5), budget=BudgetSettings(monthly_amount=Decimal(10)))
    sources = effective(written, Governance(), stored=True).sources

    assert sources["idle.graceMinutes"] == sources["budget.monthlyAmount"] == "project"
    assert sources["idle.timeoutMinutes"] == sources["budget.currency"] == sources["gpuTypes"] == "default"
    unset = effective(GpuSettings(), Governance(), stored=False).sources
    assert set(unset.values()) == {"default"}
    assert "budget" in unset


LOCKED = Governance(mode=Mode.DISABLED, max_concurrent=2, mode_locked=True, cap_locked=True)


@pytest.mark.parametrize(
    ("section", "result", "broken"),
    [
        ({MODE: "AutoDeploy"}, settings(), [MODE]),
        ({CAP: 4}, settings(), [CAP]),
        ({MODE: "AutoDeploy", CAP: 4.0}, settings(), [MODE, CAP]),
        ({CAP: 2}, settings(cap=2), []),
        ({MODE: "Disabled"}, settings(mode=Mode.DISABLED), []),
        ({}, settings(), []),
        (None, GpuSettings(), []),
    ],
)
def test_a_write_breaks_the_locks_on_what_it_names_and_no_other(section, result, broken):
    said = {SECTION: section, "idle": {"timeoutMinutes": 5}}

    problems = lock_problems(said, result, LOCKED)

    assert [problem.target for problem in problems] == [f"{SECTION}.{name}" for name in broken]
    assert not broken or may_break_a_lock(said, result)
    unlocked = msgspec.structs.replace(LOCKED, mode_locked=False, cap_locked=False)
    assert lock_problems(said, result, unlocked) == []


def test_whoever_disables_need_not_ask_dev_center():
    assert not may_break_a_lock({SECTION: {MODE: "Disabled"}}, settings(mode=Mode.DISABLED, cap=9))
    assert may_break_a_lock({SECTION: {CAP: 2}}, settings(mode=Mode.DISABLED, cap=2))
