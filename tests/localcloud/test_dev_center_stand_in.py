"""The Dev Center stand-in: who has a Dev Box where, paging, and failing on demand."""

from urllib.parse import quote

import pytest

from localcloud.container_apps.catalog import SUBSCRIPTION
from localcloud.dev_center.catalogue import RESOURCE_GROUP
from localcloud.dev_center.web import DevCenterService
from localcloud.identity import people
from localcloud.identity.tokens import InvalidToken

API = "api-version=2023-04-01"


PROJECTS = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{RESOURCE_GROUP}/providers/Microsoft.DevCenter/projects"
ARM_API = "api-version=2026-01-01-preview"


def accepts(good):
    async def check(token):
        if token != good:
            raise InvalidToken("it is not good")
        return {"oid": people.object_id("alice")}

    return check


@pytest.fixture
def dev_center(server):
    def make(origin):
        return DevCenterService(origin=origin, check_token=accepts("good"), check_arm_token=accepts("good-for-arm"))

    return server.serve(lambda origin: make(origin).app())


@pytest.fixture
def ask_dev_center(dev_center, fetch):
    def send(path, query=API):
        return fetch("GET", f"{dev_center}{path}?{query}", Authorization="Bearer good")

    return send


@pytest.fixture
def ask_arm(dev_center, fetch):
    def send(path, *, method="GET", query=ARM_API, token="good-for-arm"):
        return fetch(method, f"{dev_center}{path}?{query}", Authorization=f"Bearer {token}")

    return send


def boxes(ask_dev_center, project, user):
    status, body = ask_dev_center(f"/projects/{project}/users/{people.object_id(user)}/devboxes")
    assert status == 200, body
    return body["value"]


@pytest.mark.parametrize(
    ("user", "project"),
    [
        ("alice", "demo"),
        ("bob", "demo"),
        ("carol", "demo"),
        ("erin", "other"),
        ("load-1", "demo"),
        ("load-9999", "demo"),
    ],
)
def test_a_person_has_a_dev_box_in_one_project_only(ask_dev_center, user, project):
    elsewhere = {"demo": "other", "other": "demo"}[project]

    (box,) = boxes(ask_dev_center, project, user)

    assert box["user"] == people.object_id(user)
    assert box["projectName"] == project
    assert box["provisioningState"] == "Succeeded"
    assert boxes(ask_dev_center, elsewhere, user) == []


@pytest.mark.parametrize("user", ["dave", "olga", "load-10000", "mallory"])
def test_others_have_no_dev_box(ask_dev_center, user):
    assert boxes(ask_dev_center, "demo", user) == []


def test_me_is_the_caller(ask_dev_center):
    _, body = ask_dev_center("/projects/demo/users/me/devboxes/alice-box")

    assert body["user"] == people.object_id("alice")


@pytest.mark.parametrize(
    ("project", "user", "administers"),
    [("DEMO", "carol", True), ("other", "carol", False), ("demo", "alice", False), ("demo", "olga", False)],
)
def test_carol_alone_administers_the_demo_project_by_a_role_assignment(ask_arm, project, user, administers):
    asked = quote(f"atScope() and assignedTo('{people.object_id(user)}')")
    path = f"{PROJECTS}/{project}/providers/Microsoft.Authorization/roleAssignments"
    status, body = ask_arm(path, query=f"api-version=2022-04-01&$filter={asked}")

    assert status == 200
    told = [(one["properties"]["principalId"], one["properties"]["roleDefinitionId"][-36:]) for one in body["value"]]
    assert told == ([(people.object_id(user), "331c37c6-af14-46d9-b9f4-e1909e1b95a0")] if administers else [])


def test_projects_are_listed_and_an_unknown_one_is_not_found(ask_dev_center):
    assert [project["name"] for project in ask_dev_center("/projects")[1]["value"]] == ["demo", "other"]
    assert ask_dev_center("/projects/demo")[1]["maxDevBoxesPerUser"] > 0
    for path in ("/projects/nowhere", "/projects/nowhere/users/me/devboxes"):
        status, body = ask_dev_center(path)
        assert (status, body["error"]["code"]) == (404, "ProjectNotFound")


def test_a_long_list_comes_in_pages_that_hold_everyone_once(ask_dev_center, fetch):
    _, page = ask_dev_center("/devboxes", f"{API}&top=100")
    owners = [box["user"] for box in page["value"]]
    while link := page.get("nextLink"):
        _, page = fetch("GET", link, Authorization="Bearer good")
        owners += [box["user"] for box in page["value"]]

    assert len(owners) == len(set(owners)) == people.LOAD_USERS + 4


@pytest.mark.parametrize("header", ["", "Bearer bad", "Basic good", "Bearer "])
def test_without_a_good_token_nothing_is_told(dev_center, fetch, header):
    status, body = fetch("GET", f"{dev_center}/projects?{API}", Authorization=header)

    assert (status, body["error"]["code"]) == (401, "InvalidAuthenticationToken")


def test_an_api_version_is_demanded(ask_dev_center):
    assert ask_dev_center("/projects", "")[1]["error"]["code"] == "MissingApiVersionParameter"


@pytest.mark.parametrize("query", ["top=0", "top=many", "$skip=-1"])
def test_a_page_that_cannot_be_is_refused(ask_dev_center, query):
    assert ask_dev_center("/devboxes", f"{API}&{query}")[0] == 400


def test_an_outage_lasts_for_its_count_and_then_ends(dev_center, ask_dev_center, fetch):
    fetch("PUT", f"{dev_center}/_faults", {"status": 503, "count": 2})

    assert [ask_dev_center("/projects")[0] for _ in range(3)] == [503, 503, 200]


def test_an_outage_without_a_count_lasts_until_it_is_cleared(dev_center, ask_dev_center, fetch):
    fetch("PUT", f"{dev_center}/_faults", {"status": 500})
    assert [ask_dev_center("/projects")[0] for _ in range(5)] == [500] * 5

    fetch("DELETE", f"{dev_center}/_faults")
    assert ask_dev_center("/projects")[0] == 200


@pytest.mark.parametrize(
    "switch", [{"status": 200}, {"status": "503"}, {"status": 503, "count": 0}, {"odd": 1}, [], {}]
)
def test_an_outage_that_makes_no_sense_is_refused_and_changes_nothing(dev_center, ask_dev_center, fetch, switch):
    assert fetch("PUT", f"{dev_center}/_faults", switch)[0] == 400
    assert ask_dev_center("/projects")[0] == 200


SETTINGS = {"serverlessGpuSessionsMode": "AutoDeploy", "maxConcurrentSessionsPerProject": 3}
POLICY = {"statusModifiable": "NotModifiable", "defaultStatus": "Disabled", "odd": ["kept", 1]}


def test_a_project_says_nothing_of_gpu_sessions_until_it_is_told_to(ask_arm):
    status, project = ask_arm(f"{PROJECTS}/demo")

    assert (status, project["name"], project["type"]) == (200, "demo", "Microsoft.DevCenter/projects")
    assert "serverlessGpuSessionsSettings" not in project["properties"]
    status, inherited = ask_arm(f"{PROJECTS}/demo/getInheritedSettings", method="POST")
    assert status == 200
    assert "serverlessGpuSessionsSettings" not in inherited


def test_settings_and_policy_are_served_as_they_are_given_until_they_are_cleared(dev_center, ask_arm, fetch):
    wanted = {"project": "demo", "serverlessGpuSessionsSettings": SETTINGS, "policy": POLICY}
    assert fetch("PUT", f"{dev_center}/_governance", wanted)[0] == 200

    told = {"serverlessGpuSessionsSettings": SETTINGS, "policy": POLICY}
    nothing = {"serverlessGpuSessionsSettings": None, "policy": None}
    assert fetch("GET", f"{dev_center}/_governance")[1] == {"demo": told, "other": nothing}
    assert ask_arm(f"{PROJECTS}/demo")[1]["properties"]["serverlessGpuSessionsSettings"] == SETTINGS
    inherited = ask_arm(f"{PROJECTS.upper()}/Demo/GETINHERITEDSETTINGS", method="POST")[1]
    assert inherited["serverlessGpuSessionsSettings"] == POLICY
    assert "serverlessGpuSessionsSettings" not in ask_arm(f"{PROJECTS}/other")[1]["properties"]

    assert fetch("PUT", f"{dev_center}/_governance", {"project": "demo", "policy": POLICY})[0] == 200
    assert "serverlessGpuSessionsSettings" not in ask_arm(f"{PROJECTS}/demo")[1]["properties"]
    assert fetch("DELETE", f"{dev_center}/_governance")[1] == {"demo": nothing, "other": nothing}
    assert "serverlessGpuSessionsSettings" not in ask_arm(f"{PROJECTS}/demo/getInheritedSettings", method="POST")[1]


@pytest.mark.parametrize(
    "wanted",
    [{}, [], {"project": "nowhere"}, {"project": "demo", "policy": "none"}, {"project": "demo", "colour": 1}],
)
def test_governance_that_makes_no_sense_is_refused_and_changes_nothing(dev_center, fetch, wanted):
    before = fetch("GET", f"{dev_center}/_governance")[1]

    assert fetch("PUT", f"{dev_center}/_governance", wanted)[0] == 400
    assert fetch("GET", f"{dev_center}/_governance")[1] == before


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (f"{PROJECTS}/nowhere", "ResourceNotFound"),
        (PROJECTS.replace(RESOURCE_GROUP, "elsewhere") + "/demo", "ResourceGroupNotFound"),
        (PROJECTS.replace(SUBSCRIPTION, "s") + "/demo", "SubscriptionNotFound"),
    ],
)
def test_resource_manager_says_what_is_missing(ask_arm, path, code):
    status, body = ask_arm(path)

    assert (status, body["error"]["code"]) == (404, code)


def test_resource_manager_has_tokens_and_versions_of_its_own(ask_arm, ask_dev_center):
    assert ask_arm(f"{PROJECTS}/demo", token="good")[0] == 401
    assert ask_dev_center(f"{PROJECTS}/demo")[0] == 401
    assert ask_arm(f"{PROJECTS}/demo", query="")[1]["error"]["code"] == "MissingApiVersionParameter"
    assert ask_arm(f"{PROJECTS}/demo", query="api-version=2025-02-01")[1]["error"]["code"] == (
        "NoRegisteredProviderFound"
    )


def test_the_handles_answer_through_an_outage(dev_center, ask_dev_center, fetch):
    fetch("PUT", f"{dev_center}/_faults", {"status": 503, "count": 1})

    assert fetch("GET", f"{dev_center}/_governance")[0] == 200
    assert [ask_dev_center("/projects")[0] for _ in range(2)] == [503, 200]
