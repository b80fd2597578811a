"""Whether, and why, a session ended under us: the shell's row is asked, because an exit code cannot tell."""

from __future__ import annotations

from devboxgpu.errors import SessionEndedError
from devboxgpu.wire import Shell
from devboxgpu.wording import end_reason

KILLED_FROM = 128
"""Exit codes from here on mean a signal, which is also how a container's processes end when the session is stopped."""


def raise_if_over(shell: Shell) -> None:
    """Raises SessionEndedError when the shell's session is stopping or has ended."""
    if not shell.is_over:
        return
    reason = shell.end_reason or shell.stop_reason or ""
    if shell.error is not None:
        raise SessionEndedError(f"the session ended: {shell.error.code}: {shell.error.message}", reason=reason)
    why = end_reason(reason) if reason else "the control plane does not say why"
    raise SessionEndedError(f"the session was stopped: {why}", reason=reason)


def may_hide_a_stop(exit_code: int) -> bool:
    """Whether an exit code may come from the container going away rather than from the program."""
    return exit_code == 0 or exit_code >= KILLED_FROM
