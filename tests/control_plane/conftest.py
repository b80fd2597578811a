"""What the scenarios on the engine share."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.control_plane.plane import plane


@pytest.fixture(params=[None, 20261121], ids=["exact", "as-azure"])
def played(request):
    """Play a story on the exact engine, and on one that does what the vendor's was measured to do."""

    def play(folder: Path, story, **settings: str) -> None:
        asyncio.run(run(folder, story, **settings))

    async def run(folder: Path, story, **settings: str) -> None:
        async with plane(folder, as_azure=request.param, **settings) as one:
            await story(one)
            one.check_invariants()

    return play


@pytest.fixture
def played_exactly(tmp_path):
    """Play a story on the exact engine alone."""

    def play(story, **settings: str) -> None:
        asyncio.run(run(story, **settings))

    async def run(story, **settings: str) -> None:
        async with plane(tmp_path, **settings) as one:
            await story(one)
            one.check_invariants()

    return play
