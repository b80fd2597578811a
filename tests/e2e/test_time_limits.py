"""What never gets ready: each phase of a session's coming up has a limit, after which its app is taken down."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module", autouse=True)
def impatient(running):
    """The limits in seconds instead of minutes: a GPU within 3 s, a start within 1.5, the proof within 0.6."""
    with running.under(DEVBOXGPU_PHASE_LIMIT_SCALE="0.005"):
        yield


@pytest.mark.parametrize(
    ("fault", "value", "reason", "code"),
    [
        ("no_gpu", True, "NoCapacity", "NoCapacity"),
        ("profile_full", True, "NoCapacity", "NoCapacity"),
        ("replica_never", True, "ProvisioningFailed", "ImageNotPulled"),
        ("exec_500_for", 600, "ProvisioningFailed", "ProvisioningTimedOut"),
        ("html_503", {"value": True, "method": "PUT"}, "ProvisioningFailed", "ProvisioningTimedOut"),
    ],
)
def test_a_session_that_does_not_get_ready_in_time_is_taken_down(stack, dev, fault, value, reason, code):
    stack.azure_faults(**{fault: value})

    shell = dev.open()

    view = shell.ended(reason)
    assert view["error"]["code"] == code
    assert "Try again" in view["error"]["message"]
    assert shell.operation()["status"] == "Failed"


def test_a_place_that_says_it_has_no_gpu_is_left_before_its_time_is_over_where_there_is_another(stack, dev):
    stack.settings({"gpuTypes": [{"type": "T4"}, {"type": "A100", "fallback": True}], "regions": [{"name": "westus3"}]})
    stack.capacity(gpus={"westus3": {"T4": 0}})

    shell = dev.opened()

    view = shell.view()
    assert (view["gpuType"], view["attempt"]) == ("A100", 2)
    assert [(one["gpuType"], one["code"]) for one in view["tries"]] == [("T4", "NoCapacity")]
    shell.close()


def test_a_container_that_does_not_start_in_time_is_taken_down(stack, dev):
    stack.capacity(startSeconds=600)
    shell = dev.open()
    view = shell.ended("ProvisioningFailed")
    assert view["error"]["code"] == "ProvisioningTimedOut"
