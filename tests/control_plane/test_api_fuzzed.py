"""Requests made from the API's own document, good ones and bad: no failure, no status or answer that it does not name.

A few of each operation here; several thousand over the running host by `make fuzz`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.operations import OPERATIONS
from scripts.fuzz_checks import only_named_statuses
from tests.control_plane.fakes import MemoryTables
from tests.control_plane.over_wsgi import OverWsgi
from tests.control_plane.surroundings import START, Surroundings, request_for

CASES = int(os.environ.get("DEVBOXGPU_API_CASES", "12"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    only_named_statuses,
]
REACHED = {"OpenShell", "GetShell", "ListShells", "GetSession", "ListSessions", "ExplainSession", "GetOperation"}
SENDERS = ["carol", "alice", "olga", None]
"""The administrator of `demo`, who has a Dev Box there, a developer, the operator, and nobody."""


@pytest.fixture(scope="module")
def over_wsgi() -> Iterator[OverWsgi]:
    app = OverWsgi(Surroundings(lambda: START, MemoryTables()))
    on = {"serverlessGpuSessionsMode": "AutoDeploy", "maxConcurrentSessionsPerProject": 4}
    operation, request = request_for(
        "olga", "ReplaceSettings", {"serverlessGpuSessionsSettings": on}, headers={"if-match": "*"}
    )
    assert app.answer(operation, request).status_code == 201
    app.known = {"project": "demo", "user": "me", "shell": "shell-one"}
    for user in ("alice", "carol"):
        opened = app.answer(*request_for(user, "OpenShell", {}, shell="shell-one"))
        assert opened.status_code == 201
        app.known["session"] = json.loads(opened.get_body())["session"]
    app.known["operation"] = f"open-{app.known['session']}"
    yield app
    app.close()


@pytest.mark.parametrize("name", [operation.name for operation in OPERATIONS])
def test_requests_made_from_the_document_get_answers_that_it_names(over_wsgi, name):
    schema = schemathesis.openapi.from_wsgi("/api/openapi.json", over_wsgi)
    operation = schema.find_operation_by_id(name)

    @settings(
        max_examples=CASES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(
        case=operation.as_strategy(),
        sender=st.sampled_from(SENDERS),
        stray=st.sampled_from([None, "project", "user", "shell", "session"]),
    )
    def fuzz(case: schemathesis.Case, sender: str | None, stray: str | None) -> None:
        for part, known in over_wsgi.known.items():
            if part in case.path_parameters and part != stray:
                case.path_parameters[part] = known
        if sender is not None:
            case.headers["Authorization"] = f"Bearer {sender}"
        case.validate_response(case.call(), checks=CHECKS)

    over_wsgi.statuses.clear()
    fuzz()
    if name in REACHED:
        assert over_wsgi.statuses[name] & {200, 201}, "fuzzing that only ever meets refusals proves little"
