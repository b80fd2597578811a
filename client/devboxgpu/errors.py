"""What can go wrong between a person and the control plane, in words for that person; and the exit codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_NOT_FOUND = 3
EXIT_CLIENT_FAILED = 125
"""`shell` and `run`: the control plane or this command failed, so there is no exit code of the remote's to give."""
EXIT_INTERRUPTED = 130
SIGNAL_EXIT_BASE = 128


class DevBoxGpuError(Exception):
    """Any failure that is told to the person; `exit_code` is that of verbs other than `shell` and `run`."""

    exit_code = EXIT_ERROR

    def lines(self) -> list[str]:
        """What is told to the person: a line that says it, and one for each part where there are parts."""
        return [str(self)]


class ConfigurationError(DevBoxGpuError):
    """Nothing, or something wrong, says where the control plane is or who is asking."""


class SignInError(DevBoxGpuError):
    """Nobody is signed in, or signing in failed."""


class UnreachableError(DevBoxGpuError):
    """The control plane did not answer."""

    def __init__(self, message: str, *, may_have_taken_hold: bool = True) -> None:
        super().__init__(message)
        self.may_have_taken_hold = may_have_taken_hold
        """False only where no request was ever received."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """A part of a refusal: a value that is wrong, or a try that failed, and at which place."""

    code: str
    message: str
    target: str = ""

    def __str__(self) -> str:
        return f"{self.target}: {self.message}" if self.target else self.message


class RefusedError(DevBoxGpuError):
    """The control plane answered no."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: str = "",
        request_id: str = "",
        target: str = "",
        details: Sequence[Detail] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.request_id = request_id
        self.target = target
        """Which parameter or setting it is about."""
        self.details = tuple(details)
        self.retry_after_s = retry_after_s
        self.exit_code = EXIT_NOT_FOUND if status == 404 else EXIT_ERROR

    def __str__(self) -> str:
        text = super().__str__()
        if self.target and self.target not in text:
            text = f"{self.target}: {text}"
        if self.code:
            text = f"{self.code}: {text}"
        return f"{text} (request {self.request_id})" if self.request_id else text

    def lines(self) -> list[str]:
        said = str(self)
        if len(self.details) == 1 and self.details[0].message in said:
            return [said]
        return [said, *(f"- {self._part(detail)}" for detail in self.details)]

    def _part(self, detail: Detail) -> str:
        return str(detail) if detail.code == self.code else f"{detail} ({detail.code})"


class SessionEndedError(DevBoxGpuError):
    """The session was stopped while the shell was open: idle, stopped by somebody, lifetime, lost."""

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class ConnectionLostError(DevBoxGpuError):
    """The way into the session broke and could not be mended; what became of the remote process is unknown."""


class DisconnectedError(DevBoxGpuError):
    """The person ended the connection with the escape keys."""


class StoppedBySignalError(DevBoxGpuError):
    """The process was told to stop."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.signal_number = signal_number
        self.exit_code = SIGNAL_EXIT_BASE + signal_number
