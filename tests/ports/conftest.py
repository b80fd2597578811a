"""The local cloud without the functions host, a service that says what a test wants, and the clock of what is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from port_harness import Scripted

from localcloud.stack import LocalCloud
from shared.ports.azure_tables import AzureTables, connect


@pytest.fixture
def service() -> Iterator[Scripted]:
    scripted = Scripted()
    yield scripted
    scripted.stop()


@pytest.fixture
def pass_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return what moves the clock by which adapters remember, in seconds."""
    at = [1000.0]

    def move(seconds: float) -> None:
        at[0] += seconds

    monkeypatch.setattr("shared.ports.recent_answers.elapsed_s", lambda: at[0])
    return move


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    state: Path = tmp_path_factory.mktemp("ports-cloud")
    running = LocalCloud(state, with_host=False)
    running.up()
    yield running
    running.down()


@pytest.fixture(scope="module")
def tables(cloud: LocalCloud) -> AzureTables:
    made = connect(connection=cloud.endpoints["tables"], endpoint=None, credential=None)
    made.create_tables()
    return made
