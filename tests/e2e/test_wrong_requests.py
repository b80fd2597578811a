"""Wrong use of the API over HTTP: each answer has the right status and code, says what to do, and changes nothing."""

from __future__ import annotations

import json
import re

import pytest

from tests.e2e.people import API_VERSION, new_shell_id

SHELL = "users/me/shells/shell-of-wrong-use"


@pytest.mark.parametrize(
    ("method", "path", "target"),
    [
        ("PUT", "users/me/shells/short", "shell"),
        ("PUT", "users/me/shells/Upper-Case-Shell", "shell"),
        ("PUT", "users/me/shells/9-begins-with-a-digit", "shell"),
        ("PUT", "users/me/shells/with%2Fslash-in-it", None),
        ("PUT", "users/me/shells/dots-..-and-more", "shell"),
        ("PUT", f"users/me/shells/{'x' * 65}", "shell"),
        ("PUT", "users/alice@demo.example/shells/shell-of-somebody", "user"),
        ("GET", "sessions/not-a-session", "session"),
        ("POST", "sessions/%27%20or%20PartitionKey%20ne%20%27/stop", "session"),
    ],
)
def test_an_id_that_cannot_be_one_is_refused_by_name(stack, dev, method, path, target):
    answer = dev.call(method, path, {})
    if target is None:
        assert answer.status in (400, 404)
        return
    assert (answer.status, answer.error_code) == (400, "InvalidParameter")
    assert answer.json["error"]["target"] == target


@pytest.mark.parametrize("project", ["x", "no_underscores", "a" * 64])
def test_a_project_that_cannot_be_one_is_refused_by_name(stack, project):
    answer = stack.person("alice", project).call("GET", "gpuSettings")
    assert (answer.status, answer.error_code) == (400, "InvalidParameter")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", "not JSON"),
        (b"[]", "Expected `object`"),
        (b"\xff\xfe", "not"),
        (b'{"gpuType": "T4"} {}', "not JSON"),
        (b'{"gpuType": "H100"}', "gpuType"),
        (b'{"gpuType": 4}', "gpuType"),
        (b'{"gpu": "T4"}', "gpu"),
        (b'{"region": "West US 3"}', "region"),
        (b'{"labels": {"1bad": "x"}}', "labels"),
        (b'{"origin": {"host": "x"}}', "host"),
        (b'{"sessionName": "line\\nbreak"}', "sessionName"),
        (b'{"session": "not-a-session"}', "session"),
        (b'{"wait": "yes"}', "wait"),
        (b'{"waitTimeoutSeconds": 0}', "waitTimeoutSeconds"),
        (b'{"waitTimeoutSeconds": 86401}', "waitTimeoutSeconds"),
        (b'{"waitTimeoutSeconds": -1}', "waitTimeoutSeconds"),
        (b'{"image": ""}', "image"),
    ],
)
def test_a_body_that_is_not_valid_is_refused_and_opens_nothing(stack, dev, body, told):
    answer = dev.call("PUT", SHELL, body)
    assert (answer.status, answer.error_code) == (400, "InvalidRequest")
    assert told in answer.json["error"]["message"]
    assert dev.call("GET", SHELL).status == 404


def test_a_body_that_is_too_large_is_refused(stack, dev):
    answer = dev.call("PUT", SHELL, json.dumps({"sessionName": "x" * 20_000}).encode())
    assert (answer.status, answer.error_code) == (413, "RequestBodyTooLarge")


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("PUT", SHELL, {"force": "true"}),
        ("GET", "sessions", {"$filter": "1 eq 1"}),
        ("GET", "gpuSettings", {"State": "Running"}),
        ("GET", "gpuSettings", {"dryRun": "true"}),
        ("PUT", "gpuSettings", {"view": "effective"}),
        ("GET", "offers", {"gpuType": "T4"}),
        ("GET", "", {"view": "effective"}),
    ],
)
def test_a_query_parameter_that_does_not_exist_is_refused_by_name(stack, dev, method, path, query):
    answer = dev.call(method, path, {} if method == "PUT" else None, query=query)
    assert (answer.status, answer.error_code) == (400, "UnknownParameter")
    assert answer.json["error"]["target"] in query


@pytest.mark.parametrize(
    "query", [{"state": "Sleeping"}, {"user": "alice"}, {"maxpagesize": "0"}, {"maxpagesize": "x"}]
)
def test_a_filter_that_cannot_be_meant_is_refused(stack, query):
    answer = stack.person("alice").call("GET", "sessions", query=query)
    assert (answer.status, answer.error_code) == (400, "InvalidParameter")
    assert answer.json["error"]["target"] in query


def test_the_api_version_is_asked_for_and_checked(stack, dev):
    missing = dev.call("PUT", SHELL, {}, version=None)
    unknown = dev.call("PUT", SHELL, {}, version="2020-01-01")
    assert (missing.status, missing.error_code) == (400, "MissingApiVersionParameter")
    assert (unknown.status, unknown.error_code) == (400, "UnsupportedApiVersionValue")
    assert API_VERSION in unknown.json["error"]["message"]


def test_a_shell_id_can_be_sent_again_with_the_same_wish_but_not_with_another(stack, dev):
    shell = dev.open(labels={"team": "vision"})
    again = dev.call("PUT", shell.path, {"labels": {"team": "vision"}})
    other = dev.call("PUT", shell.path, {"labels": {"team": "audio"}})

    assert (again.status, again.json["session"]) == (200, shell.session)
    assert (other.status, other.error_code) == (409, "ShellExists")
    shell.until_state("Running")
    assert len(stack.truth_of(shell.app)) == 1

    assert shell.close().status == 202
    assert shell.close().status in (202, 204)
    shell.ended("ShellsClosed")
    assert shell.close().status == 204
    after = dev.call("PUT", shell.path, {"labels": {"team": "vision"}})
    assert (after.status, after.json["state"]) == (200, "Ended")
    assert shell.connect().error_code == "ShellEnded"


def test_a_shell_that_never_was_is_closed_with_204_and_not_found_otherwise(stack, dev):
    path = f"users/me/shells/{new_shell_id()}"
    assert dev.call("DELETE", path).status == 204
    for method, deeper in (("GET", ""), ("POST", "/connect"), ("POST", "/renewLease")):
        answer = dev.call(method, path + deeper, {} if method == "POST" else None)
        assert (answer.status, answer.error_code) == (404, "NotFound")


@pytest.mark.parametrize(
    ("wish", "code", "target"),
    [
        ({"gpuType": "A100"}, "GpuTypeNotAllowed", "gpuType"),
        ({"region": "northeurope"}, "RegionNotAllowed", "region"),
        ({"image": "evil.example/miner:latest"}, "ImageNotAllowed", "image"),
    ],
)
def test_a_wish_that_the_project_does_not_allow_is_refused_at_once(stack, dev, wish, code, target):
    answer = dev.call("PUT", f"users/me/shells/{new_shell_id()}", wish)
    assert (answer.status, answer.error_code) == (403, code)
    assert answer.json["error"]["target"] == target


def test_no_answer_hands_out_the_engines_management_urls_or_keys(stack, dev):
    shell = dev.open()
    shell.until_state("Running")
    answers = [
        dev.call("PUT", shell.path, {}),
        dev.call("GET", shell.path),
        dev.call("GET", "users/me/shells"),
        dev.call("GET", "sessions"),
        dev.call("GET", f"operations/open-{shell.session}"),
        shell.stop(),
        dev.call("GET", f"operations/stop-{shell.session}"),
    ]
    for answer in answers:
        everything = answer.text + json.dumps(dict(answer.headers))
        assert answer.headers["x-ms-request-id"]
        assert not re.search(r"durabletask|webhooks|[?&]code=|taskHub|statusQueryGetUri|terminatePostUri", everything)
