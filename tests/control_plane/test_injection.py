"""Injection: text of one caller's never becomes a query, a log line, a header, an escape sequence or an address."""

from __future__ import annotations

import json
import logging
import re

import pytest

from api.usage_csv import safe
from shared.domain.images import allowed_image, parse_image
from shared.domain.plain_text import plain
from shared.domain.records import SessionRow
from shared.domain.settings import ImageSettings, RegistrySetting
from tests.control_plane.fakes import USERS, NamedTokens
from tests.control_plane.plane import Plane
from tests.control_plane.surroundings import BY_NAME

HOSTILE = (
    "' or PartitionKey ne '",
    "demo' or '1' eq '1",
    "x'; drop table core --",
    "..%2f..%2fother",
    "../../other",
    "demo/../other",
    "demo~20261121",
    "demo\r\nX-Injected: 1",
    "demo\nlog line",
    "\x1b]0;owned\x07",
    "\x1b[2J\x1b[H",
    "\x9b2J",
    "\u202egnp.exe",
    "\u200b\u2066",
    "<script>alert(1)</script>",
    "{{7*7}}${jndi:ldap://x}",
    "http://169.254.169.254/metadata",
    "a" * 4000,
    "\x00",
    "\ud800",
    "ｄｅｍｏ",
    "DEMO\u0130",
    "",
)
NOT_PRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800]")


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_no_part_of_a_path_or_query_is_taken_for_anything_but_text(played_exactly, caplog, name):
    entry = BY_NAME[name]
    parts = [part for part in ("project", "user", "shell", "session", "operation") if f"{{{part}}}" in entry.route]
    proper = {"shell": "shell-one", "session": "a" * 26, "operation": f"open-{'a' * 26}"}
    usual = {part: proper[part] for part in parts if part in proper}

    async def story(one: Plane) -> None:
        before = len(one.tables._rows)
        for text in HOSTILE:
            tries = [({**usual, part: text}, {}) for part in parts]
            tries += [(usual, {query: text}) for query in entry.query] + [(usual, {text: "x"})]
            for path, query in tries:
                status, told, headers = await one.call("carol", name, {} if entry.body else None, query=query, **path)
                harmless = entry.who.name == "ANYONE" or status in (200, 304)
                assert status in (400, 403, 404, 412, 428) or (harmless and text in ("", *query.values())), (
                    path,
                    query,
                )
                for header, value in headers.items():
                    assert not NOT_PRINTABLE.search(header + value), (header, value)
                    assert "injected" not in header.lower()
                assert told is None or isinstance(told, dict | str)
        assert len(one.tables._rows) == before, "something was written"

    with caplog.at_level(logging.DEBUG, "devboxgpu"):
        played_exactly(story)
    for record in caplog.records:
        assert not NOT_PRINTABLE.search(record.getMessage()), record.getMessage()


@pytest.mark.parametrize("text", [text for text in HOSTILE if text and NOT_PRINTABLE.search(text)])
def test_an_id_of_the_callers_own_becomes_no_header(played_exactly, text):
    async def story(one: Plane) -> None:
        _, _, sent_back = await one.call("alice", "GetSettings", headers={"x-ms-client-request-id": "abc-1"})
        assert sent_back["x-ms-client-request-id"] == "abc-1"

        _, _, headers = await one.call("alice", "GetSettings", headers={"x-ms-client-request-id": text})
        assert "x-ms-client-request-id" not in headers

    played_exactly(story)


@pytest.mark.parametrize(
    "text", ["name\n", "a\nb", "a\x1b[2J", "a\x9bb", "a\u202eb", "a\u200bb", "<b>", "a'b", "a;b", "=1+1("]
)
@pytest.mark.parametrize(
    "body",
    [
        lambda text: {"sessionName": text},
        lambda text: {"labels": {"team": text}},
        lambda text: {"labels": {text: "x"}},
        lambda text: {"origin": {"devBox": text}},
        lambda text: {"origin": {"terminal": text}},
        lambda text: {"region": text},
        lambda text: {"session": text},
        lambda text: {"gpuType": text},
    ],
    ids=["sessionName", "label", "labelName", "devBox", "terminal", "region", "session", "gpuType"],
)
def test_names_and_labels_that_others_are_shown_hold_no_escapes(played_exactly, body, text):
    async def story(one: Plane) -> None:
        status, told, _ = await one.call("alice", "OpenShell", body(text), shell="shell-one")
        assert (status, told["error"]["code"]) == (400, "InvalidRequest")
        assert one.tables.rows("core", "s-", SessionRow) == []

    played_exactly(story)


@pytest.mark.parametrize("field", ["region", "session", "sessionName"])
def test_a_final_line_break_does_not_slip_through_a_pattern(played_exactly, field):
    good = {"region": "westus3", "session": "a" * 26, "sessionName": "name"}[field]

    async def story(one: Plane) -> None:
        status, told, _ = await one.call("alice", "OpenShell", {field: f"{good}\n"}, shell="shell-one")
        assert (status, told["error"]["target"]) == (400, field)

    played_exactly(story)


@pytest.mark.parametrize("note", ["a\nb", "a\n", "\x1b[2J", "\x9b", "a\u202eb", "a\u2028b", "a\u2066b", "a\ufeffb"])
def test_a_note_that_another_reads_holds_no_escapes(played_exactly, note):
    async def story(one: Plane) -> None:
        view = await one.open()
        status, _, _ = await one.call("carol", "StopSession", {"reason": note}, session=view["session"])
        assert status == 400

    played_exactly(story)


def test_a_note_may_be_in_any_language(played_exactly):
    async def story(one: Plane) -> None:
        view = await one.open()
        note = "Zeit für die Übung – 休憩時間 - استراحة"
        assert (await one.call("carol", "StopSession", {"reason": note}, session=view["session"]))[0] == 202
        assert one.session(view["session"]).stop_note == note

    played_exactly(story)


def test_a_users_own_name_is_shown_to_others_without_escapes(played_exactly):
    class HostileName(NamedTokens):
        def caller(self, token: str):
            caller = super().caller(token)
            return type(caller)(user=caller.user, tenant="t", name="eve\x1b[2J\u202e\n" + "x" * 500, roles=caller.roles)

    async def story(one: Plane) -> None:
        object.__setattr__(one.world, "tokens", HostileName())
        view = await one.open()
        row = one.session(view["session"])
        assert row.user_name == "eve[2J" + "x" * 194
        assert row.user == USERS["alice"]

    played_exactly(story)


@pytest.mark.parametrize(("cell", "written"), [("=1+1", "'=1+1"), ("+a", "'+a"), ("@x", "'@x"), ("a\x1b[2Jb", "a[2Jb")])
def test_a_cell_of_a_csv_file_is_no_formula_and_no_escape(cell, written):
    assert safe(cell) == written


def test_plain_text_keeps_every_letter():
    assert plain("Ünï – 休 \U0001f600") == "Ünï – 休 \U0001f600"


# images


IMAGES = (
    "http://evil.example/image",
    "https://127.0.0.1/image",
    "evil.example/image",
    "localhost:5000/image",
    "169.254.169.254/latest",
    "team.azurecr.io.evil.example/tools",
    "evil.example/team.azurecr.io/tools",
    "team.azurecr.io:443/tools",
    "user:pass@team.azurecr.io/tools",
    "team.azurecr.io@evil.example/tools",
    "team.azurecr.io\\@evil.example/tools",
    "team.azurecr.io%2f@evil.example/tools",
    "team.azurecr.io/../other/tools",
    "team.azurecr.io//tools",
    "team.azurecr.io/tools?x=1",
    "team.azurecr.io/tools#x",
    "team.azurecr.io/tools:tag\n",
    "team.azurecr.io/tools\n",
    "team.azurecr.io\n/tools",
    "team.azurecr.io/tools --privileged",
    "team.azurecr.io/tools;id",
    "team.azurecr.io/$(id)",
    "team.azurecr.io/tools@sha256:short",
    "team.azurecr.io/tools@sha512:" + "a" * 64,
    "team.azurecr.io/TOOLS",
    "teаm.azurecr.io/tools",  # with a Cyrillic letter
    "TEAM.azurecr.io/tools",
    "\u202eteam.azurecr.io/tools",
    "file:///etc/passwd",
    "",
)


@pytest.mark.parametrize("image", IMAGES)
def test_no_image_reference_leads_anywhere_but_to_the_registry_that_it_names(image):
    everything = ImageSettings(registries=(RegistrySetting(server="team.azurecr.io", repositories=("*",)),))

    assert not hasattr(allowed_image(everything, image), "reference"), image
    parsed = parse_image(image)
    assert isinstance(parsed, str) or parsed.server != "team.azurecr.io"


def test_a_refused_image_is_told_without_its_escapes(played_exactly):
    async def story(one: Plane) -> None:
        status, told, _ = await one.call("alice", "OpenShell", {"image": "\x1b[2J\u202eevil"}, shell="shell-one")
        assert (status, told["error"]["code"]) == (403, "ImageNotAllowed")
        assert not NOT_PRINTABLE.search(told["error"]["message"])

    played_exactly(story)


# reach


@pytest.mark.parametrize("url", ["https://evil.example/x", "http://169.254.169.254", "//evil.example", "evil.example"])
@pytest.mark.parametrize(
    "settings",
    [
        lambda url: {"regions": [{"name": url}]},
        lambda url: {"regions": [{"name": "westus3", "environmentId": url}]},
        lambda url: {"regions": [{"name": "westus3", "environmentId": f"/subscriptions/sub/{url}"}]},
        lambda url: {"images": {"registries": [{"server": url, "repositories": ["*"]}]}},
        lambda url: {"images": {"registries": [{"server": "team.azurecr.io", "repositories": [url]}]}},
        lambda url: {"images": {"registries": [{"server": "team.azurecr.io", "repositories": ["*"], "identity": url}]}},
        lambda url: {"images": {"default": url}},
        lambda url: {"images": {"allowPreset": [url]}},
        lambda url: {"budget": {"monthlyAmount": "1", "currency": url}},
    ],
)
def test_no_setting_takes_an_address_of_the_writers_choosing(played_exactly, settings, url):
    async def story(one: Plane) -> None:
        if (
            url == "evil.example"
            and "repositories" in json.dumps(settings(url))
            and "identity" not in json.dumps(settings(url))
        ):
            return  # a repository may have this name; the server is named beside it
        status, told, _ = await one.call("olga", "UpdateSettings", settings(url), headers={"if-match": "*"})
        assert status == 400, told

    played_exactly(story)


def test_what_a_session_is_created_from_is_chosen_by_the_platform_and_the_project(played_exactly):
    """All text of the user's own that reaches Azure is in this list: nothing of it is an address."""

    async def story(one: Plane) -> None:
        await one.opened()
        (app,) = one.azure.apps.values()
        assert app.spec.environment_id == "/environments/one"
        assert app.spec.image == "mcr.microsoft.com/k8se/gpu-quickstart:latest"
        text = repr(app.spec)
        assert not re.search(r"https?://", text)

    played_exactly(story)
