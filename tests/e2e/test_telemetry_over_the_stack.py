"""The trace of a command, as the running host exports it: through HTTP, orchestration and steps."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.people import new_shell_id
from tests.e2e.waiting import until

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_a_commands_trace_is_exported_from_the_request_to_the_last_step(stack, somebody):
    def spans() -> dict[str, dict[str, Any]] | None:
        lines = (stack.state / "logs" / "host.log").read_text().splitlines()
        told = [json.loads(line[line.index("{") :]) for line in lines if f'"trace_id": "0x{TRACE}"' in line]
        seen = {span["name"]: span for span in told}
        return seen if {"settle_session", "drive_session"} <= set(seen) else None

    with stack.under(DEVBOXGPU_TELEMETRY="console"):
        dev = somebody()
        path = f"users/me/shells/{new_shell_id()}"
        dev.persistently("PUT", path, {}, headers={"traceparent": f"00-{TRACE}-{SPAN}-01"})
        dev.persistently("DELETE", path)
        found = until(spans, "the orchestration and its last step")

    (asked,) = [span for name, span in found.items() if name.startswith("PUT /api/projects/")]
    driver = found["drive_session"]
    assert asked["parent_id"] == f"0x{SPAN}"
    assert driver["parent_id"] == asked["context"]["span_id"]
    assert found["settle_session"]["parent_id"] == driver["context"]["span_id"]
    assert not [span for span in found.values() if span["status"]["status_code"] == "ERROR"]
