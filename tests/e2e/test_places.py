"""Where a session's GPU is had: another region, another type, what Azure's quota leaves, a network, a private image."""

from __future__ import annotations

import pytest

from localcloud.stack.app_settings import REGIONS
from tests.e2e.exec_channel import in_container
from tests.e2e.people import Shell, new_shell_id
from tests.e2e.policies import PULLER, places
from tests.e2e.running_stack import RunningStack

FIRST, SECOND, THIRD = REGIONS
T4_THEN_A100 = {"gpuTypes": [{"type": "T4"}, {"type": "A100", "fallback": True}], "regions": [{"name": FIRST}]}
PRIVATE_IMAGE = "contoso.azurecr.io/vision/training:2026.11"
NO_GPU = {"value": True, "count": 1}


def opened_there(person, region) -> None:
    """Have a GPU in this region, so that it is remembered as one that has some."""
    shell = person.opened(region=region)
    shell.close()
    shell.ended("ShellsClosed")


def short_regions(person) -> list[str]:
    (offer,) = person.call("GET", "offers").json["value"]
    return [region["name"] for region in offer["regions"] if region.get("shortage")]


@pytest.fixture(autouse=True)
def trusted(stack, somebody):
    """Let every region have had a GPU just now, whatever earlier tests have met there."""
    person = somebody()
    for region in short_regions(person):
        opened_there(person, region)


def tried(view) -> list[tuple[str, str, str]]:
    return [(one["region"], one["gpuType"], one["code"]) for one in view.get("tries", [])]


def end(shell: Shell) -> None:
    shell.close()
    shell.ended("ShellsClosed")


def test_a_region_without_a_gpu_is_left_for_the_next_and_tried_last_by_others(stack, dev, somebody):
    stack.azure_faults(op_expired=NO_GPU)

    shell = dev.opened()

    view, operation = shell.view(), shell.operation()
    assert (view["region"], view["attempt"]) == (SECOND, 2)
    assert operation["status"] == "Succeeded"
    assert tried(view) == tried(operation) == [(FIRST, "T4", "NoCapacity")]
    assert [entry["region"] for entry in stack.truth_of(shell.app)] == [FIRST, SECOND]
    assert FIRST in short_regions(dev)
    other = somebody().opened()
    assert (other.view()["region"], other.view()["attempt"]) == (SECOND, 1)
    end(other)
    end(shell)
    opened_there(dev, FIRST)
    assert FIRST not in short_regions(dev)


def test_where_no_region_has_a_gpu_the_error_lists_every_try(stack, dev):
    stack.azure_faults(op_expired=True)

    shell = dev.open()

    view = shell.ended("NoCapacity")
    everywhere = [(region, "T4", "NoCapacity") for region in REGIONS]
    assert tried(view) == everywhere
    error = shell.operation()["error"]
    assert error["code"] == "NoCapacity"
    assert [one["target"] for one in error["details"]] == [f"{region}/T4" for region in REGIONS]
    assert all(f"{region}/T4" in error["message"] for region in REGIONS)
    assert len(stack.truth_of(shell.app)) == 3


def test_a_type_that_cannot_be_had_is_followed_by_the_one_that_the_project_falls_back_to(stack, dev):
    stack.settings(T4_THEN_A100)
    stack.azure_faults(op_expired=NO_GPU)

    shell = dev.opened()

    view = shell.view()
    assert (view["gpuType"], tried(view)) == ("A100", [(FIRST, "T4", "NoCapacity")])
    (ledger,) = stack.rows("q", "q.")
    assert ledger["by_type"] == '{"A100":1}'
    end(shell)


def test_who_names_a_type_gets_that_or_none(stack, dev):
    stack.settings(T4_THEN_A100)
    stack.azure_faults(op_expired=NO_GPU)

    shell = dev.open(gpuType="T4")

    assert tried(shell.ended("NoCapacity")) == [(FIRST, "T4", "NoCapacity")]


def restarted(stack: RunningStack) -> None:
    """What is known of environments is believed for 30 seconds: a host that has just begun knows nothing yet."""
    stack.cloud.restart("host")


def quota_known(person) -> list[int | None]:
    """Return what the app knows of each region's quota, having made it look."""
    opened_there(person, FIRST)
    offer = next(one for one in person.call("GET", "offers").json["value"] if one["gpuType"] == "T4")
    return [region.get("quotaFree") for region in offer["regions"]]


def test_a_network_is_demanded_where_the_project_says_so_and_an_unreadable_quota_refuses_nobody(stack, dev):
    stack.capacity(virtualNetwork={SECOND: True})
    stack.azure_faults(usages_500=True)
    restarted(stack)
    assert quota_known(dev) == [None] * 3

    stack.settings({"requireVirtualNetwork": True})

    shell = dev.opened()
    assert shell.view()["region"] == SECOND
    refused = dev.call("PUT", f"users/me/shells/{new_shell_id()}", {"region": THIRD})
    assert (refused.status, refused.error_code) == (403, "RegionNotAllowed")
    end(shell)


def test_a_quota_that_is_used_up_refuses_or_lets_wait_until_it_is_raised(stack, dev, somebody):
    stack.capacity(quota={f"gpu-{region}": {"T4": 0} for region in REGIONS})
    stack.settings({"gpuTypes": [{"type": "T4"}, {"type": "A100"}]})
    restarted(stack)
    end(dev.opened(gpuType="A100"))

    refused, waiter = dev.open(), somebody().waits()

    assert refused.ended("Refused")["error"]["code"] == "EnvironmentQuotaReached"
    assert "quota" in waiter.operation()["waitReason"]
    stack.capacity(quota={f"gpu-{region}": {"T4": 100} for region in REGIONS})
    restarted(stack)
    view = waiter.until_state("Running")
    assert view["region"] == FIRST
    end(waiter)


def test_a_private_image_runs_and_shows_its_container_nothing_of_who_pulled_it(stack, dev):
    registry = {"server": "contoso.azurecr.io", "repositories": ["vision/*"], "identity": PULLER}
    stack.settings(places(5, images={"registries": [registry]}))

    shell = dev.opened(image=PRIVATE_IMAGE)

    assert shell.view()["image"] == PRIVATE_IMAGE
    with in_container(shell, "env") as channel:
        channel.read_to_the_end()
    shown = channel.printed.decode().lower()
    assert "container_app_name" in shown
    assert not any(word in shown for word in ("identity", "puller", "azurecr", "msi_", "secret"))
    end(shell)
