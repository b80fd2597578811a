from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from agent_client import Client, Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.clean_up()


@pytest.fixture
def connect(place: Place) -> Callable[..., Client]:
    def connect(**ways: Any) -> Client:
        return Client(place, **ways).connect()

    return connect
