"""What the fake control plane is asked, and how its refusals look."""

from __future__ import annotations

from dataclasses import dataclass

Answer = tuple[int, dict[str, object] | str | None, dict[str, str]]


@dataclass
class Call:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: dict[str, object] | None


def error(status: int, code: str, message: str, **more: object) -> Answer:
    """`more`: target, details."""
    headers = {"x-ms-error-code": code, "x-ms-request-id": "req-7"}
    return status, {"error": {"code": code, "message": message, **more}}, headers
