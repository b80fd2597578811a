"""Follows a shell from the request to a running session, phase by phase as the service tells them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from devboxgpu.api import ControlPlane, Opened
from devboxgpu.errors import RefusedError
from devboxgpu.progress import Progress
from devboxgpu.session_end import raise_if_over
from devboxgpu.wire import Money, Shell
from devboxgpu.wire_opening import Operation
from devboxgpu.wording import estimate, failed_try, moment, money, ordinal

DEFAULT_POLL_S = 1.0
SHORTEST_POLL_S = 0.05
LONGEST_POLL_S = 10.0
FAILED = frozenset({"Failed", "Canceled"})
WAITING = "Waiting"


UNKNOWN_PRICE = "unknown price"


def headline(project: str, shell: Shell, listed: Money | None = None) -> list[str]:
    """Project, GPU, region and price an hour. `listed` stands in where the shell has no price yet."""
    price = shell.price_an_hour or listed
    parts = [project, shell.gpu_type, shell.region, f"est. {money(price)}/h" if price else UNKNOWN_PRICE]
    return [part for part in parts if part]


def news(told: Sequence[str], now: Sequence[str]) -> str:
    """What is known now and was not told: region, price, or another GPU."""
    return " · ".join(part for part in now if part not in told and part != UNKNOWN_PRICE)


def connected(shell: Shell, *, hint: str) -> str:
    """Which session the shell is in, and whether other shells are in it too."""
    guest = "joined: another shell of yours opened it" if shell.guest else ""
    return " · ".join(part for part in (f"session {shell.session or shell.id}", guest, hint) if part)


class Opening:
    def __init__(self, api: ControlPlane, progress: Progress) -> None:
        self._api = api
        self._progress = progress
        self._phase = ""
        self._attempt = 1
        self._tries_told = 0

    @property
    def waits(self) -> bool:
        """Whether the shell was in line when it was last looked at."""
        return self._phase == WAITING

    async def follow(self, opened: Opened) -> Shell:
        """The shell once its session runs.

        Raises RefusedError when the service gives up, SessionEndedError when the session was stopped meanwhile.
        """
        if opened.operation is not None:
            await self._follow_operation(opened.operation, opened.retry_after_s)
        while True:
            shell = await asyncio.to_thread(self._api.get_shell, opened.shell.id, patience_s=30)
            if shell.state == "Running":
                return shell
            if shell.error is not None and shell.is_over:
                raise shell.error.refusal()
            raise_if_over(shell)
            self._enter(shell.phase or shell.state)
            await asyncio.sleep(DEFAULT_POLL_S)

    async def _follow_operation(self, operation_id: str, retry_after_s: float | None) -> None:
        while True:
            polled = await asyncio.to_thread(self._api.get_operation, operation_id)
            operation = polled.operation
            if operation.status == "Succeeded":
                return
            if operation.status in FAILED:
                raise _failure(operation)
            self._show(operation)
            asked_s = polled.retry_after_s if polled.retry_after_s is not None else retry_after_s
            await asyncio.sleep(min(max(asked_s or DEFAULT_POLL_S, SHORTEST_POLL_S), LONGEST_POLL_S))

    def _show(self, operation: Operation) -> None:
        self._tell_tries(operation)
        if operation.waits:
            self._wait(operation)
        else:
            self._enter(operation.phase or "Requested", aside=_attempt(operation) if operation.attempt > 1 else "")

    def _wait(self, operation: Operation) -> None:
        """The place and the estimate as they change; why it waits once."""
        begins = not self.waits
        if begins:
            self._progress.break_off()
        position, wait_s = operation.queue_position, operation.expected_wait_s
        self._enter(
            WAITING,
            f"{ordinal(position)} in line" if position else "",
            aside="wait unknown" if wait_s is None else estimate(wait_s),
        )
        if begins and (why := _why_it_waits(operation)):
            self._progress.note(why)

    def _tell_tries(self, operation: Operation) -> None:
        """What failed, once the next attempt has begun or the shell is in line again."""
        tries = operation.tries[self._tries_told :]
        begun = operation.attempt > self._attempt and not operation.waits
        if not begun and not (operation.waits and tries):
            return
        self._tries_told += len(tries)
        self._attempt = operation.attempt if begun else self._attempt
        self._progress.break_off()
        failed = ", ".join(failed_try(one.region, one.gpu_type, one.code) for one in tries)
        self._progress.note(": ".join(part for part in (_attempt(operation) if begun else "", failed) if part))

    def _enter(self, phase: str, detail: str = "", *, aside: str = "") -> None:
        self._phase = phase
        self._progress.enter(phase, detail, aside=aside)


def _attempt(operation: Operation) -> str:
    """`attempt 2 in swedencentral`, and with which GPU where that is another one than before."""
    text = f"attempt {operation.attempt}" + (f" in {operation.region}" if operation.region else "")
    is_other = bool(operation.tries) and operation.gpu_type not in {None, operation.tries[-1].gpu_type}
    return f"{text} with {operation.gpu_type}" if is_other else text


def _why_it_waits(operation: Operation) -> str:
    limit = f"at the longest until {moment(operation.wait_ends_at)}" if operation.wait_ends_at else None
    return " · ".join(part for part in (operation.wait_reason, limit) if part)


def _failure(operation: Operation) -> RefusedError:
    if operation.error is not None:
        return operation.error.refusal()
    return RefusedError(f"the shell was not opened ({operation.status}), and the service does not say why")
