"""Wrong use of settings, images, extensions and tries over HTTP: refused by name, and nothing is changed by it."""

from __future__ import annotations

import pytest

from localcloud.stack.app_settings import SUBSCRIPTION
from tests.e2e.people import new_shell_id
from tests.e2e.policies import PULLER

DIGEST = f"sha256:{'0' * 64}"
GIVEN = {"server": "contoso.azurecr.io", "repositories": ["vision/training"], "identity": PULLER}
PULLERS = "resourceGroups/x/providers/Microsoft.ManagedIdentity/userAssignedIdentities"


def patched(person, body, **query):
    return person.call("PATCH", "gpuSettings", body, headers={"If-Match": "*"}, query=query)


@pytest.mark.parametrize(
    ("body", "target"),
    [
        ({"surprise": 1}, "surprise"),
        ({"line": {"surprise": True}}, "line.surprise"),
        ({"gpuTypes": [{"type": "H100"}]}, "gpuTypes[0].type"),
        ({"gpuTypes": []}, "gpuTypes"),
        ({"regions": [{"name": "moonbase"}]}, "regions[0].name"),
        ({"shellSharing": "sometimes"}, "shellSharing"),
        ({"line": {"fairness": "bribes"}}, "line.fairness"),
        ({"line": {"maxLength": -1}}, "line.maxLength"),
        ({"idle": {"timeoutMinutes": 0}}, "idle.timeoutMinutes"),
        ({"maxLifetimeMinutes": 1e9}, "maxLifetimeMinutes"),
        ({"extendLimitMinutes": -5}, "extendLimitMinutes"),
        ({"maxConcurrentSessionsPerUser": 0}, "maxConcurrentSessionsPerUser"),
        ({"budget": {"monthlyAmount": "lots"}}, "budget.monthlyAmount"),
        ({"images": {"default": "evil.example/miner:1"}}, "images.default"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_its_place_and_the_settings_stay(stack, body, target):
    carol = stack.person("carol")
    before = carol.reads("gpuSettings")

    answer = patched(carol, body)

    assert (answer.status, answer.error_code) == (400, "InvalidParameter")
    assert target in [one["target"] for one in answer.json["error"]["details"]]
    assert carol.reads("gpuSettings") == before


@pytest.mark.parametrize(
    "server",
    [
        "docker.io",
        "127.0.0.1",
        "[::1]",
        "169.254.169.254",
        "user:secret@contoso.azurecr.io",
        "contoso.azurecr.io:8443",
        "contoso.azurecr.io/../evil",
        "contoso.azurecr.io.evil.example",
        "https://contoso.azurecr.io",
        "CONTOSO.azurecr.io",
        "",
    ],
)
def test_a_registry_that_would_lead_elsewhere_is_neither_allowed_nor_asked_for(stack, dev, server):
    answer = patched(stack.person("carol"), {"images": {"registries": [{**GIVEN, "server": server}]}})
    assert (answer.status, answer.error_code) == (400, "InvalidParameter")
    assert "images.registries[0].server" in [one["target"] for one in answer.json["error"]["details"]]

    stack.settings({"images": {"registries": [{**GIVEN, "repositories": ["*"]}]}})
    wanted = dev.call("PUT", f"users/me/shells/{new_shell_id()}", {"image": f"{server}/vision/training:1"})
    assert (wanted.status, wanted.error_code) == (403, "ImageNotAllowed")
    assert dev.sessions() == []


@pytest.mark.parametrize(
    ("image", "why"),
    [
        ("contoso.azurecr.io/vision/training:1", "digest"),
        (f"contoso.azurecr.io/audio/training@{DIGEST}", "does not allow"),
        (f"contoso.azurecr.io/vision/training/more@{DIGEST}", "does not allow"),
        (f"contoso.azurecr.io/vision/../vision/training@{DIGEST}", "repository"),
        ("contoso.azurecr.io/vision/training@sha256:short", "digest"),
        (f"fabrikam.azurecr.io/vision/training@{DIGEST}", "does not allow"),
    ],
)
def test_an_image_outside_the_list_or_without_the_digest_that_is_required_is_refused(stack, dev, image, why):
    stack.settings({"images": {"registries": [GIVEN], "requireDigest": True}})

    answer = dev.call("PUT", f"users/me/shells/{new_shell_id()}", {"image": image})

    assert (answer.status, answer.error_code) == (403, "ImageNotAllowed")
    assert why in answer.json["error"]["message"]
    assert dev.sessions() == []


@pytest.mark.parametrize(
    "identity",
    [
        f"/subscriptions/11111111-1111-1111-1111-111111111111/{PULLERS}/theirs",
        f"/subscriptions/{SUBSCRIPTION}/resourceGroups/x/providers/Microsoft.KeyVault/vaults/secrets",
        f"/subscriptions/{SUBSCRIPTION}/{PULLERS}/..",
        "system",
        None,
    ],
)
def test_an_identity_that_is_not_one_of_ours_pulls_nothing(stack, identity):
    answer = patched(stack.person("carol"), {"images": {"registries": [{**GIVEN, "identity": identity}]}})
    assert (answer.status, answer.error_code) == (400, "InvalidParameter")
    assert answer.json["error"]["target"] == "images.registries[0].identity"


@pytest.mark.parametrize(
    "body", [{}, {"minutes": 0}, {"minutes": -1}, {"minutes": 10_081}, {"minutes": "60"}, {"minutes": 1, "hours": 1}]
)
def test_an_extension_by_what_is_no_time_is_refused(stack, dev, body):
    answer = dev.call("POST", f"sessions/{'a' * 26}/extend", body)
    assert (answer.status, answer.error_code) == (400, "InvalidRequest")


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("PUT", "users/me/shells/shell-of-a-try", {"dryRun": "maybe"}),
        ("PATCH", "gpuSettings", {"dryRun": "1"}),
        ("PATCH", "gpuSettings", {"runningSessions": "kill"}),
        ("GET", "gpuSettings", {"view": "all"}),
    ],
)
def test_a_query_value_that_is_none_of_those_there_are_is_refused_by_name(stack, method, path, query):
    carol = stack.person("carol")
    answer = carol.call(method, path, {} if method != "GET" else None, headers={"If-Match": "*"}, query=query)
    assert (answer.status, answer.error_code) == (400, "InvalidParameter")
    assert [answer.json["error"]["target"]] == list(query)
    assert carol.sessions(user="me") == []


def test_running_sessions_are_not_stopped_by_a_write_that_leaves_the_project_enabled(stack, dev):
    shell = dev.opened()
    answer = patched(stack.person("carol"), {"maxLifetimeMinutes": 60}, runningSessions="stop")
    assert (answer.status, answer.json["error"]["target"]) == (400, "runningSessions")
    assert shell.renew().json.get("warnings") is None
    shell.close()
