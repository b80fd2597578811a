"""The local cloud's life with real processes: start, recognition, crash, restart, end."""

import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from azure.data.tables import TableServiceClient

from localcloud.stack import LocalCloud, StackProblemError
from localcloud.stack.addresses import kept_addresses
from localcloud.stack.app_settings import environment_id
from localcloud.stack.processes import Mark, is_alive, moment_of_start
from localcloud.stack.state_folder import StateFolder, write_json

pytestmark = pytest.mark.stack

ROOT = Path(__file__).resolve().parents[2]
SMALL_APP = Path(__file__).parent / "small_app"
CALLER = {name: value for name, value in os.environ.items() if not name.startswith("DEVBOXGPU_")}


@pytest.fixture
def notes(tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


@pytest.fixture
def make_cloud(tmp_path, notes):
    """Make the handle of a local cloud with the small app; several handles may be of one state folder."""
    made = []

    def make(*, with_host=False, state=tmp_path / "state", app=SMALL_APP, settings=None, **caller):
        cloud = LocalCloud(
            state,
            app,
            {"SMALL_APP_NOTES": str(notes), **(settings or {})},
            environment=CALLER | caller,
            with_host=with_host,
        )
        made.append(cloud)
        return cloud

    yield make
    for cloud in made:
        cloud.down()


def marks(cloud):
    kept = json.loads((cloud.state / "processes.json").read_text())
    return {name: Mark(**mark) for name, mark in kept.items()}


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def command(cloud, *words, **environment):
    """Run the command line as a person would, in the project's folder."""
    return subprocess.run(
        [sys.executable, "-m", "localcloud", *words, "--state", str(cloud.state)],
        cwd=ROOT,
        env=CALLER | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def dev_center_projects(cloud, fetch, token):
    url = f"{cloud.endpoints['devCenter']}/projects?api-version=2023-04-01"
    return fetch("GET", url, Authorization=f"Bearer {token}")[0]


def test_a_second_up_finds_everything_running_and_down_leaves_nothing(make_cloud):
    assert make_cloud().up() == ["azurite", "cloud"]
    started = marks(make_cloud())

    assert make_cloud().up() == []
    assert marks(make_cloud()) == started
    assert [part.state for part in make_cloud().status()] == ["running", "running"]

    cloud = make_cloud()
    assert cloud.down() == ["azurite", "cloud"]
    assert [is_alive(mark) for mark in started.values()] == [False, False]
    assert cloud.down() == []
    with pytest.raises(StackProblemError, match="make up"):
        _ = cloud.endpoints


def test_a_killed_part_comes_back_at_the_same_addresses_with_the_same_keys(make_cloud, fetch):
    cloud = make_cloud()
    cloud.up()
    addresses, before = cloud.endpoints, marks(cloud)
    _, signed_before = fetch("GET", f"{addresses['identity']}/token?user=alice&audience=https://devcenter.azure.com")
    cloud.kill("cloud")
    assert [part.state for part in cloud.status()] == ["running", "died"]

    assert cloud.up() == ["cloud"]

    assert cloud.endpoints == addresses
    assert marks(cloud)["azurite"] == before["azurite"]
    assert dev_center_projects(cloud, fetch, signed_before["access_token"]) == 200
    assert dev_center_projects(cloud, fetch, cloud.token("alice")) == 401


def test_what_azurite_acknowledged_is_there_after_an_orderly_restart(make_cloud):
    cloud = make_cloud()
    cloud.up()
    table = TableServiceClient.from_connection_string(cloud.endpoints["tables"]).create_table("kept")
    for number in range(20):
        table.create_entity({"PartitionKey": "p", "RowKey": f"{number:02}"})

    cloud.restart("azurite")

    assert [row["RowKey"] for row in table.list_entities()] == [f"{number:02}" for number in range(20)]


def test_a_kept_port_that_a_stranger_took_is_named_with_what_to_do(make_cloud):
    cloud = make_cloud()
    port = kept_addresses(StateFolder(cloud.state)).prices
    with socket.create_server(("127.0.0.1", port)):
        result = command(cloud, "up", "--no-host")

    assert result.returncode == 1
    assert f"port {port}" in result.stderr
    assert "prices" in result.stderr
    assert "Traceback" not in result.stderr
    assert [part.state for part in cloud.status()] == ["stopped", "stopped"]


def test_two_ups_at_once_start_everything_once(make_cloud):
    cloud = make_cloud()
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda _: command(cloud, "up", "--no-host", "--quiet"), range(2)))

    assert [(result.returncode, result.stdout, result.stderr) for result in results] == [(0, "", "")] * 2
    starts = (cloud.state / "logs" / "cloud.log").read_text().count("serving")
    assert starts == 1


def test_a_part_that_cannot_start_is_reported_with_the_end_of_its_log(make_cloud):
    cloud = make_cloud()
    cloud.state.mkdir()
    (cloud.state / "identity-key.pem").write_text("not a key")

    with pytest.raises(StackProblemError, match="not a readable key"):
        cloud.up()


def test_clean_deletes_a_local_cloud_and_refuses_any_other_folder(make_cloud, tmp_path):
    cloud = make_cloud()
    cloud.up()
    started = marks(cloud)
    cloud.clean()
    assert not cloud.state.exists()
    assert not any(is_alive(mark) for mark in started.values())

    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "letter").write_text("dear")
    with pytest.raises(StackProblemError, match="holds no local cloud"):
        make_cloud(state=precious).clean()
    assert (precious / "letter").read_text() == "dear"


def start_an_app(cloud, fetch, eventually):
    """Create a container app through ARM and return the process ids of its replica."""
    identity, arm = cloud.endpoints["identity"], cloud.endpoints["arm"]
    _, token = fetch("GET", f"{identity}/token?user=alice&audience=https://management.azure.com")
    group = environment_id("westus3").partition("/providers")[0]
    template = {
        "containers": [
            {
                "name": "gpu",
                "image": "local/image",
                "command": ["sleep"],
                "args": ["600"],
                "resources": {"cpu": 8, "memory": "56Gi"},
            }
        ],
        "scale": {"minReplicas": 1, "maxReplicas": 1},
    }
    status, answer = fetch(
        "PUT",
        f"{arm}{group}/providers/Microsoft.App/containerApps/dbg-test?api-version=2026-07-01",
        {
            "location": "westus3",
            "properties": {
                "environmentId": environment_id("westus3"),
                "workloadProfileName": "gpu-t4",
                "configuration": {"activeRevisionsMode": "Single"},
                "template": template,
            },
        },
        Authorization=f"Bearer {token['access_token']}",
    )
    assert status in (200, 201), answer

    def alive():
        apps = fetch("GET", f"{arm}/_truth?alive=1")[1]["apps"]
        return [pid for app in apps for pid in app["pids"]]

    return eventually(alive)


@pytest.mark.parametrize("crash", [False, True])
def test_down_ends_replicas_even_those_of_a_cloud_that_crashed(make_cloud, fetch, eventually, crash):
    cloud = make_cloud()
    cloud.up()
    pids = start_an_app(cloud, fetch, eventually)
    if crash:
        cloud.kill("cloud")
        assert all(moment_of_start(pid) for pid in pids)

    cloud.down()

    assert [pid for pid in pids if moment_of_start(pid)] == []


def test_the_app_is_prepared_and_gets_its_settings(make_cloud, notes, fetch, eventually):
    cloud = make_cloud(with_host=True, DEVBOXGPU_LEASE_SECONDS="3", DEVBOXGPU_ARM_ENDPOINT="http://elsewhere")
    assert cloud.up() == ["azurite", "cloud", "host"]

    demo = json.loads((notes / "project-demo.json").read_text())
    assert demo["serverlessGpuSessionsSettings"]["serverlessGpuSessionsMode"] == "AutoDeploy"
    assert demo["maxConcurrentSessionsPerUser"] == 2
    assert "Disabled" in (notes / "project-other.json").read_text()

    _, settings = fetch("GET", f"{cloud.endpoints['api']}/settings")
    assert settings["DEVBOXGPU_LEASE_SECONDS"] == "3"
    assert settings["DEVBOXGPU_ARM_ENDPOINT"] == cloud.endpoints["arm"]
    assert settings["DEVBOXGPU_TABLES_CONNECTION"] == settings["AzureWebJobsStorage"] == cloud.endpoints["tables"]
    assert json.loads(settings["DEVBOXGPU_ENVIRONMENTS"])["westus3"] == environment_id("westus3")

    event = {"id": "e-1", "subject": "/s", "eventType": "T", "eventTime": "2026-11-21T10:00:00Z", "dataVersion": "1"}
    _, report = fetch("POST", f"{cloud.endpoints['eventGrid']}/_publish", event)
    assert [entry["outcome"] for entry in report["value"]] == ["Delivered"]
    eventually(lambda: [entry["id"] for entry in lines(notes / "events.jsonl")] == ["e-1"])


def test_preparing_again_after_a_crash_changes_nothing_and_new_settings_count(make_cloud, notes, fetch):
    cloud = make_cloud(with_host=True)
    cloud.up()
    before = (notes / "project-demo.json").read_text()
    cloud.up()
    asked_at_first = len(lines(notes / "asked.jsonl"))
    cloud.kill("host")

    assert make_cloud(with_host=True, settings={"DEVBOXGPU_LEASE_SECONDS": "7"}).up() == ["host"]

    assert asked_at_first == 2
    assert len(lines(notes / "asked.jsonl")) == 4
    assert (notes / "project-demo.json").read_text() == before
    assert fetch("GET", f"{cloud.endpoints['api']}/settings")[1]["DEVBOXGPU_LEASE_SECONDS"] == "7"


def test_an_app_that_the_host_cannot_serve_is_reported_with_the_hosts_reason(make_cloud, tmp_path):
    app = tmp_path / "app"
    app.mkdir()
    (app / "host.json").write_text("{")

    with pytest.raises(StackProblemError, match=r"host\.json"):
        make_cloud(with_host=True, app=app).up()


def test_a_reader_that_goes_away_is_no_error(make_cloud):
    unread, output = os.pipe()
    os.close(unread)
    shown = subprocess.run(
        [sys.executable, "-m", "localcloud", "status", "--state", str(make_cloud().state)],
        cwd=ROOT,
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(output)

    assert (shown.returncode, shown.stderr) == (0, "")


def test_the_shell_verb_becomes_the_command_and_passes_its_exit_code_on(make_cloud, tmp_path):
    cloud = make_cloud()
    write_json(StateFolder(cloud.state).endpoints, kept_addresses(StateFolder(cloud.state)).endpoints())
    stand_in = tmp_path / "devboxgpu"
    stand_in.write_text(
        '#!/bin/sh\necho "$@" "$DEVBOXGPU_ENDPOINT" "$DEVBOXGPU_PROJECT" "$DEVBOXGPU_LOCAL_USER"\ncat\nexit 7\n'
    )
    stand_in.chmod(0o755)
    script = (
        "import sys, pathlib; from localcloud import __main__ as line;"
        f"line.COMMAND = pathlib.Path({str(stand_in)!r}); sys.exit(line.main(sys.argv[1:]))"
    )

    result = subprocess.run(
        [sys.executable, "-c", script, "shell", "--state", str(cloud.state), "--user", "bob", "--gpu", "T4"],
        cwd=ROOT,
        input="from a pipe",
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 7
    assert result.stdout == f"shell --gpu T4 {cloud.endpoints['api']} demo bob\nfrom a pipe"


def test_commands_say_what_is_wrong_and_what_to_do(make_cloud):
    cloud = make_cloud()

    opened = command(cloud, "shell")
    assert opened.returncode == 1
    assert "make up" in opened.stderr
    shown = command(cloud, "status", "-o", "json")
    assert shown.returncode == 1
    assert {part["state"] for part in json.loads(shown.stdout)} == {"stopped"}
    assert not cloud.state.exists()
    assert command(cloud, "up", "--quietly").returncode == 2
    assert command(cloud, "kill", "everything").returncode == 2
