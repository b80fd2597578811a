"""How Azurite is found, and what a person is told where it or Node is missing."""

import sys

import pytest

from localcloud.stack.addresses import kept_addresses
from localcloud.stack.azurite import azurite_command, find_node
from localcloud.stack.problem import StackProblemError
from localcloud.stack.state_folder import StateFolder


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """A Python with nothing beside it; returns its folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    return folder


def make_node(folder, version):
    folder.mkdir(exist_ok=True)
    node = folder / "node"
    node.write_text(f"#!/bin/sh\necho {version}\n")
    node.chmod(0o755)
    return str(node)


def test_without_node_the_message_says_make_env(alone):
    with pytest.raises(StackProblemError, match="make env"):
        find_node({"PATH": ""})


def test_without_azurite_the_message_says_make_env(tmp_path):
    addresses = kept_addresses(StateFolder(tmp_path / "state"))

    with pytest.raises(StackProblemError, match="make env"):
        azurite_command(addresses, tmp_path, {}, program=tmp_path / "nowhere.js")


@pytest.mark.parametrize("version", ["v18.19.0", "v8.0.0", "nonsense", ""])
def test_a_node_that_is_too_old_or_broken_is_named_and_not_used(alone, tmp_path, version):
    node = make_node(tmp_path / "system", version)

    with pytest.raises(StackProblemError) as caught:
        find_node({"PATH": str(tmp_path / "system")})

    assert node in str(caught.value)


def test_the_node_on_path_is_preferred(alone, tmp_path):
    make_node(alone, "v24.0.0")
    on_path = make_node(tmp_path / "system", "v20.0.0")

    assert find_node({"PATH": str(tmp_path / "system")}) == on_path


def test_the_node_beside_this_python_serves_where_the_systems_is_too_old(alone, tmp_path):
    beside = make_node(alone, "v24.0.0")
    make_node(tmp_path / "system", "v12.0.0")

    assert find_node({"PATH": str(tmp_path / "system")}) == beside


def test_ports_are_chosen_once_and_differ(tmp_path):
    first = kept_addresses(StateFolder(tmp_path / "one"))

    assert kept_addresses(StateFolder(tmp_path / "one")) == first
    services = (
        "blob",
        "queue",
        "table",
        "arm",
        "exec",
        "identity",
        "dev_center",
        "prices",
        "costs",
        "event_grid",
        "api",
    )
    assert len({getattr(first, service) for service in services}) == len(services)


def test_a_damaged_file_of_the_state_folder_is_said(tmp_path):
    state = StateFolder(tmp_path / "state")
    kept_addresses(state)
    state.ports.write_text("{")

    with pytest.raises(StackProblemError, match=r"ports\.json"):
        kept_addresses(state)


def test_a_script_that_starts_node_is_looked_through_so_that_a_signal_reaches_azurite(alone, tmp_path):
    program = tmp_path / "the-real-node"
    program.touch()
    folder = tmp_path / "system"
    folder.mkdir(exist_ok=True)
    script = folder / "node"
    script.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo v24.0.0 || echo {program}\n')
    script.chmod(0o755)

    assert find_node({"PATH": str(folder)}) == str(program)
