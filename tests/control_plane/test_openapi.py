"""The OpenAPI document: valid, current where it is committed, and written by the rules of our own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.openapi import document
from api.operations import API_VERSION, OPERATIONS
from scripts.openapi import PLACE, text
from shared.domain.access import Who

DOCUMENT = document()
METHODS = ("get", "put", "post", "patch", "delete")
CAMEL = re.compile(r"[a-z][a-zA-Z0-9]*")
ENTRIES = [
    pytest.param(path, method, entry, id=entry["operationId"])
    for path, methods in DOCUMENT["paths"].items()
    for method, entry in methods.items()
]
NAMES_OF_KEYS = ("Doubt", "ErrorCode")
"""Closed lists that name the keys of an object: OpenAPI has no way to refer to them there."""
SIGNED_IN = {operation.name for operation in OPERATIONS if operation.who is not Who.ANYONE}
VERSIONED = {operation.name for operation in OPERATIONS if operation.versioned}


def walk(node: Any, way: str = "#") -> Iterator[tuple[str, Any]]:
    """Yield every object in the document with the way to it."""
    if isinstance(node, dict):
        yield way, node
        for name, inner in node.items():
            yield from walk(inner, f"{way}/{name}")
    if isinstance(node, list):
        for number, inner in enumerate(node):
            yield from walk(inner, f"{way}/{number}")


def resolved(reference: str) -> Any:
    found: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def at(node: dict[str, Any]) -> dict[str, Any]:
    return resolved(node["$ref"]) if "$ref" in node else node


def test_the_document_is_valid_openapi_3_1():
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert [str(error) for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_the_committed_document_is_the_one_that_the_app_answers():
    assert Path(PLACE).read_text(encoding="utf-8") == text(), "run: make openapi"


def test_every_reference_leads_somewhere():
    references = [node["$ref"] for _, node in walk(DOCUMENT) if isinstance(node.get("$ref"), str)]

    assert references
    for reference in references:
        assert resolved(reference)


def test_every_component_is_used():
    used = {node["$ref"] for _, node in walk(DOCUMENT) if isinstance(node.get("$ref"), str)}
    there = {
        f"#/components/{kind}/{name}"
        for kind, components in DOCUMENT["components"].items()
        if kind != "securitySchemes"
        for name in components
    }

    assert there - used == {f"#/components/schemas/{name}" for name in NAMES_OF_KEYS}


def test_operation_ids_are_one_each_and_verb_and_noun():
    ids = [entry.values[2]["operationId"] for entry in ENTRIES]

    assert len(ids) == len(set(ids))
    assert [name for name in ids if not re.fullmatch(r"(?:[A-Z][a-z]+){2,}", name)] == []


@pytest.mark.parametrize(("path", "method", "entry"), ENTRIES)
def test_an_operation_says_what_it_is_and_who_may_call_it(path, method, entry):
    assert method in METHODS
    assert entry["summary"].endswith(".")
    assert bool(entry["security"]) == (entry["operationId"] in SIGNED_IN)


@pytest.mark.parametrize(("path", "method", "entry"), ENTRIES)
def test_every_parameter_of_the_path_is_declared_and_the_version_is_asked_for(path, method, entry):
    parameters = [at(parameter) for parameter in entry["parameters"]]
    in_path = [one["name"] for one in parameters if one["in"] == "path"]
    versions = [one for one in parameters if one["name"] == "api-version"]

    assert in_path == re.findall(r"{(\w+)}", path)
    assert all(one["required"] for one in parameters if one["in"] == "path")
    assert bool(versions) == (entry["operationId"] in VERSIONED)
    assert all(one["required"] and one["schema"]["enum"] == [API_VERSION] for one in versions)
    names = [one["name"] for one in parameters if one["in"] == "query" and one["name"] != "api-version"]
    assert all("$" not in name and name[0].islower() for name in names)


@pytest.mark.parametrize(("path", "method", "entry"), ENTRIES)
def test_every_refusal_has_the_error_body_and_its_header(path, method, entry):
    refusals = {status: at(told) for status, told in entry["responses"].items() if status == "default" or status >= "4"}

    assert {"400", "default"} <= set(refusals)
    assert ("401" in refusals) == (entry["operationId"] in SIGNED_IN)
    for told in refusals.values():
        assert told["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ErrorAnswer"}
        assert {"x-ms-request-id", "x-ms-error-code"} <= set(told["headers"])


@pytest.mark.parametrize(("path", "method", "entry"), ENTRIES)
def test_every_good_answer_names_its_request_and_a_started_operation_its_monitor(path, method, entry):
    good = {status: told for status, told in entry["responses"].items() if status[0] in "23"}

    assert good
    for status, told in good.items():
        assert "x-ms-request-id" in told["headers"]
        followed = status == "202" or entry["operationId"] == "OpenShell"
        assert ("Operation-Location" in told["headers"]) == followed
        assert ("content" in told) == (status not in ("204", "304"))


@pytest.mark.parametrize(("path", "method", "entry"), ENTRIES)
def test_a_body_is_json_and_what_is_sent_in_a_patch_is_a_merge_patch(path, method, entry):
    if "requestBody" not in entry:
        assert method in ("get", "delete", "post")
        return
    wanted = "application/merge-patch+json" if method == "patch" else "application/json"
    assert list(entry["requestBody"]["content"]) == [wanted]


def test_names_on_the_wire_are_camel_case():
    properties = [name for _, node in walk(DOCUMENT["components"]) for name in _properties(node)]

    assert [name for name in properties if not CAMEL.fullmatch(name)] == []


def _properties(node: dict[str, Any]) -> list[str]:
    inner = node.get("properties")
    return list(inner) if isinstance(inner, dict) and node.get("type") == "object" else []


def test_what_callers_send_refuses_unknown_fields_and_has_bounds():
    for entry in (value.values[2] for value in ENTRIES):
        for content in entry.get("requestBody", {}).get("content", {}).values():
            schema = at(content["schema"])
            if schema.get("properties"):
                assert schema["additionalProperties"] is False, entry["operationId"]
