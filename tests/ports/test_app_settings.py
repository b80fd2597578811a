"""The app's own settings: every fault named at once, and the sample is what the code reads."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from shared.ports.settings import BadSettings, parse

SAMPLE = json.loads(Path("local.settings.sample.json").read_text())["Values"]


def test_the_sample_is_accepted_as_it_is():
    read = parse(SAMPLE)

    assert read.lease == timedelta(seconds=150)
    assert list(read.environments) == ["westus3"]
    assert read.tables_endpoint is None


def test_the_sample_names_every_setting_that_the_code_reads_and_no_other():
    code = Path("shared/ports/settings.py").read_text()

    read = set(re.findall(r'"(DEVBOXGPU_[A-Z_]+|AZURE_CLIENT_ID)"', code))
    assert read == {name for name in SAMPLE if name.startswith(("DEVBOXGPU_", "AZURE_"))}


def test_dev_center_is_asked_where_its_group_is_named_and_beside_the_container_apps_unless_said_otherwise():
    assert parse(SAMPLE).dev_center_group is None
    assert parse(SAMPLE).dev_center_arm_endpoint == parse(SAMPLE).arm_endpoint

    read = parse({**SAMPLE, "DEVBOXGPU_DEV_CENTER_GROUP": "dc", "DEVBOXGPU_DEV_CENTER_ARM_ENDPOINT": "https://other"})

    assert (read.dev_center_group, read.dev_center_arm_endpoint) == ("dc", "https://other")


def test_all_faults_are_named_together_with_what_is_wanted():
    wrong = {**SAMPLE, "DEVBOXGPU_TENANT_IDS": "", "DEVBOXGPU_LEASE_SECONDS": "soon", "DEVBOXGPU_ENVIRONMENTS": "[1]"}

    with pytest.raises(BadSettings) as found:
        parse(wrong)

    text = str(found.value)
    assert "DEVBOXGPU_TENANT_IDS is not set: the tenant ids" in text
    assert "DEVBOXGPU_LEASE_SECONDS must be a number from 1 to 3600; it is 'soon'" in text
    assert "DEVBOXGPU_ENVIRONMENTS is not JSON of region to environment id" in text


@pytest.mark.parametrize("value", ["0", "-1", "1e9", "nan"])
def test_a_number_out_of_bounds_is_refused(value):
    with pytest.raises(BadSettings, match="DEVBOXGPU_RENEW_SECONDS must be a number"):
        parse({**SAMPLE, "DEVBOXGPU_RENEW_SECONDS": value})


GROUP = "9a000000-0000-4000-8000-000000000001"


def test_groups_take_the_place_of_dev_center():
    groups = json.dumps({"Demo": {"members": GROUP.upper(), "administrators": GROUP}})
    read = parse({**SAMPLE, "DEVBOXGPU_DEV_CENTER_ENDPOINT": "", "DEVBOXGPU_ENTITLEMENT_GROUPS": groups})

    assert read.dev_center_endpoint is None
    assert (read.entitlement_groups["demo"].members, read.entitlement_groups["demo"].administrators) == (GROUP, GROUP)


def test_tenants_are_compared_as_tokens_tell_them():
    told = {**SAMPLE, "DEVBOXGPU_TENANT_IDS": " AAAA0000-0000-0000-0000-00000000000A, b ,"}

    assert parse(told).tenant_ids == {"aaaa0000-0000-0000-0000-00000000000a", "b"}


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"DEVBOXGPU_DEV_CENTER_ENDPOINT": ""}, "DEVBOXGPU_DEV_CENTER_ENDPOINT is not set"),
        ({"DEVBOXGPU_DEV_CENTER_ENDPOINT": "", "DEVBOXGPU_ENTITLEMENT_GROUPS": "{}"}, "ENDPOINT is not set"),
        ({"DEVBOXGPU_ENTITLEMENT_GROUPS": "[]"}, "is not JSON of project to groups"),
        ({"DEVBOXGPU_ENTITLEMENT_GROUPS": '{"demo": {"members": "gpu-users"}}'}, "'demo' must be a project id"),
        ({"DEVBOXGPU_ENTITLEMENT_GROUPS": '{"a_b": {"members": "' + GROUP + '"}}'}, "'a_b' must be a project id"),
        ({"DEVBOXGPU_ENTITLEMENT_GROUPS": '{"demo": {"owners": "x"}}'}, "is not JSON of project to groups"),
        ({"DEVBOXGPU_TOKEN_JWKS_URL": "http://login.example/keys"}, "must begin with https://"),
        ({"DEVBOXGPU_TOKEN_JWKS_URL": "file:///etc/keys"}, "must begin with https://"),
        ({"DEVBOXGPU_TRUST_PLATFORM_SIGN_IN": "yes"}, "must be true or false"),
    ],
)
def test_what_would_weaken_or_confuse_who_is_let_in_is_a_fault(changed, fault):
    with pytest.raises(BadSettings, match=re.escape(fault)):
        parse({**SAMPLE, **changed})


@pytest.mark.parametrize(
    ("wish", "platform", "trusted"),
    [
        ("true", "True", True),
        ("true", "False", False),
        ("true", "", False),
        ("true", "1", False),
        ("false", "True", False),
        ("", "True", False),
    ],
)
def test_the_platforms_sign_in_counts_only_where_the_platform_says_that_it_is_on(wish, platform, trusted):
    told = {**SAMPLE, "DEVBOXGPU_TRUST_PLATFORM_SIGN_IN": wish, "WEBSITE_AUTH_ENABLED": platform}

    assert parse(told).platform_signs_in is trusted


def test_no_setting_turns_authentication_off():
    """Whatever the environment says besides, a validator of signed tokens is what the app is handed."""
    known = set(SAMPLE) | set(re.findall(r'"([A-Z_]{6,})"', Path("shared/ports/settings.py").read_text()))
    assert not [name for name in known if re.search(r"NO_AUTH|AUTH_OFF|DISABLE|ANONYMOUS|INSECURE|SKIP|BYPASS", name)]
    world = Path("shared/ports/world.py").read_text()
    assert len(re.findall(r"\btokens=", world)) == 1
    assert "tokens=EntraTokens(" in world
