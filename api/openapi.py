"""The OpenAPI 3.1 document, made by walking the table of operations."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import msgspec

from api.meta import VERSION
from api.openapi_shared import answer_headers, refusals, request_headers, shared_components
from api.operations import API_VERSION, OPERATIONS, Operation
from api.wire import ErrorAnswer
from shared.domain import names
from shared.domain.access import Who

_GUID = "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_PATH_PARTS = {
    "project": {"type": "string", "pattern": "^[A-Za-z0-9-]{3,63}$", "description": names.PROJECT_RULE},
    "user": {"type": "string", "pattern": f"^(me|{_GUID})$", "description": names.USER_RULE},
    "shell": {"type": "string", "minLength": 8, "maxLength": 64, "description": names.SHELL_RULE},
    "session": {"type": "string", "pattern": "^[a-z2-7]{26}$", "description": names.SESSION_RULE},
    "operation": {
        "type": "string",
        "minLength": 1,
        "maxLength": 64,
        "description": "the id that Operation-Location ends with",
    },
}
_REASONS = {
    200: "OK",
    201: "Created",
    202: "Accepted",
    204: "Nothing there",
    304: "Not modified",
}


@cache
def document() -> dict[str, Any]:
    """Return the document. The same table always makes the same document."""
    structs = [kind for kind in _types() if isinstance(kind, type) and issubclass(kind, msgspec.Struct)]
    schemas, components = msgspec.json.schema_components(structs, ref_template="#/components/schemas/{name}")
    refs = dict(zip(structs, schemas, strict=True))
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(f"/{operation.route}", {})[operation.method.lower()] = _operation(operation, refs)
    told = {
        "openapi": "3.1.0",
        "info": {"title": "DevBoxGPU", "version": API_VERSION, "x-software-version": VERSION},
        "servers": [{"url": "/api"}],
        "paths": paths,
        "components": {
            "schemas": components,
            **shared_components(refs[ErrorAnswer]),
            "securitySchemes": {"entra": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(told))
    return plain


def _types() -> list[Any]:
    kinds = [ErrorAnswer, *(operation.body for operation in OPERATIONS)]
    kinds += [kind for operation in OPERATIONS for answer in operation.answers.values() for kind in _either(answer)]
    return list(dict.fromkeys(kind for kind in kinds if kind is not None))


def _operation(operation: Operation, refs: dict[Any, Any]) -> dict[str, Any]:
    parts = [
        {"name": name, "in": "path", "required": True, "schema": _PATH_PARTS[name]}
        for name in re.findall(r"{(\w+)}", operation.route)
    ]
    query: list[dict[str, Any]] = [
        {"name": name, "in": "query", "schema": {"type": "string"}} for name in operation.query
    ]
    if operation.versioned:
        version = {"type": "string", "enum": [API_VERSION]}
        query.insert(0, {"name": "api-version", "in": "query", "required": True, "schema": version})
    told: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "description": f"Who: {operation.who.value}.",
        "parameters": parts + query + request_headers(operation),
        "responses": {
            str(status): {
                **_answer(_REASONS[status], _schema(kind, refs), csv=operation.csv),
                "headers": answer_headers(operation, status),
            }
            for status, kind in operation.answers.items()
        },
        "security": [] if operation.who is Who.ANYONE else [{"entra": []}],
    }
    told["responses"] |= refusals(operation)
    if operation.body is not None:
        media = "application/merge-patch+json" if operation.method == "PATCH" else "application/json"
        schema = refs.get(operation.body, {"type": "object"})
        told["requestBody"] = {"required": operation.body_required, "content": {media: {"schema": schema}}}
    return told


def _either(kind: Any) -> tuple[Any, ...]:
    """Return the kinds of an answer that may be of several."""
    return kind if isinstance(kind, tuple) else (kind,)


def _schema(kind: Any, refs: dict[Any, Any]) -> Any:
    if kind is None:
        return None
    schemas = [refs.get(option, {"type": "object"}) for option in _either(kind)]
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _answer(text: str, schema: Any, *, csv: bool = False) -> dict[str, Any]:
    if schema is None:
        return {"description": text}
    content = {"application/json": {"schema": schema}}
    if csv:
        content["text/csv"] = {"schema": {"type": "string"}}
    return {"description": text, "content": content}
