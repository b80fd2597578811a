"""How durations, instants, money, phases and reasons read to a person."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal

from devboxgpu.wire import Money

SECONDS_AN_HOUR = 3600

DOING = {
    "Requested": "Asking for a GPU",
    "Waiting": "Waiting for a GPU",
    "Creating": "Creating the session",
    "Assigning": "Waiting for the GPU to be assigned",
    "Pulling": "Pulling the image",
    "Starting": "Starting the container",
    "VerifyingGpu": "Checking the GPU",
    "Connecting": "Connecting",
    "Syncing": "Taking the folder along",
}
DONE = {
    "Requested": "Admitted",
    "Waiting": "Waited for a GPU",
    "Creating": "Session created",
    "Assigning": "GPU assigned",
    "Pulling": "Image pulled",
    "Starting": "Container started",
    "VerifyingGpu": "GPU checked",
    "Connecting": "Connected",
    "Syncing": "Folder taken along",
}
END_REASONS = {
    "ShellsClosed": "its shells were closed",
    "LeaseLapsed": "the control plane had not heard from this command for too long",
    "Idle": "it was idle for longer than the project allows",
    "MaxLifetime": "it reached the longest life that the project allows",
    "StoppedByUser": "you stopped it",
    "StoppedByAdministrator": "an administrator stopped it",
    "ProjectDisabled": "GPU sessions were disabled for the project",
    "BudgetExhausted": "the project's budget is used up",
    "WaitTimedOut": "no GPU became free in time",
    "Cancelled": "it was cancelled",
    "NoCapacity": "Azure had no free GPU",
    "ProvisioningFailed": "it could not be made ready",
    "AppLost": "its container was lost",
}
STOP_REASONS = {
    "Idle": "nothing was typed, printed or computed",
    "MaxLifetime": "the longest life that the project allows",
    "BudgetExhausted": "the project's budget of this month is used up",
    "ProjectDisabled": "GPU sessions were disabled for the project",
}
"""Why a session is going to stop, as far as its person is warned of it."""
STOP_WORDS = {
    "Idle": "idle",
    "MaxLifetime": "longest life",
    "BudgetExhausted": "budget",
    "ProjectDisabled": "project disabled",
    "LeaseLapsed": "not heard of",
}
"""The same for where there is room for a word."""
FAILED_TRIES = {
    "NoCapacity": "had no GPU",
    "EnvironmentQuotaReached": "had no quota left",
    "CreationRejected": "was refused by Azure",
    "ImageNotPulled": "could not pull the image",
    "GpuMissing": "gave a container without a GPU",
    "ProvisioningTimedOut": "took too long",
    "AppLost": "lost the container",
}


def duration(seconds: float) -> str:
    """`0.4 s`, `41 s`, `42 min 10 s`, `3 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < SECONDS_AN_HOUR:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // SECONDS_AN_HOUR} h {whole % SECONDS_AN_HOUR // 60} min"


def minutes(seconds: float) -> str:
    """`0 min`, `42 min`, `3 h 5 min`: for what is shown all the time and should not flicker."""
    whole = int(seconds // 60)
    return f"{whole} min" if whole < 60 else f"{whole // 60} h {whole % 60} min"


def left(seconds: float) -> str:
    """`in 27 min`, `in 4 min 50 s`, `in 50 s`, `now`: what is left of a time, to ten seconds where it is short."""
    if seconds <= 0:
        return "now"
    if seconds > 295:
        return f"in {max(5, round(seconds / 60))} min" if seconds < SECONDS_AN_HOUR else f"in {minutes(seconds)}"
    tens = max(10, round(seconds / 10) * 10)
    text = f"{tens // 60} min {tens % 60} s" if tens % 60 else f"{tens // 60} min"
    return f"in {text}" if tens >= 60 else f"in {tens} s"


def stop_word(reason: str) -> str:
    return STOP_WORDS.get(reason, reason)


def estimate(seconds: float) -> str:
    """`about 40 s`, `about 12 min`, `about 3 h`: no more digits than an estimate has."""
    if seconds < 55:
        return f"about {max(10, round(seconds / 10) * 10)} s"
    if seconds < 2 * SECONDS_AN_HOUR:
        return f"about {round(seconds / 60)} min"
    return f"about {round(seconds / SECONDS_AN_HOUR)} h"


def moment(at: datetime) -> str:
    """RFC 3339 in UTC, to the second: `2026-11-21T23:00:00Z`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def money(value: Money) -> str:
    """Two decimals, or four where two would say nothing: `0.41 USD`, `0.0012 USD`."""
    size = abs(value.amount)
    places = Decimal("0.01") if size >= Decimal("0.10") or size == 0 else Decimal("0.0001")
    return f"{value.amount.quantize(places, ROUND_HALF_UP)} {value.currency}".rstrip()


def cost_of(price_an_hour: Money, seconds: float) -> Money:
    """The estimate used when the service has not said what a session cost."""
    amount = price_an_hour.amount * Decimal(str(seconds)) / SECONDS_AN_HOUR
    return Money(amount=amount, currency=price_an_hour.currency)


def failed_try(region: str, gpu_type: str, code: str) -> str:
    """`westus3/T4 had no GPU`."""
    return f"{region}/{gpu_type} {FAILED_TRIES.get(code, f'failed: {code}')}"


def end_reason(reason: str) -> str:
    return END_REASONS.get(reason, f"reason {reason}")


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th."""
    suffix = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def printable(text: str) -> str:
    """Text from elsewhere on one line and without control characters: it must not steer the person's terminal."""
    return "".join(sign if sign.isprintable() else " " for sign in text).strip()
