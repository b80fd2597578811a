"""No port is kept by two local clouds."""

from __future__ import annotations

import os
import random
from dataclasses import asdict
from pathlib import Path

import pytest

from localcloud.stack import port_claims
from localcloud.stack.addresses import kept_addresses
from localcloud.stack.state_folder import StateFolder


@pytest.fixture(autouse=True)
def _own_claims(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_two_clouds_that_choose_alike_keep_different_ports(tmp_path):
    chosen: list[int] = []
    for name in ("one", "other"):
        random.seed(7)
        chosen += asdict(kept_addresses(StateFolder(tmp_path / name))).values()
    assert len(set(chosen)) == len(chosen)


def test_a_port_is_another_clouds_until_that_one_is_gone(tmp_path):
    ports, stranger = tmp_path / "ports.json", tmp_path / "stranger.json"
    assert port_claims.claim(21_000, ports)
    ports.write_text("{}")
    claimed = next(Path(tmp_path).glob("devboxgpu-ports-*")) / "21000"
    os.utime(claimed, (0, 0))
    assert not port_claims.claim(21_000, stranger), "its cloud is still there, if down"
    ports.unlink()
    assert port_claims.claim(21_000, stranger)
    assert not port_claims.claim(21_000, ports), "claimed a moment ago, its ports not written yet"
