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
FULL = body(
    configuration={"secrets": [{"name": "key", "value": "x"}]},
    container={"env": [{"name": "K", "secretRef": "key"}], "args": ["a"]},
    identity={"type": "None"},
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
    ["nvidia/cuda:12.4.0-base-ubuntu22.04", "localhost:5000/a/b", f"acme.azurecr.io/gpu@sha256:{'a' * 64}", "python"],
)
def test_usual_image_names_are_taken(image: str) -> None:
    assert parse_app(body(container={"image": image})).template["containers"][0]["image"] == image
