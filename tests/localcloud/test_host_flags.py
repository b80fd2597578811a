"""Our own app is served strictly, and with the vendor's faults where they are asked for."""

from dataclasses import fields

import pytest

from localcloud.stack.addresses import Addresses
from localcloud.stack.parts import HOST, parts_of
from localcloud.stack.state_folder import StateFolder


@pytest.mark.parametrize(
    ("caller", "ending"), [({}, ["--strict"]), ({"DEVBOXGPU_AS_AZURE": "7"}, ["--strict", "--as-azure", "7"])]
)
def test_the_host_of_our_app_is_strict_and_goes_wrong_only_by_a_seed(tmp_path, caller, ending):
    addresses = Addresses(**{field.name: 20_000 + number for number, field in enumerate(fields(Addresses))})
    parts = parts_of(StateFolder(tmp_path), addresses, app=tmp_path, caller=caller, overrides={})

    assert parts[HOST].command()[-len(ending) :] == ending
