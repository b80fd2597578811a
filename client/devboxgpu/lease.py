"""Keeps the shell's lease on a thread of its own, so that a stuck terminal or a busy loop does not let it lapse."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from devboxgpu.activity import Activity, ActivityReport
from devboxgpu.errors import DevBoxGpuError, RefusedError, SessionEndedError
from devboxgpu.wire import LeaseRenewal
from devboxgpu.wording import duration, end_reason

log = logging.getLogger(__name__)

DEFAULT_RENEWAL_S = 30.0
AFTER_FAILURE_S = 5.0
SHORTEST_RENEWAL_S = 0.05
SILENCE_WORTH_TELLING_S = 60.0
STOPPED = "Stopped"
"""Code of the detail that has, as its target, the reason why a shell is over."""


class LeaseService(Protocol):
    def renew_lease(self, shell: str, report: ActivityReport) -> LeaseRenewal: ...


class LeaseKeeper:
    def __init__(
        self,
        service: LeaseService,
        shell: str,
        *,
        activity: Activity,
        first_after_s: float,
        tell: Callable[[str], None],
        ended: Callable[[SessionEndedError], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`tell` and `ended` are called from the keeper's thread."""
        self._service, self._shell, self._activity = service, shell, activity
        self._tell, self._ended = tell, ended
        self._monotonic = monotonic
        self._next_after_s = first_after_s
        self._told: set[tuple[str, str]] = set()
        self._heard_at = monotonic()
        self._silence_told = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="devboxgpu-lease", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """No renewal begins after this; one under way is not waited for."""
        self._stopping.set()

    def _keep(self) -> None:
        while not self._stopping.wait(self._next_after_s):
            try:
                self._renew()
            except RefusedError as refused:
                if self._is_the_end(refused):
                    return
                self._missed(refused)
            except DevBoxGpuError as error:
                self._missed(error)

    def _renew(self) -> None:
        renewal = self._service.renew_lease(self._shell, self._activity.report())
        self._next_after_s = max(SHORTEST_RENEWAL_S, renewal.renew_after_s or DEFAULT_RENEWAL_S)
        self._heard_at = self._monotonic()
        self._silence_told = False
        for warning in renewal.warnings:
            said = (warning.kind, warning.message)  # not its instant, which moves with the network's delay
            if said not in self._told and warning.message:
                self._told.add(said)
                self._tell(warning.message)

    def _is_the_end(self, refused: RefusedError) -> bool:
        if self._stopping.is_set():
            return True
        if refused.code != "ShellEnded" and refused.status != 404:
            return False
        self._ended(ended_by(refused))
        return True

    def _missed(self, error: DevBoxGpuError) -> None:
        log.debug("lease not renewed: %s", error)
        self._next_after_s = AFTER_FAILURE_S
        silent_s = self._monotonic() - self._heard_at
        if silent_s >= SILENCE_WORTH_TELLING_S and not self._silence_told:
            self._silence_told = True
            self._tell(f"no contact with the control plane for {duration(silent_s)}: it may stop the session ({error})")


def ended_by(refused: RefusedError) -> SessionEndedError:
    """Why the session is over, as well as the refusal tells it."""
    reason = next((detail.target for detail in refused.details if detail.code == STOPPED), "")
    if reason:
        return SessionEndedError(f"the session was stopped: {end_reason(reason)}", reason=reason)
    if refused.status == 404:
        return SessionEndedError("the session is over: the control plane no longer knows this shell")
    return SessionEndedError(f"the session was stopped: {refused.args[0]}")
