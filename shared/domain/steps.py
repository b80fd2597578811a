"""Names on the wire between host and app: activities, orchestrators. Frozen once released (histories hold them)."""

from __future__ import annotations

from enum import StrEnum


class Step(StrEnum):
    """The activities of a session's story, each true of a second run."""

    ADMIT = "admit_session"
    WAIT = "wait_in_line"
    CREATE = "create_app"
    LOOK = "look_at_app"
    TEND = "tend_session"
    REMOVE = "remove_app"
    SETTLE = "settle_session"
    HAND_OVER = "hand_over_session"


class SweepStep(StrEnum):
    """The activities of a sweep, each true of a second run."""

    BEGIN = "begin_sweep"
    SURVEY = "survey_apps"
    MISSING = "wake_for_missing_apps"
    PROJECT = "sweep_project"
    ORPHANS = "remove_orphans"
    FINISH = "finish_sweep"


DRIVE_SESSION = "drive_session"
RUN_SWEEP = "run_sweep"
