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
