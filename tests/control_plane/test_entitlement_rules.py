"""Who may use a project's GPUs, through the API: what an outage of the directory closes, what it leaves open, and that
another directory does as well."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from shared.domain.names import ProjectId
from shared.domain.states import EndReason, SessionState
from shared.ports.entra_groups import GroupEntitlement, ProjectGroups
from tests.control_plane.fakes import USERS
from tests.control_plane.plane import Plane
from tests.ports.port_harness import AnyToken, Scripted


def code_of(answer) -> str:
    return answer["error"]["code"]


def test_while_the_directory_does_not_answer_nobody_opens_and_everybody_who_runs_goes_on(played_exactly):
    async def story(one: Plane):
        view = await one.opened("alice")
        one.entitlement.away = True

        status, answer, headers = await one.call("bob", "OpenShell", {}, shell="shell-two")
        assert (status, code_of(answer), answer["error"]["target"]) == (503, "ServiceUnavailable", "entitlement")
        assert "No new session is opened until it does; running ones go on" in answer["error"]["message"]
        assert headers["retry-after"] == "2"
        assert (await one.call("alice", "OpenShell", {}, shell="shell-two"))[0] == 503

        session = {"session": view["session"]}
        assert (await one.call("alice", "OpenShell", {}, shell="shell-one"))[0] == 200
        assert (await one.call("alice", "GetShell", shell="shell-one"))[0] == 200
        assert (await one.call("alice", "ListShells"))[0] == 200
        assert (await one.call("alice", "ConnectShell", shell="shell-one"))[0] == 200
        assert await one.renew() == 200
        assert (await one.call("alice", "GetSession", **session))[0] == 200
        assert (await one.call("alice", "ExplainSession", **session))[0] == 200
        assert (await one.call("alice", "ExtendSession", {"minutes": 30}, **session))[0] == 200
        assert (await one.call("alice", "GetOperation", operation=f"open-{view['session']}"))[0] == 200
        await one.hold_for(1800)
        assert one.session(view["session"]).state is SessionState.RUNNING
        assert (await one.call("alice", "StopSession", {}, **session))[0] == 202
        await one.run_for(60)
        assert one.session(view["session"]).end_reason is EndReason.STOPPED_BY_USER

    played_exactly(story)


def test_an_outage_does_not_tell_whether_anothers_session_exists(played_exactly):
    async def story(one: Plane):
        view = await one.opened("alice")
        one.entitlement.away = True
        for name in ("GetSession", "StopSession", "ExplainSession"):
            theirs = await one.call("bob", name, session=view["session"])
            nothing = await one.call("bob", name, session="a" * 26)
            assert theirs[:2] == nothing[:2]
            assert theirs[0] == 503

    played_exactly(story)


def test_in_an_outage_who_has_a_session_is_shown_what_is_surely_the_callers_own_and_told_so(played_exactly):
    async def story(one: Plane):
        own = await one.opened("carol", "shell-one")
        await one.open("alice", "shell-two")
        one.entitlement.away = True
        status, listed, headers = await one.call("carol", "ListSessions")
        assert (status, [row["id"] for row in listed["value"]]) == (200, [own["session"]])
        assert "only what is your own is shown" in headers["warning"]
        assert (await one.call("bob", "ListSessions"))[0] == 503
        assert (await one.call("carol", "UpdateSettings", {}, headers={"if-match": "*"}))[0] == 503
        one.entitlement.away = False
        _, listed, headers = await one.call("carol", "ListSessions")
        assert len(listed["value"]) == 2
        assert "warning" not in headers

    played_exactly(story)


def test_an_outage_shows_in_the_health_page_and_the_log(played_exactly, caplog):
    async def story(one: Plane):
        assert (await one.call(None, "GetHealth"))[1]["status"] == "ok"
        one.entitlement.away = True
        await one.call("alice", "OpenShell", {}, shell="shell-one")
        status, told, _ = await one.call(None, "GetHealth")
        assert (status, told["status"], told["unavailable"]) == (200, "degraded", ["entitlement"])

    played_exactly(story)
    assert "entitlement.unavailable operation=OpenShell" in caplog.text


def test_who_has_lost_the_dev_box_gets_no_new_way_in(played_exactly):
    async def story(one: Plane):
        await one.opened("alice")
        one.entitlement.boxes.discard(("demo", USERS["alice"]))
        status, answer, _ = await one.call("alice", "ConnectShell", shell="shell-one")
        assert (status, code_of(answer)) == (403, "NotEntitled")
        assert (await one.call("alice", "CloseShell", shell="shell-one"))[0] == 202

    played_exactly(story)


MEMBERS, ADMINISTRATORS = "9a000000-0000-4000-8000-000000000001", "9a000000-0000-4000-8000-000000000002"


@pytest.fixture
def graph() -> Iterator[Scripted]:
    service = Scripted()
    groups = {"dave": [MEMBERS], "erin": [ADMINISTRATORS], "alice": [], "olga": []}
    for name, found in groups.items():
        service.says("POST", f"/users/{USERS[name]}/checkMemberGroups", {"value": found})
    yield service
    service.stop()


def test_groups_of_the_directory_serve_as_well_as_dev_boxes(played_exactly, graph):
    """Dave and Erin have no Dev Box in the project; Alice, who has, is in no group."""

    async def story(one: Plane):
        groups = {ProjectId("demo"): ProjectGroups(members=MEMBERS, administrators=ADMINISTRATORS)}
        directory = GroupEntitlement(endpoint=graph.origin, credential=AnyToken(), groups=groups)
        one.world = replace(one.world, entitlement=directory)

        view = await one.opened("dave")
        assert (await one.call("dave", "UpdateSettings", {}, headers={"if-match": "*"}))[0] == 403
        assert (await one.call("alice", "OpenShell", {}, shell="shell-one"))[0] == 403
        assert (await one.call("alice", "GetProject"))[0] == 404
        assert (await one.call("erin", "OpenShell", {}, shell="shell-one"))[0] == 403
        assert (await one.call("erin", "UpdateSettings", {}, headers={"if-match": "*"}))[0] == 200
        assert [row["id"] for row in (await one.call("dave", "ListProjects"))[1]["value"]] == ["demo"]
        assert (await one.call("erin", "StopSession", {}, session=view["session"]))[0] == 202

    played_exactly(story)


# a sign-in of the platform's


def principal(user: str) -> dict[str, str]:
    claims = {"tid": "t", "oid": USERS[user], "aud": "audience"}
    told = {"auth_typ": "aad", "claims": [{"typ": kind, "val": value} for kind, value in claims.items()]}
    return {"x-ms-client-principal": base64.b64encode(json.dumps(told).encode()).decode()}


PLATFORM = {"DEVBOXGPU_TRUST_PLATFORM_SIGN_IN": "true", "WEBSITE_AUTH_ENABLED": "True"}


def test_the_platforms_sign_in_is_the_callers_where_it_is_on(played_exactly):
    async def story(one: Plane):
        status, view, _ = await one.call(None, "OpenShell", {}, shell="shell-one", headers=principal("alice"))
        assert (status, view["user"]) == (201, USERS["alice"])
        assert (await one.call("forged", "GetShell", shell="shell-one", headers=principal("alice")))[0] == 401
        assert (await one.call("bob", "GetShell", shell="shell-one", headers=principal("alice")))[0] == 404

    played_exactly(story, **PLATFORM)


@pytest.mark.parametrize("told", [{}, {"DEVBOXGPU_TRUST_PLATFORM_SIGN_IN": "true"}, {"WEBSITE_AUTH_ENABLED": "True"}])
def test_a_principal_header_counts_for_nothing_where_the_platform_does_not_vouch_for_it(played_exactly, told):
    async def story(one: Plane):
        status, answer, _ = await one.call(None, "OpenShell", {}, shell="shell-one", headers=principal("alice"))
        assert (status, code_of(answer)) == (401, "Unauthenticated")

    played_exactly(story, **told)


@pytest.mark.parametrize(("site", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 201)])
def test_another_sites_page_changes_nothing_with_the_platforms_sign_in(played_exactly, site, status):
    async def story(one: Plane):
        headers = {**principal("alice"), "sec-fetch-site": site}
        assert (await one.call(None, "OpenShell", {}, shell="shell-one", headers=headers))[0] == status

    played_exactly(story, **PLATFORM)
