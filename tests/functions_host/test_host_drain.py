"""An orderly stop: what ends within the drain counts, what does not is cut off (reference/durable-measured.md 4)."""

import http.client
from concurrent.futures import ThreadPoolExecutor

import pytest
from served_app import refuses, until

SLOW = """
import azure.durable_functions as df
import os, time
app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

def hold(name):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(name + "\\n")
    while os.path.exists(os.environ["HOLD"]):
        time.sleep(0.01)

@app.route(route="slow")
def slow(req: func.HttpRequest) -> str:
    hold("http")
    return "ended"

@app.orchestration_trigger(context_name="context")
def story(context):
    return (yield context.call_activity("step"))

@app.activity_trigger(input_name="name")
def step(name) -> str:
    hold("step")
    return "done"
"""
WEBHOOK = "/runtime/webhooks/durabletask"


@pytest.fixture
def places(tmp_path, monkeypatch):
    hold, notes = tmp_path / "hold", tmp_path / "notes"
    hold.touch()
    monkeypatch.setenv("HOLD", str(hold))
    monkeypatch.setenv("NOTES", str(notes))
    yield hold, notes
    hold.unlink(missing_ok=True)


def test_a_request_that_outlasts_the_drain_is_cut_off_and_told_of(serve, places, caplog):
    app = serve(SLOW)
    _, notes = places

    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(app.get, "/api/slow")
        until(notes.exists)
        app.stop(0.2)
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            call.result(10)
    assert "requests are still being answered" in caplog.text


@pytest.mark.parametrize(("drain_s", "runs"), [(10.0, 1), (0.2, 2)])
def test_an_activity_runs_again_only_where_it_outlasts_the_drain(serve, places, drain_s, runs):
    hold, notes = places
    app = serve(SLOW)
    assert app.request("POST", f"{WEBHOOK}/orchestrators/story/i1", body=b"").status == 202
    until(notes.exists)
    with ThreadPoolExecutor(1) as pool:
        stopping = pool.submit(app.stop, drain_s)
        if runs > 1:
            stopping.result(10)
        until(lambda: refuses(app.host.port))
        hold.unlink()
        stopping.result(10)

    again = serve(SLOW)

    ended = until(lambda: (reply := again.get(f"{WEBHOOK}/instances/i1")).status == 200 and reply.json())
    assert ended["output"] == "done"
    assert notes.read_text().split() == ["step"] * runs
