"""Follows a shell from the request to a running session, phase by phase as the service tells them."""

from __future__ import annotations

import asyncio

from devboxgpu.api import ControlPlane, Opened
from devboxgpu.errors import RefusedError
from devboxgpu.progress import Progress
from devboxgpu.session_end import raise_if_over
from devboxgpu.wire import Operation, Shell
from devboxgpu.wording import money, ordinal

DEFAULT_POLL_S = 1.0
SHORTEST_POLL_S = 0.05
LONGEST_POLL_S = 10.0
FAILED = frozenset({"Failed", "Canceled"})


def headline(project: str, shell: Shell) -> str:
    """Project, GPU, region and price, as far as they are known yet."""
    price = shell.price_an_hour
    parts = [project, shell.gpu_type, shell.region, f"est. {money(price)}/h" if price else None]
    return " · ".join(part for part in parts if part)


class Opening:
    def __init__(self, api: ControlPlane, progress: Progress) -> None:
        self._api = api
        self._progress = progress

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
            self._show(shell.phase or shell.state, shell.attempt, shell.region, None)
            await asyncio.sleep(DEFAULT_POLL_S)

    async def _follow_operation(self, operation_id: str, retry_after_s: float | None) -> None:
        while True:
            polled = await asyncio.to_thread(self._api.get_operation, operation_id)
            operation = polled.operation
            if operation.status == "Succeeded":
                return
            if operation.status in FAILED:
                raise _failure(operation)
            waits = operation.queue_position is not None and operation.phase is None
            phase = "Waiting" if waits else operation.phase or "Requested"
            self._show(phase, operation.attempt, operation.region, operation.queue_position)
            asked_s = polled.retry_after_s if polled.retry_after_s is not None else retry_after_s
            await asyncio.sleep(min(max(asked_s or DEFAULT_POLL_S, SHORTEST_POLL_S), LONGEST_POLL_S))

    def _show(self, phase: str, attempt: int, region: str | None, queue_position: int | None) -> None:
        details = [
            f"{ordinal(queue_position)} in line" if phase == "Waiting" and queue_position else None,
            f"attempt {attempt} in {region}" if attempt > 1 and region else None,
        ]
        self._progress.enter(phase, " · ".join(detail for detail in details if detail))


def _failure(operation: Operation) -> RefusedError:
    if operation.error is not None:
        return operation.error.refusal()
    return RefusedError(f"the shell was not opened ({operation.status}), and the service does not say why")
