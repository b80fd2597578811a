"""What many operations have alike in the OpenAPI document: headers, and the refusals that they may answer."""

from __future__ import annotations

from typing import Any

from api.operations import Operation
from shared.domain.access import Who

REFUSALS = {
    400: "The request is not one",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not there, or not the caller's to see",
    409: "Not possible as things stand",
    412: "Changed since it was read",
    413: "Too large",
    428: "If-Match is required",
    429: "Too many requests",
    503: "A service that is needed did not answer",
}
FAILED = "Failed"
COME_BACK = frozenset({409, 429, 503})
ANSWER_HEADERS = {
    "x-ms-request-id": "This request's own id, for reports and logs.",
    "x-ms-error-code": "The code of the error, as in the body.",
    "ETag": "The version of what is answered.",
    "Operation-Location": "Where the operation is followed.",
    "Retry-After": "Seconds after which to ask again.",
}
REQUEST_HEADERS = {
    "x-ms-client-request-id": "An id of the caller's own, which the answer repeats.",
    "traceparent": "The trace that this request is part of (W3C Trace Context).",
    "If-Match": "The ETag that was read, or *.",
    "If-None-Match": "The ETag that is known.",
}
CONDITIONAL_WRITES = frozenset({"ReplaceSettings", "UpdateSettings"})
WITH_ETAG = frozenset({"OpenShell", "GetShell", "GetSettings", *CONDITIONAL_WRITES})
FOLLOWED = frozenset({("OpenShell", 200), ("OpenShell", 201), ("CloseShell", 202), ("StopSession", 202)})


def shared_components(error: dict[str, Any]) -> dict[str, Any]:
    """Return the document's components for headers and refusals; `error` is the schema of an error answer."""
    return {
        "headers": {name: _header(name, text) for name, text in ANSWER_HEADERS.items()},
        "parameters": {
            name: {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}
            for name, text in REQUEST_HEADERS.items()
        },
        "responses": {_named(status): _refusal(status, error) for status in (*REFUSALS, None)},
    }


def _header(name: str, text: str) -> dict[str, Any]:
    return {"description": text, "schema": {"type": "integer" if name == "Retry-After" else "string"}}


def _named(status: int | None) -> str:
    return FAILED if status is None else f"Refused{status}"


def _refusal(status: int | None, error: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": FAILED if status is None else REFUSALS[status],
        "headers": _headers("x-ms-request-id", "x-ms-error-code", *(["Retry-After"] if status in COME_BACK else [])),
        "content": {"application/json": {"schema": error}},
    }


def refusals(operation: Operation) -> dict[str, Any]:
    """Return the refusals that an operation may answer, by status; `default` is a failure of the service's own."""
    found = {400}
    if operation.who is not Who.ANYONE:
        found |= {401, 403, 404, 409, 429, 503}
    if operation.body is not None:
        found.add(413)
    if operation.name in CONDITIONAL_WRITES:
        found |= {412, 428}
    told = {str(status): {"$ref": f"#/components/responses/{_named(status)}"} for status in sorted(found)}
    return {**told, "default": {"$ref": f"#/components/responses/{_named(None)}"}}


def answer_headers(operation: Operation, status: int) -> dict[str, Any]:
    """Return the headers of an operation's good answer."""
    names = ["x-ms-request-id"]
    if operation.name in WITH_ETAG and status != 204:
        names.append("ETag")
    if (operation.name, status) in FOLLOWED:
        names += ["Operation-Location", "Retry-After"]
    if operation.name == "GetOperation":
        names.append("Retry-After")
    return _headers(*names)


def request_headers(operation: Operation) -> list[dict[str, Any]]:
    """Return the headers that an operation reads, besides the signing in."""
    if not operation.versioned:
        return []
    names = ["x-ms-client-request-id", "traceparent"]
    if operation.name in CONDITIONAL_WRITES:
        names.append("If-Match")
    if 304 in operation.answers:
        names.append("If-None-Match")
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
