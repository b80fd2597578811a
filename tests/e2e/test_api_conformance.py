"""The running host against the API's document: it answers the document, and each of its operations, and no others."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.http_calls import send

DOCUMENT = json.loads(Path("docs/openapi.json").read_text(encoding="utf-8"))
PARTS = {"project": "demo", "user": "me", "shell": "shell-none", "session": "a" * 26, "operation": "open-x"}


def test_the_host_answers_the_committed_document(stack, dev):
    answer = send("GET", f"{stack.endpoints['api']}/openapi.json")

    assert answer.json == DOCUMENT


def test_every_operation_of_the_document_is_there_and_nothing_else_is(stack):
    for path, methods in DOCUMENT["paths"].items():
        address = stack.endpoints["api"] + path.format(**PARTS)
        for method in ("get", "put", "post", "patch", "delete"):
            answer = send(method.upper(), f"{address}?api-version=2026-12-01-preview")
            if method not in methods:
                assert (answer.status, answer.text) == (404, ""), f"{method} {path} is there and not in the document"
            elif methods[method]["security"]:
                assert answer.headers["x-ms-error-code"] == "Unauthenticated", f"{method} {path}"
            else:
                assert answer.status == 200
