"""Our own orchestrator on this engine's two hard modes: it walks into no trap, and it bears the vendor's faults."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from localcloud.durable.decisions import Status
from localcloud.durable.options import DurableOptions
from localcloud.durable.rows import InstanceQuery
from shared.domain.states import SessionState
from tests.control_plane.plane import Plane, plane

MODES: dict[str, dict[str, Any]] = {
    "strict": {"strict": True},
    "seed-1": {"as_azure": 1},
    "seed-2": {"as_azure": 2},
    "both": {"as_azure": 3, "strict": True},
}


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every engine of the test run in one of the modes."""
    read = DurableOptions.from_host_json

    def in_mode(document: Mapping[str, object]) -> DurableOptions:
        return replace(read(document), **MODES[request.param])

    monkeypatch.setattr(DurableOptions, "from_host_json", in_mode)


@pytest.mark.usefixtures("mode")
def test_sessions_live_and_end_and_no_driver_fails(tmp_path: Path) -> None:
    async def life() -> None:
        async with plane(tmp_path) as one:
            await told(one)

    async def told(one: Plane) -> None:
        closed = await one.opened()
        await one.call("alice", "CloseShell", shell="shell-one")
        await one.run_for(120)
        lapsed = await one.opened(shell="shell-two")
        await one.run_for(600)
        for view in (closed, lapsed):
            assert one.session(view["session"]).state is SessionState.ENDED
        one.check_nothing_left()
        failed = InstanceQuery(statuses=(Status.FAILED,))
        assert [row.output for row in one.engine.journal.instances(failed)] == []

    asyncio.run(life())
