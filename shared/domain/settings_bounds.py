"""The bounds of a project's settings: everything in them that cannot be is named at once, each with its place.

Defaults are never faults: a default region that this platform does not serve is passed over when sessions are placed,
and a default warning that comes before a short timeout has begun is not given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

import msgspec

from shared.domain.arm_ids import fault_of_arm_id
from shared.domain.complaints import Complaint, outside, shown, too_many, twice
from shared.domain.errors import ErrorCode, Problem
from shared.domain.image_bounds import image_complaints
from shared.domain.pricing import CURRENCY
from shared.domain.settings import (
    DEFAULT_REGIONS,
    BudgetSettings,
    GpuSettings,
    IdleSettings,
    LineSettings,
    RegionSetting,
    SettingsBounds,
)

HIGHEST_CAP = 500
"""So many users' counts still fit into one column of the ledger (32,000 characters: reliability.md 3.1)."""
LONGEST_MINUTES = 7 * 24 * 60.0
LONGEST_WAIT_MINUTES = 24 * 60.0
LONGEST_GRACE_MINUTES = 24 * 60.0
LONGEST_HALF_LIFE_MINUTES = 30 * 24 * 60.0
LARGEST_BUDGET = Decimal(10_000_000)
LARGEST_SETTINGS = 15_000
"""Characters as JSON: the audit entry of a change holds the settings before and after in one column of 32,000."""
ENVIRONMENT = "Microsoft.App/managedEnvironments"
_CAP = "serverlessGpuSessionsSettings.maxConcurrentSessionsPerProject"
_REGION = re.compile(r"[a-z0-9]{3,40}")
_CURRENCY = re.compile(r"[A-Z]{3}")
_LABEL_NAME = re.compile(r"[a-zA-Z][\w-]{0,31}")
_LABEL = re.compile(r"[\w .:/@+-]{0,64}")


def problem_of(complaint: Complaint) -> Problem:
    return Problem(code=ErrorCode.INVALID_PARAMETER, target=complaint.target, message=complaint.message)


def complaints(settings: GpuSettings, bounds: SettingsBounds) -> Iterator[Complaint]:
    shortest = bounds.shortest_minutes
    yield from outside(_CAP, settings.project_cap, 1, HIGHEST_CAP)
    yield from outside("maxConcurrentSessionsPerUser", settings.max_concurrent_sessions_per_user, 1, HIGHEST_CAP)
    yield from _gpu_types(settings)
    yield from _regions(settings.regions, bounds)
    yield from image_complaints(settings.images, bounds)
    yield from _idle(settings.idle, shortest)
    yield from outside("maxLifetimeMinutes", settings.max_lifetime_minutes, shortest, LONGEST_MINUTES)
    yield from outside("extendLimitMinutes", settings.extend_limit_minutes, 0, LONGEST_MINUTES)
    yield from _line(settings.line, shortest)
    if settings.budget is not None:
        yield from _budget(settings.budget)
    yield from _labels(settings.labels)
    if (size := len(msgspec.json.encode(settings).decode())) > LARGEST_SETTINGS:
        message = f"all settings together may have {LARGEST_SETTINGS} characters as JSON; they have {size}"
        yield Complaint("images.registries", message)


def _gpu_types(settings: GpuSettings) -> Iterator[Complaint]:
    if not settings.gpu_types:
        message = "name at least one GPU type; to allow none, set serverlessGpuSessionsMode to Disabled"
        yield Complaint("gpuTypes", message)
    yield from twice("gpuTypes", "a GPU type", [entry.type for entry in settings.gpu_types])
    for index, entry in enumerate(settings.gpu_types):
        if entry.max_concurrent is not None:
            yield from outside(f"gpuTypes[{index}].maxConcurrent", entry.max_concurrent, 0, HIGHEST_CAP)
    if settings.gpu_types and settings.gpu_types[0].fallback:
        yield Complaint("gpuTypes[0].fallback", "the first type is what others fall back from; leave fallback out")


def _regions(regions: tuple[RegionSetting, ...], bounds: SettingsBounds) -> Iterator[Complaint]:
    if not regions:
        yield Complaint("regions", "name at least one region")
    yield from too_many("regions", regions, 30)
    yield from twice("regions", "a region", [region.name for region in regions])
    for index, region in enumerate(regions):
        place = f"regions[{index}]"
        yield from outside(f"{place}.order", region.order, 0, 1000)
        if not _REGION.fullmatch(region.name):
            message = f"a region is written as Azure does, such as 'westus3'; it is {shown(region.name)}"
            yield Complaint(f"{place}.name", message)
        elif region.environment_id is None and region.name not in (*bounds.regions, *DEFAULT_REGIONS):
            served = ", ".join(sorted(bounds.regions))
            message = f"there is no GPU environment in {shown(region.name)}; there are: {served}"
            yield Complaint(f"{place}.name", message, rests_on=(f"{place}.environmentId",))
        if region.environment_id is not None:
            fault = fault_of_arm_id(region.environment_id, ENVIRONMENT, bounds.subscription_id)
            if fault:
                yield Complaint(f"{place}.environmentId", f"{fault}; it is {shown(region.environment_id)}")


def _idle(idle: IdleSettings, shortest: float) -> Iterator[Complaint]:
    timeout = "idle.timeoutMinutes"
    yield from outside(timeout, idle.timeout_minutes, shortest, LONGEST_MINUTES)
    yield from outside("idle.graceMinutes", idle.grace_minutes, 0, LONGEST_GRACE_MINUTES)
    yield from outside("idle.gpuBusyPercent", idle.gpu_busy_percent, 0, 100)
    if idle.warn_minutes == IdleSettings().warn_minutes:
        return
    yield from too_many("idle.warnMinutes", idle.warn_minutes, 5)
    yield from twice("idle.warnMinutes", "a time", idle.warn_minutes)
    for index, minutes in enumerate(idle.warn_minutes):
        if not 0 < minutes < idle.timeout_minutes:
            message = f"must be above 0 and below {timeout}, {shown(idle.timeout_minutes)}; it is {shown(minutes)}"
            yield Complaint(f"idle.warnMinutes[{index}]", message, rests_on=(timeout,))


def _line(line: LineSettings, shortest: float) -> Iterator[Complaint]:
    yield from outside("line.maxLength", line.max_length, 1, 500)
    yield from outside("line.timeoutMinutes", line.timeout_minutes, shortest, LONGEST_WAIT_MINUTES)
    yield from outside("line.halfLifeMinutes", line.half_life_minutes, 1, LONGEST_HALF_LIFE_MINUTES)
    yield from outside("line.entryPenaltyMinutes", line.entry_penalty_minutes, 0, 1440)


def _budget(budget: BudgetSettings) -> Iterator[Complaint]:
    amount = budget.monthly_amount
    if not (amount.is_finite() and 0 < amount <= LARGEST_BUDGET and amount == round(amount, 2)):
        message = f"must be above 0, at most {LARGEST_BUDGET}, with two decimals at most; it is {shown(str(amount))}"
        yield Complaint("budget.monthlyAmount", message)
    if not _CURRENCY.fullmatch(budget.currency):
        yield Complaint("budget.currency", f"a currency is three capital letters; it is {shown(budget.currency)}")
    elif budget.currency != CURRENCY:
        message = f"must be {CURRENCY}, as prices are; it is {shown(budget.currency)}"
        yield Complaint("budget.currency", message)
    yield from too_many("budget.alertPercents", budget.alert_percents, 10)
    yield from twice("budget.alertPercents", "a percentage", budget.alert_percents)
    for index, percent in enumerate(budget.alert_percents):
        yield from outside(f"budget.alertPercents[{index}]", percent, 1, 200)


def _labels(labels: dict[str, str]) -> Iterator[Complaint]:
    """Names and values are those that a shell's own labels may have (api/wire.py)."""
    yield from too_many("labels", labels, 16)
    for name, value in labels.items():
        if not _LABEL_NAME.fullmatch(name):
            message = f"a name has up to 32 letters, digits, '_' and '-', a letter of a-z first; it is {shown(name)}"
            yield Complaint("labels", message)
        elif not _LABEL.fullmatch(value):
            message = f"has up to 64 letters, digits, spaces and any of _ . : / @ + -; it is {shown(value)}"
            yield Complaint(f"labels.{name}", message)
