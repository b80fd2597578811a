"""Error codes: contract. The message beside a code says what to do and may change; the code may not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ErrorCode(StrEnum):
    # requests
    INVALID_REQUEST = "InvalidRequest"
    INVALID_PARAMETER = "InvalidParameter"
    UNKNOWN_PARAMETER = "UnknownParameter"
    MISSING_API_VERSION = "MissingApiVersionParameter"
    UNSUPPORTED_API_VERSION = "UnsupportedApiVersionValue"
    BODY_TOO_LARGE = "RequestBodyTooLarge"
    URL_TOO_LONG = "RequestUrlTooLong"
    HEADERS_TOO_LARGE = "RequestHeadersTooLarge"
    TOO_MANY_REQUESTS = "TooManyRequests"
    TOO_MANY_SHELLS = "TooManyShells"
    UNAUTHENTICATED = "Unauthenticated"
    FORBIDDEN = "Forbidden"
    NOT_FOUND = "NotFound"
    CONDITION_NOT_MET = "ConditionNotMet"
    PRECONDITION_REQUIRED = "PreconditionRequired"
    SHELL_EXISTS = "ShellExists"
    SHELL_NOT_READY = "ShellNotReady"
    SHELL_ENDED = "ShellEnded"
    SETTING_LOCKED_BY_POLICY = "SettingLockedByPolicy"
    EXTEND_LIMIT_REACHED = "ExtendLimitReached"
    SESSION_NOT_JOINABLE = "SessionNotJoinable"
    COST_NOT_CONFIGURED = "CostNotConfigured"
    SERVICE_UNAVAILABLE = "ServiceUnavailable"
    INTERNAL = "InternalError"
    # refusals at once
    GPU_DISABLED = "GpuDisabled"
    NOT_ENTITLED = "NotEntitled"
    GPU_TYPE_NOT_ALLOWED = "GpuTypeNotAllowed"
    REGION_NOT_ALLOWED = "RegionNotAllowed"
    IMAGE_NOT_ALLOWED = "ImageNotAllowed"
    SHARING_NOT_ALLOWED = "SharingNotAllowed"
    # refusals of the ledger
    PROJECT_CAP_REACHED = "ProjectGpuCapReached"
    USER_LIMIT_REACHED = "UserGpuLimitReached"
    BUDGET_EXHAUSTED = "BudgetExhausted"
    ENVIRONMENT_QUOTA_REACHED = "EnvironmentQuotaReached"
    LINE_FULL = "LineFull"
    WAIT_TIMED_OUT = "WaitTimedOut"
    # failures while opening
    NO_CAPACITY = "NoCapacity"
    CREATION_REJECTED = "CreationRejected"
    IMAGE_NOT_PULLED = "ImageNotPulled"
    GPU_MISSING = "GpuMissing"
    PROVISIONING_TIMED_OUT = "ProvisioningTimedOut"
    APP_LOST = "AppLost"
    CANCELLED = "Cancelled"
    LEASE_LAPSED = "LeaseLapsed"
    STOPPED = "Stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why something was refused or failed: a code for programs, a message that tells people what to do."""

    code: ErrorCode
    message: str
    target: str | None = None


class Refused(Exception):
    """A request is answered with this problem and HTTP status instead of being carried out."""

    def __init__(
        self,
        status: int,
        code: ErrorCode,
        message: str,
        *,
        target: str | None = None,
        details: tuple[Problem, ...] = (),
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.problem = Problem(code=code, message=message, target=target)
        self.details = details
        self.retry_after_s = retry_after_s
