"""Which of my shells a copy or a port goes through, and what is said where there is none."""

from __future__ import annotations

from typing import Any

import pytest

from devboxgpu.session_access import NoSessionError, find_shell


class Shells:
    """The one operation that is asked for."""

    def __init__(self, *shells: dict[str, Any]) -> None:
        self._shells = list(shells)

    def list_shells(self) -> list[dict[str, Any]]:
        return self._shells


def shell(id_: str, session: str, state: str, minute: int, **more: str) -> dict[str, Any]:
    return {"id": id_, "session": session, "state": state, "createdAt": f"2026-11-21T22:{minute:02}:00Z", **more}


MINE = Shells(
    shell("h-old", "s-1", "Running", 1),
    shell("h-new", "s-2", "Running", 5),
    shell("h-newer", "s-1", "Running", 3),
    shell("h-waiting", "s-3", "Provisioning", 9, phase="Pulling"),
    shell("h-over", "s-4", "Ended", 8, endReason="Idle"),
)


def test_without_a_name_it_is_the_newest_that_runs():
    assert find_shell(MINE, None).id == "h-new"  # type: ignore[arg-type]


def test_a_session_is_reached_through_its_newest_shell():
    assert find_shell(MINE, "s-1").id == "h-newer"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shells", "session", "said"),
    [
        (MINE, "s-3", "session s-3 is not running yet: it is Pulling"),
        (MINE, "s-4", "session s-4 is over: it was idle for longer than the project allows"),
        (MINE, "s-9", "you have no open shell in session s-9; 'devboxgpu sessions list' shows what runs"),
        (Shells(), None, "no session of yours is running; 'devboxgpu shell' opens one"),
        (Shells(shell("h", "s-5", "Ended", 1, endReason="AppLost")), None, "your newest session (s-5) is over"),
    ],
)
def test_where_none_runs_it_says_what_there_is(shells: Shells, session: str | None, said: str):
    with pytest.raises(NoSessionError) as refused:
        find_shell(shells, session)  # type: ignore[arg-type]

    assert said in str(refused.value)
    assert refused.value.exit_code == 3
