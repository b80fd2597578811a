"""The local cloud without the functions host: real storage, ARM and identity for the adapters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from localcloud.stack import LocalCloud


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    state: Path = tmp_path_factory.mktemp("ports-cloud")
    running = LocalCloud(state, with_host=False)
    running.up()
    yield running
    running.down()
