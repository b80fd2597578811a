"""Usage, bill and activity of a project as the control plane tells of them; what they say is up to the test."""

from __future__ import annotations

from dataclasses import dataclass, field

from fake_answers import Answer, Call


@dataclass
class FakeUsage:
    lines: list[dict[str, object]] = field(default_factory=list)
    totals: dict[str, object] = field(
        default_factory=lambda: {"seconds": 0, "estimated": False, "sessions": 0, "unpricedSeconds": 0}
    )
    csv: str = "start,seconds\r\n"
    reconciliation: dict[str, object] = field(default_factory=dict)
    activity: list[dict[str, object]] = field(default_factory=list)
    verification: dict[str, object] = field(default_factory=dict)

    def read(self, call: Call) -> Answer:
        asked = {name: values[0] for name, values in call.query.items()}
        if asked.get("format") == "csv":
            return 200, self.csv, {"Content-Type": "text/csv; charset=utf-8"}
        answer: dict[str, object] = {
            "from": asked.get("from", "2026-11-01"),
            "to": asked.get("to", "2026-11-21"),
            "interval": asked.get("interval", "day"),
            "groupBy": [name for name in asked.get("groupBy", "").split(",") if name],
            "currency": "USD",
            "value": self.lines,
            "totals": self.totals,
        }
        return 200, answer, {}
