"""Azure's words for a shortage, which has no code of its own, told from words that only sound like them."""

from __future__ import annotations

import pytest

from shared.domain.errors import ErrorCode
from shared.domain.provisioning import AppCondition, AppSeen, failure_seen, no_capacity, nowhere, says_no_capacity
from shared.domain.states import EndReason

SHORTAGES = [
    "Failed to provision revision for container app 'dbg-a'. Error details: Operation expired.",
    "WorkLoad Profile Full",
    "Workload profile is full",
    "Maximum Allowed Cores exceeded for the Managed Environment. Please check https://learn.microsoft.com/quotas",
    "pod didn't trigger scale-up: 1 max node group size reached",
    'pods "dbg-a-0" is forbidden: exceeded quota: compute-quota, requested: gpu=1',
    "exceeded quota",
    "The request exceeds the allowed GPU quota of the environment",
    "Subscription quota has been exceeded",
    "GPU quota: 2 of 2 in use",
    "QuotaExceeded",
    "not enough quota for Consumption_GPU_NC8as_T4",
    "insufficient capacity in the region",
    "Insufficient GPU capacity.",
    "ManagedEnvironmentNoAvailableCapacityInRegion",
    "There is no available capacity in westus3",
]
OTHERS = [
    "",
    "Waiting for infrastructure",
    "PullingImage",
    "CrashLoopBackOff",
    "Failed to pull image 'acme.azurecr.io/quota-exceeded:1': MANIFEST_UNKNOWN",
    "image not found, see the image quota page https://learn.microsoft.com/azure/container-apps/quotas",
    "pull rate limit exceeded for quota-tool",
    "toomanyrequests: pull quota exceeded, sign in to pull more",
    "write /data/model.bin: disk quota exceeded",
    "exceeded disk quota",
    "Full logs are at https://example.org",
    "the pull of the full image takes long",
    "capacity reservation made",
]


@pytest.mark.parametrize("text", SHORTAGES)
def test_a_shortage_is_recognised_in_each_of_azures_words_for_it(text):
    assert says_no_capacity(text)
    assert says_no_capacity(text.upper())
    failure = failure_seen(AppSeen(condition=AppCondition.FAILED, detail=text))
    assert failure is not None
    assert failure.reason is EndReason.NO_CAPACITY


@pytest.mark.parametrize("text", OTHERS)
def test_other_words_are_no_shortage(text):
    assert not says_no_capacity(text)
    failure = failure_seen(AppSeen(condition=AppCondition.FAILED, detail=text))
    assert failure is not None
    assert failure.reason is EndReason.PROVISIONING_FAILED


def test_an_image_whose_name_speaks_of_quota_is_an_image_that_cannot_be_pulled():
    failure = failure_seen(AppSeen(condition=AppCondition.FAILED, detail="image acme.azurecr.io/quota:1 not found"))

    assert failure is not None
    assert failure.problem.code is ErrorCode.IMAGE_NOT_PULLED


def test_words_of_shortage_are_no_failure_while_there_is_hope():
    assert failure_seen(AppSeen(condition=AppCondition.REPLICA_REFUSED, detail="WorkLoad Profile Full")) is None


def test_where_nothing_was_found_it_is_said_what_to_do_although_a_reason_was_cut_short():
    problem = no_capacity("").problem
    for last in (problem.message, "Azure said: Maximum Allo…"):
        told = nowhere(problem, [("westus3/T4", problem.message), ("westus3/A100", last)]).message
        assert told.endswith("Try again later.")
        assert told.count("Try again later.") == 2
