"""Who is let in, who sees what, who may do what: over HTTP, with signed tokens and the directory of Dev Boxes."""

from __future__ import annotations

import pytest

from localcloud.identity import people
from tests.e2e.http_calls import send
from tests.e2e.people import Person, new_shell_id

SHELL = "users/me/shells/shell-of-an-impostor"
UNKNOWN_SESSION = "a" * 26


@pytest.mark.parametrize("kind", ["expired", "wrong-audience", "wrong-issuer", "forged", "none", "not-yet"])
def test_a_token_that_proves_nothing_is_refused_everywhere(stack, kind):
    impostor = stack.bearer_of(kind, "olga")
    for method, path in (("PUT", SHELL), ("GET", "sessions"), ("PUT", "gpuSettings"), ("GET", "offers")):
        answer = impostor.call(method, path, {} if method == "PUT" else None, headers={"If-Match": "*"})
        assert (answer.status, answer.error_code) == (401, "Unauthenticated")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert impostor.token not in answer.text


@pytest.mark.parametrize("authorization", [None, "Basic YTpi", "Bearer", "Bearer not.a.token", "Bearer x"])
def test_without_a_token_nobody_is_let_in(stack, authorization):
    stranger = Person("nobody", stack.endpoints["api"], None)
    headers = {"Authorization": authorization} if authorization else {}
    answer = stranger.call("PUT", SHELL, {}, headers=headers)
    assert (answer.status, answer.error_code) == (401, "Unauthenticated")


def test_what_is_anothers_looks_exactly_like_what_does_not_exist(stack, somebody):
    owner, other = somebody(), somebody()
    shell = owner.opened()
    owner_id = shell.view()["user"]
    theirs = {
        ("GET", f"sessions/{shell.session}"): ("GET", f"sessions/{UNKNOWN_SESSION}"),
        ("POST", f"sessions/{shell.session}/stop"): ("POST", f"sessions/{UNKNOWN_SESSION}/stop"),
        ("GET", f"operations/open-{shell.session}"): ("GET", f"operations/open-{UNKNOWN_SESSION}"),
        ("GET", f"users/{owner_id}/shells/{shell.id}"): ("GET", f"users/{owner_id}/shells/never-there"),
        ("GET", f"users/{owner_id}/shells"): ("GET", f"users/{people.object_id('nobody')}/shells"),
        ("DELETE", f"users/{owner_id}/shells/{shell.id}"): ("DELETE", f"users/{owner_id}/shells/never-there"),
        ("POST", f"users/{owner_id}/shells/{shell.id}/connect"): ("POST", "users/me/shells/never-there/connect"),
        ("PUT", f"users/{owner_id}/shells/planted-by-another"): ("GET", f"users/{owner_id}/shells/never-there"),
    }
    for (method, path), (like_method, like_path) in theirs.items():
        seen = other.call(method, path, {} if method in ("PUT", "POST") else None)
        absent = other.call(like_method, like_path, {} if like_method == "POST" else None)
        assert seen.status == 404, (method, path, seen.text)
        assert absent.status == 404
        assert shell.session not in seen.text
    assert other.sessions() == []
    # The same shell id under another user is another shell.
    twin = other.open(shell.id)
    assert twin.session != shell.session
    assert shell.view()["state"] == "Running"
    shell.close()
    twin.close()


def test_an_administrator_sees_and_stops_but_never_gets_into_anothers_shell(stack, dev):
    shell = dev.opened()
    carol, path = stack.person("carol"), f"users/{shell.view()['user']}/shells/{shell.id}"

    assert carol.call("GET", path).json["session"] == shell.session
    assert shell.session in [session["id"] for session in carol.sessions(state="Running")]
    for deeper in ("connect", "renewLease"):
        answer = carol.call("POST", f"{path}/{deeper}", {})
        assert answer.status == 404
        assert "token" not in answer.text
    assert carol.call("DELETE", path).status == 202
    shell.ended("ShellsClosed")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/admin/functions"),
        ("GET", "/admin/host/keys"),
        ("POST", "/admin/functions/keep_house"),
        ("GET", "/runtime/webhooks/durabletask/instances"),
        ("POST", "/runtime/webhooks/EventGrid?functionName=on_resource_event"),
    ],
)
def test_an_operators_token_opens_none_of_the_hosts_own_routes(stack, method, path):
    origin = stack.endpoints["api"].removesuffix("/api")
    headers = {"Authorization": f"Bearer {stack.person('olga').token}", "aeg-event-type": "Notification"}

    answer = send(method, f"{origin}{path}", [] if method == "POST" else None, headers)

    assert answer.status == 401, answer.text


@pytest.mark.parametrize(
    ("who", "project", "status", "code"),
    [
        ("dave", "demo", 403, "NotEntitled"),
        ("erin", "demo", 403, "NotEntitled"),
        ("olga", "demo", 403, "NotEntitled"),
        ("erin", "other", 403, "GpuDisabled"),
        ("alice", "other", 403, "NotEntitled"),
    ],
)
def test_who_may_not_open_a_shell_is_told_why_at_once(stack, who, project, status, code):
    answer = stack.person(who, project).call("PUT", f"users/me/shells/{new_shell_id()}", {})
    assert (answer.status, answer.error_code) == (status, code)


def test_a_directory_that_does_not_answer_is_told_as_such_and_lets_nobody_in(stack, somebody):
    send("PUT", f"{stack.endpoints['devCenter']}/_faults", {"status": 503, "count": None})
    answer = somebody().call("PUT", f"users/me/shells/{new_shell_id()}", {})
    assert (answer.status, answer.error_code) == (503, "ServiceUnavailable")
    assert answer.headers["Retry-After"]


def test_settings_are_read_by_members_and_written_by_administrators_with_the_right_etag(stack, dev):
    path, carol = "gpuSettings", stack.person("carol")
    assert stack.person("dave").call("GET", path).status == 404
    assert dev.call("PUT", path, {}, headers={"If-Match": "*"}).error_code == "Forbidden"
    assert stack.person("erin").call("PUT", path, {}, headers={"If-Match": "*"}).status == 404

    read = carol.call("GET", path)
    etag = read.headers["ETag"]
    unchanged = carol.call("GET", path, headers={"If-None-Match": etag})
    assert (unchanged.status, unchanged.text) == (304, "")
    patch = {"idle": {"timeoutMinutes": 45}}
    assert carol.call("PATCH", path, patch).status == 428
    assert carol.call("PATCH", path, patch, headers={"If-Match": '"old"'}).error_code == "ConditionNotMet"
    written = carol.call("PATCH", path, patch, headers={"If-Match": etag})
    assert written.status == 200
    assert written.json["idle"]["timeoutMinutes"] == 45
    assert written.json["maxConcurrentSessionsPerUser"] == read.json["maxConcurrentSessionsPerUser"]
    assert carol.call("PATCH", path, patch, headers={"If-Match": etag}).status == 412
    assert carol.call("PUT", path, read.json, headers={"If-None-Match": "*"}).status == 412

    wrong = carol.call("PUT", path, {"maxConcurrentSessionsPerUser": 0}, headers={"If-Match": "*"})
    assert (wrong.status, wrong.error_code) == (400, "InvalidParameter")
    unknown = carol.call("PATCH", path, {"budgets": {}}, headers={"If-Match": "*"})
    assert (unknown.status, unknown.error_code) == (400, "InvalidParameter")
    assert "budgets" in unknown.text
    assert carol.call("GET", path).headers["ETag"] == written.headers["ETag"]
