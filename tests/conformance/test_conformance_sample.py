"""A fixed sample of what was recorded of the vendor's host; `make conformance` plays all of it."""

import pytest

from localcloud.conformance.instruments import Instrument, Kit, examine

SAMPLE = {
    Instrument.NO_KEYS: [
        "http_*", "host_*", "cloudevent_*", "eventgrid_*", "admin_*", "timer_run_by_admin*",
        "durable_chain", "durable_ids", "durable_replaying", "durable_custom_status", "durable_never_yielded",
        "errors_*caught", "errors_unknown_orchestrator", "events_three_early", "generations_three",
        "client_raw_binding", "client_start_running_id", "client_status_flags", "control_wrong_instances",
        "entities_failing_operation", "traps_raises_after_secret_like_input", "input_client_absent",
    ],
    Instrument.KEYS: ["auth_*", "host_*", "webhook_status_codes", "webhook_start", "client_check_status_response"],
    # Short programs that hold nearly every kind of statement between them.
    Instrument.PROGRAMS: [
        "p0031", "p0035", "p0045", "p0058", "p0098", "p0178", "p0184", "p0246", "p0252", "p0257", "p0262", "p0270",
        "p0281", "p0286", "p0295", "p0297", "p0315", "p0321", "p0330", "p0339", "p0342", "p0348", "p0354", "p0358",
        "p0367", "p0175", "p0370", "p0293", "p0076",
        "p0361", "p0364", "p0373", "p0375", "p0378", "p0389", "p0391", "p0394", "p0410", "p0412",
    ],
}  # fmt: skip


@pytest.mark.parametrize("instrument", SAMPLE)
def test_a_sample_is_answered_as_the_vendors_host_did(kit_place, tmp_path, instrument):
    kit = Kit(place=kit_place, instrument=instrument)

    verdict = examine(kit, work=tmp_path, only=SAMPLE[instrument])

    assert verdict.is_good, verdict.text
    assert verdict.same >= len(SAMPLE[instrument])
