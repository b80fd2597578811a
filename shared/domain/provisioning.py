"""Provisioning: what a look at the container app means, how long each phase may take, when to look again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.errors import ErrorCode, Problem
from shared.domain.states import EndReason, Phase


class AppCondition(StrEnum):
    """How far the app has come, read from ARM: shortage is silent there (reference/azure.md 4.6)."""

    CREATING = "creating"
    FAILED = "failed"
    NO_REPLICA = "noReplica"
    REPLICA_REFUSED = "replicaRefused"
    PULLING = "pulling"
    STARTING = "starting"
    RUNNING = "running"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppSeen:
    """What one look at an app that exists showed. `detail` is Azure's own text, for people."""

    condition: AppCondition
    detail: str = ""
    replica_started_at: datetime | None = None
    exec_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Provisioning has failed at this place: the session's end reason and the error that its owner is shown.

    `elsewhere`: another region or GPU type may do better. `lacks_gpu`: there was none to be had here.
    """

    reason: EndReason
    problem: Problem
    elsewhere: bool = False

    @property
    def lacks_gpu(self) -> bool:
        return self.problem.code in (ErrorCode.NO_CAPACITY, ErrorCode.GPU_MISSING)


PHASE_OF: dict[AppCondition, Phase] = {
    AppCondition.CREATING: Phase.CREATING,
    AppCondition.FAILED: Phase.CREATING,
    AppCondition.NO_REPLICA: Phase.ASSIGNING,
    AppCondition.REPLICA_REFUSED: Phase.ASSIGNING,
    AppCondition.PULLING: Phase.PULLING,
    AppCondition.STARTING: Phase.STARTING,
    AppCondition.RUNNING: Phase.VERIFYING_GPU,
}

PHASE_LIMIT: dict[Phase, timedelta] = {
    Phase.CREATING: timedelta(minutes=5),
    Phase.ASSIGNING: timedelta(minutes=10),
    Phase.PULLING: timedelta(minutes=20),
    Phase.STARTING: timedelta(minutes=5),
    Phase.VERIFYING_GPU: timedelta(minutes=2),
}
"""How long each phase may take: create 18 s seen, an empty replica list for 900 s meant no GPU, 25 min between pull
and start were seen and billed (azure.md 1.5, experience.md 2.3)."""

PATIENCE_WHEN_REFUSED = timedelta(seconds=60)
"""How long a GPU is waited for where Azure says that there is none, and there is another place to try."""


def furthest(one: Phase | None, other: Phase) -> Phase:
    """Return the later of two phases: what falls back keeps the clock of what it had reached, so all loops end."""
    order = list(Phase)
    return other if one is None or order.index(other) > order.index(one) else one


_NO_CAPACITY = re.compile(
    r"""operation\s+expired
    | maximum\s+allowed\s+(cores|gpus)
    | max\s+node\s+group\s+size
    | exceed\w*\s+((?!disk|storage|pull)\w+\s+){0,3}quota(?![\w-])
    | (?<!disk\s)(?<!storage\s)(?<!pull\s)quota(\s+\w+){0,3}\s*(exceeded|reached|exhausted)
    | (insufficient|not\s+enough|out\s+of)\s+(\w+\s+){0,3}(quota|capacity)(?![\w-])
    | (gpu|core|cpu)s?\s+quota(?![\w-])
    | work\s*load\s*profile\s+(is\s+)?full
    | no\s*available\s*capacity""",
    re.IGNORECASE | re.VERBOSE,
)
"""Azure's texts for a shortage of GPUs, which has no code of its own (azure.md 4.6). The word quota alone is none: it
stands in addresses of pages and in names of images."""


def says_no_capacity(text: str) -> bool:
    """Tell whether Azure's words mean that no GPU could be had: no capacity or no quota, which nobody tells apart."""
    return _NO_CAPACITY.search(text) is not None


def failure_seen(seen: AppSeen) -> Failure | None:
    """Return the failure that Azure itself reports, None while there is hope."""
    if seen.condition is not AppCondition.FAILED:
        return None
    if says_no_capacity(seen.detail):
        return no_capacity(seen.detail)
    lowered = seen.detail.lower()
    code = ErrorCode.IMAGE_NOT_PULLED if "image" in lowered or "manifest" in lowered else ErrorCode.CREATION_REJECTED
    message = f"Azure could not start the session's container: {seen.detail or 'no reason given'}"
    return Failure(reason=EndReason.PROVISIONING_FAILED, problem=Problem(code=code, message=message))


def failure_of_deadline(phase: Phase, detail: str) -> Failure:
    """Return the failure of a phase that took too long. A GPU that is never assigned is a lack of capacity."""
    if phase is Phase.ASSIGNING:
        return no_capacity(detail)
    code = ErrorCode.IMAGE_NOT_PULLED if phase is Phase.PULLING else ErrorCode.PROVISIONING_TIMED_OUT
    told = f"The session did not get past '{phase}' in time.{azures_words(detail)} Nothing is left running. Try again."
    problem = Problem(code=code, message=told)
    return Failure(reason=EndReason.PROVISIONING_FAILED, problem=problem, elsewhere=phase is Phase.CREATING)


LATER = "Try again later."


def no_capacity(detail: str) -> Failure:
    told = azures_words(detail)
    message = f"No GPU of this type could be had in this region.{told} Nothing is left running. {LATER}"
    problem = Problem(code=ErrorCode.NO_CAPACITY, message=message)
    return Failure(reason=EndReason.NO_CAPACITY, problem=problem, elsewhere=True)


def nowhere(problem: Problem, tries: Sequence[tuple[str, str]]) -> Problem:
    """Return the error of a session that found no place: every try with its reason, where there was more than one."""
    if len(tries) < 2:
        return problem
    listed = " ".join(f"{number}. {place}: {why}" for number, (place, why) in enumerate(tries, start=1))
    told = f"No GPU could be had at any of {len(tries)} places. {listed}"
    return replace(problem, message=told if told.endswith(LATER) else f"{told} {LATER}")


def azures_words(detail: str) -> str:
    """Return a sentence that quotes Azure, empty where it said nothing."""
    text = detail.strip()
    return f" Azure said: {text}{'' if text[-1] in '.!?' else '.'}" if text else ""


def gpu_missing(shown: str) -> Failure:
    """Return the failure of a container that runs without a GPU (seen on T4: ACA#1682 in azure.md 4.6)."""
    message = f"The container came up without a GPU (nvidia-smi: {shown[:200]}). It was taken down. Try again."
    problem = Problem(code=ErrorCode.GPU_MISSING, message=message)
    return Failure(reason=EndReason.PROVISIONING_FAILED, problem=problem, elsewhere=True)


def app_lost() -> Failure:
    message = "The session's container app was deleted outside DevBoxGPU. Open a new shell."
    return Failure(reason=EndReason.APP_LOST, problem=Problem(code=ErrorCode.APP_LOST, message=message))


_LOOKS_S = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
_CREATING_S = (2.0, 3.0, 4.0)
SLOWEST_LOOK_S = 10.0
SLOWEST_LOOK_CREATING_S = 5.0


def seconds_to_next_look(looks: int, phase: Phase | None = None) -> float:
    """Return the pause before the next look: short at first, then ten seconds (an ordinary life: about 100 steps).

    Creating is looked at less often, since Azure tells of its end by an event, which shortens the pause; the event is
    only a hint, the look decides. `looks` counts within the phase.
    """
    creating = phase is Phase.CREATING
    pauses, slowest = (_CREATING_S, SLOWEST_LOOK_CREATING_S) if creating else (_LOOKS_S, SLOWEST_LOOK_S)
    return pauses[looks] if looks < len(pauses) else slowest
