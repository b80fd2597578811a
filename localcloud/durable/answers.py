"""Answers of the engine's HTTP, in the vendor's forms (functions-host.md 2.2)."""

from collections.abc import Mapping
from typing import Any

from localcloud.durable.texts import to_json
from localcloud.durable.web_messages import WebResponse

_JSON = "application/json; charset=utf-8"

ACCEPTED = WebResponse(status=202)
NOT_FOUND = WebResponse(status=404)
GONE = WebResponse(status=410)


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> WebResponse:
    return WebResponse(
        status=status, headers={"Content-Type": _JSON, **(headers or {})}, body=to_json(value).encode("utf-8")
    )


def message(text: str, status: int) -> WebResponse:
    return json_answer({"Message": text}, status)


def exception(status: int, *, told: str, kind: str, text: str) -> WebResponse:
    """An error that stands for a .NET exception; callers of the SDK read ExceptionMessage."""
    return json_answer({"Message": told, "ExceptionMessage": text, "ExceptionType": kind, "StackTrace": ""}, status)


def invalid_json(text: str) -> WebResponse:
    return exception(400, told="Invalid JSON content", kind="Newtonsoft.Json.JsonReaderException", text=text)
