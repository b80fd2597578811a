"""A body may be anything: it is understood or refused, and never breaks the server."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from aca_harness import body
from hypothesis import given
from hypothesis import strategies as st

from localcloud.container_apps.errors import ArmError
from localcloud.container_apps.validation import AppSpec, check_app_name, parse_app

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2000) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
PULLER = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/puller"
PULLING = {
    "registries": [{"server": "acme.azurecr.io", "identity": PULLER}],
    "identitySettings": [{"identity": PULLER, "lifecycle": "None"}],
}
ASSIGNED = {"type": "UserAssigned", "userAssignedIdentities": {PULLER: {}}}
FULL = body(
    configuration={"secrets": [{"name": "key", "value": "x"}], **PULLING},
    container={"image": "acme.azurecr.io/gpu:1", "env": [{"name": "K", "secretRef": "key"}], "args": ["a"]},
    identity=ASSIGNED,
    managedBy="owner",
)


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at] * bool(at) + [path for key, inner in members for path in paths(inner, (*at, key))]


@given(st.sampled_from(paths(FULL)), ANYTHING)
def test_a_body_with_any_part_replaced_is_understood_or_refused(path: tuple[Any, ...], replacement: Any) -> None:
    changed = copy.deepcopy(FULL)
    target: Any = changed
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = replacement

    try:
        understood = parse_app(changed)
    except ArmError as refusal:
        understood = None
        refused_with = refusal.status

    assert isinstance(understood, AppSpec) or refused_with in {400, 404}


@given(st.dictionaries(st.sampled_from(["location", "properties", "tags", "x"]), ANYTHING))
def test_no_random_body_is_an_app(wish: dict[str, Any]) -> None:
    with pytest.raises(ArmError):
        parse_app(wish)


@given(st.from_regex(r"[a-z]([a-z0-9]|-[a-z0-9]){0,14}[a-z0-9]", fullmatch=True))
def test_names_of_the_right_form_are_taken(name: str) -> None:
    check_app_name(name)


@pytest.mark.parametrize(
    "image",
    ["nvidia/cuda:12.4.0-base-ubuntu22.04", "localhost:5000/a/b", f"ghcr.io/acme/gpu@sha256:{'a' * 64}", "python"],
)
def test_usual_image_names_are_taken(image: str) -> None:
    assert parse_app(body(container={"image": image})).template["containers"][0]["image"] == image


def private(*, image: str = "acme.azurecr.io/gpu:1", **extra: Any) -> dict[str, Any]:
    return body(container={"image": image}, **extra)


def refusal(wish: dict[str, Any]) -> ArmError:
    with pytest.raises(ArmError) as refused:
        parse_app(wish)
    assert refused.value.status == 400
    return refused.value


@pytest.mark.parametrize(
    "image", ["acme.azurecr.io/gpu:1", "ACME.azurecr.io/gpu", f"acme.azurecr.io/g@sha256:{'b' * 64}"]
)
def test_a_private_image_is_taken_with_an_entry_for_its_server(image: str) -> None:
    assert parse_app(private(image=image, configuration=PULLING, identity=ASSIGNED)).identity == ASSIGNED


@pytest.mark.parametrize(
    "configuration",
    [
        {},
        {"registries": None},
        {"registries": []},
        {"registries": [{"server": "other.azurecr.io", "identity": PULLER}]},
    ],
)
def test_a_private_image_is_refused_without_an_entry_for_its_server_whatever_the_identity_may(
    configuration: dict[str, Any],
) -> None:
    refused = refusal(private(configuration=configuration, identity=ASSIGNED))

    assert refused.code == "InvalidParameterValueInContainerTemplate"
    assert "UNAUTHORIZED: authentication required" in refused.message


@pytest.mark.parametrize(
    "identity",
    [
        None,
        {"type": "None"},
        {"type": "SystemAssigned", "userAssignedIdentities": {PULLER: {}}},
        {"type": "UserAssigned", "userAssignedIdentities": {f"{PULLER}-of-another": {}}},
        {"type": "UserAssigned", "userAssignedIdentities": None},
    ],
)
@pytest.mark.parametrize("part", ["registries", "identitySettings"])
def test_only_an_identity_of_the_app_itself_may_pull(identity: Any, part: str) -> None:
    refused = refusal(body(configuration={part: PULLING[part]}, identity=identity))

    assert PULLER in refused.message


@pytest.mark.parametrize(
    "configuration",
    [
        {"registries": [{"identity": PULLER}]},
        {"registries": [{"server": "acme.azurecr.io", "identity": "system"}]},
        {"identitySettings": [{"identity": PULLER, "lifecycle": "Sometimes"}]},
    ],
)
def test_registries_and_identity_settings_that_make_no_sense_are_refused(configuration: dict[str, Any]) -> None:
    assert refusal(body(configuration=configuration, identity=ASSIGNED)).message


def test_the_apps_own_identity_may_pull_where_it_has_one() -> None:
    wish = private(
        configuration={"registries": [{"server": "acme.azurecr.io", "identity": "system"}]},
        identity={"type": "SystemAssigned, UserAssigned", "userAssignedIdentities": {PULLER.upper(): {}}},
    )

    assert parse_app(wish).configuration["registries"]
