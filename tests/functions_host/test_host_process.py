"""The host as a process of its own: how it begins, how it ends, and what it leaves behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from served_app import Reply, refuses, send, until, write_app

REPOSITORY = Path(__file__).parents[2]
MARKED = """
import os, pathlib, time

def note(text):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(text + "\\n")

@app.route(route="hold")
def hold(req: func.HttpRequest) -> str:
    note("begun")
    while os.path.exists(os.environ["HOLD"]):
        time.sleep(0.01)
    return "ended"

@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
def tick(timer: func.TimerRequest) -> None:
    note(f"tick {timer.past_due}")
"""


class Process:
    """`python -m localcloud.functions_host`, as a person starts it."""

    def __init__(self, root: Path, *arguments: str, environ=None):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "localcloud.functions_host", str(root), "--port", "0", *arguments],
            cwd=REPOSITORY,
            env={**os.environ, **(environ or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.printed = ""
        for line in self.process.stdout:
            self.printed += line
            if found := re.search(r"listening on http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                break

    def get(self, path: str) -> Reply:
        return send(self.port, "GET", path)

    def end(self, number=signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(20)
        self.errors = self.process.stderr.read()
        return code


@pytest.fixture
def run(tmp_path):
    started: list[Process] = []

    def start(root, *arguments, environ=None):
        process = Process(root, "--state", str(tmp_path / "state"), *arguments, environ=environ)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.process.poll() is None:
            process.process.kill()
        process.process.wait(10)
        process.process.stdout.close()
        process.process.stderr.close()


def test_it_prints_its_address_and_functions_and_ends_in_good_order(run, tmp_path):
    root = write_app(tmp_path / "app", MARKED)

    host = run(root)
    reply = host.get("/api/none")
    code = host.end()

    assert reply.status == 404
    assert f"hold: [all methods] http://127.0.0.1:{host.port}/api/hold" in host.printed
    assert "tick: timerTrigger 0 0 0 1 1 *" in host.printed
    assert code == 0
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ", line) for line in host.errors.splitlines())


def test_sigterm_refuses_new_connections_and_answers_the_call_in_flight(run, tmp_path):
    hold, notes = tmp_path / "hold", tmp_path / "notes"
    hold.touch()
    host = run(write_app(tmp_path / "app", MARKED), environ={"HOLD": str(hold), "NOTES": str(notes)})

    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(host.get, "/api/hold")
        until(notes.exists)
        host.process.send_signal(signal.SIGTERM)
        until(lambda: refuses(host.port))
        hold.unlink()

        assert call.result(10).body == b"ended"
    assert host.process.wait(10) == 0


def test_a_timer_that_came_due_while_the_host_was_killed_runs_once_on_the_next_start(run, tmp_path):
    notes, root = tmp_path / "notes", write_app(tmp_path / "app", MARKED)
    status = tmp_path / "state" / "timers" / "tick.json"
    host = run(root, environ={"NOTES": str(notes)})
    until(status.exists)
    assert host.end(signal.SIGKILL) == -signal.SIGKILL
    year = re.search(r'"Next": "(\d{4})-', status.read_text())[1]
    moved = status.read_text().replace(f"{year}-01-01T00:00:00", f"{int(year) - 1}-01-01T00:00:00")
    status.write_text(re.sub(r'"LastUpdated": "\d{4}', f'"LastUpdated": "{int(year) - 2}', moved))

    again = run(root, environ={"NOTES": str(notes)})

    until(notes.exists)
    until(lambda: f'"Next": "{year}-' in status.read_text())
    assert again.end() == 0
    assert notes.read_text() == "tick True\n"


def test_a_taken_port_is_told_of_with_what_to_do(tmp_path):
    root = write_app(tmp_path / "app", MARKED)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "localcloud.functions_host", str(root), "--port", str(port)],
            cwd=REPOSITORY, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip

    assert ended.returncode == 1
    assert f"port {port} of 127.0.0.1 is taken" in ended.stderr
    assert f"by process {os.getpid()}" in ended.stderr
    assert "--port" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_state_folder_serves_one_host_at_a_time(run, tmp_path):
    root = write_app(tmp_path / "app", MARKED)
    first = run(root)

    second = run(root)
    second.process.wait(10)

    assert second.process.returncode == 1
    assert f"process id {first.process.pid}" in second.process.stderr.read()
    assert first.get("/admin/host/ping").status == 200


DURABLE = """
import os, pathlib, time
import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.orchestration_trigger(context_name="context")
def story(context):
    first = yield context.call_activity("step", "one")
    second = yield context.call_activity("step", "two")
    return [first, second]

@app.activity_trigger(input_name="name")
def step(name) -> str:
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(name + "\\n")
    while name == "two" and os.path.exists(os.environ["HOLD"]):
        time.sleep(0.01)
    return name.upper()
"""


def test_an_orchestration_whose_host_was_killed_in_an_activity_goes_on_and_repeats_only_that(run, tmp_path):
    hold, notes = tmp_path / "hold", tmp_path / "notes"
    hold.touch()
    root, environ = write_app(tmp_path / "app", DURABLE), {"HOLD": str(hold), "NOTES": str(notes)}
    host = run(root, environ=environ)
    durable = "/runtime/webhooks/durabletask"
    assert send(host.port, "POST", f"{durable}/orchestrators/story/i1").status == 202
    until(lambda: notes.exists() and "two" in notes.read_text())
    host.end(signal.SIGKILL)
    hold.unlink()

    again = run(root, environ=environ)

    ended = until(lambda: (reply := again.get(f"{durable}/instances/i1")).status == 200 and reply.json(), seconds=60)
    assert ended["output"] == ["ONE", "TWO"]
    assert notes.read_text().split() == ["one", "two", "two"]


def test_a_damaged_journal_and_an_unusable_state_folder_are_told_of_without_a_traceback(run, tmp_path):
    root = write_app(tmp_path / "app", DURABLE)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "durable.sqlite").write_text("this is no journal at all, whatever it may be")
    (tmp_path / "file").write_text("")

    damaged = run(root)
    unusable = run(root, "--state", str(tmp_path / "file"))

    for process, says in ((damaged, "durable.sqlite"), (unusable, str(tmp_path / "file"))):
        assert process.process.wait(10) == 1
        errors = process.process.stderr.read()
        assert says in errors.splitlines()[-1]
        assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("arguments", "says"), [(["/no/such/folder"], "is not a folder"), ([".", "--port", "70000"], "70000 is not a port")]
)
def test_a_wrong_argument_is_told_of_with_exit_code_2(arguments, says):
    ended = subprocess.run(
        [sys.executable, "-m", "localcloud.functions_host", *arguments],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert ended.returncode == 2
    assert says in ended.stderr


def test_with_json_each_line_of_the_log_is_an_object_with_the_function_of_a_call(run, tmp_path):
    host = run(write_app(tmp_path / "app", MARKED), "--json", environ={"NOTES": os.devnull, "HOLD": "/none"})
    host.get("/api/hold")
    host.end()

    lines = [json.loads(line) for line in host.errors.splitlines()]
    assert next(line["message"] for line in lines if line.get("function") == "hold").startswith("GET /api/hold -> 200")
    assert lines[-1]["message"] == "stopped"


@pytest.mark.parametrize(("flags", "tells"), [((), False), (("--verbose",), True)])
def test_a_timer_run_that_went_well_is_told_of_only_where_that_is_asked_for(run, tmp_path, flags, tells):
    notes = tmp_path / "notes"
    source = MARKED.replace("0 0 0 1 1 *", "*/1 * * * * *").replace("def tick", "def quick")
    host = run(write_app(tmp_path / "app", source), *flags, environ={"NOTES": str(notes)})
    until(lambda: notes.exists() and len(notes.read_text().splitlines()) > 1)
    host.end()

    assert ("timer run done" in host.errors) is tells


def test_with_reload_a_changed_file_is_served_on_the_same_port_and_sigterm_ends_both(run, tmp_path):
    root = write_app(
        tmp_path / "app", '@app.route(route="x")\ndef x(req: func.HttpRequest) -> str:\n    return "old"\n'
    )
    host = run(root, "--reload")
    before = host.get("/api/x").body
    write_app(root, '@app.route(route="x")\ndef x(req: func.HttpRequest) -> str:\n    return "new one"\n')

    until(lambda: not refuses(host.port) and answer(host, "/api/x") == b"new one", seconds=20)
    write_app(root, "def broken(:\n")
    until(lambda: not refuses(host.port) and answer(host, "/api/x") == b"", seconds=20)

    assert before == b"old"
    assert host.end() == 0
    assert refuses(host.port)
    assert "function_app.py, host.json changed: the app is loaded anew" in host.errors
    assert "SyntaxError" in host.errors


def answer(host, path):
    try:
        return host.get(path).body
    except OSError:
        return None


def test_with_reload_a_host_that_cannot_begin_ends_the_command_too(run, tmp_path):
    root = write_app(tmp_path / "app", MARKED)
    first = run(root)
    second = run(root, "--reload")

    assert second.process.wait(20) == 1
    assert f"process id {first.process.pid}" in second.process.stderr.read()


def test_a_strict_host_says_what_it_refuses_and_where(run, tmp_path):
    source = DURABLE.replace('call_activity("step", "two")', 'call_activity("stpe", "two")')
    line = source.splitlines().index(next(text for text in source.splitlines() if "stpe" in text))
    host = run(write_app(tmp_path / "app", source, preamble="import azure.functions as func\n"), "--strict")

    errors = host.get("/admin/host/status").json()["errors"]
    host.end()

    assert f"function_app.py:{line + 2} in story: P12: there is no activity 'stpe'" in errors[0]
    assert errors[0].partition(": ")[2] in host.errors


def test_the_engine_gets_the_seed_of_the_vendors_faults_from_the_command_line(run, tmp_path):
    root = write_app(tmp_path / "app", DURABLE)
    host = run(root, "--as-azure", "7")

    ports = json.loads((tmp_path / "state" / "host-ports.json").read_text())
    faults = send(ports["durable"], "GET", "/durabletask/_faults").json()["faults"]

    assert ports["public"] == host.port
    assert faults == {"asAzure": 7}
