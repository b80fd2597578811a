"""Strict mode at load: each trap that the source shows is told of with rule, function and line; without it, none is."""

import pytest

DURABLE = """
import time
import azure.functions as func
import azure.durable_functions as df
app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
STEP = "step"

@app.activity_trigger(input_name="name")
def step(name) -> str:
    return name

@app.orchestration_trigger(context_name="context")
def story(context):
    return (yield context.call_activity(STEP, "x"))

@app.route(route="good")
def good(req: func.HttpRequest) -> str:
    return "good"
"""
ORCHESTRATOR = '@app.orchestration_trigger(context_name="context")\ndef bad(context):\n    '
CLIENT = '@app.route()\n@app.durable_client_input(client_name="client")\nasync def bad(req, client) -> str:\n    '
TRAPS = [
    (ORCHESTRATOR + 'return (yield context.call_activity("stpe"))\n', "P12", "no activity 'stpe'"),
    (ORCHESTRATOR + 'return (yield context.call_activity(name="stpe", input_="x"))\n', "P12", "no activity 'stpe'"),
    (ORCHESTRATOR + 'return (yield context.call_sub_orchestrator("sotry"))\n', "P12", "no orchestrator 'sotry'"),
    (ORCHESTRATOR + 'return (yield context.wait_for_external_event("Go"))\n', "P10", "event name 'Go'"),
    (CLIENT + 'return await client.start_new("sotry")\n', "P22", "no orchestrator 'sotry'"),
    (CLIENT + 'await client.raise_event("i", "Go", 1)\n    return ""\n', "P10", "event name 'Go'"),
    ("@app.route()\ndef bad(req: func.HttpRequest):\n    return {'a': 1}\n", "4.2", "neither a text nor"),
    ("@app.route()\ndef bad(req: func.HttpRequest):\n    return\n", "4.2", "neither a text nor"),
    (
        '@app.activity_trigger(input_name="name")\nasync def bad(name) -> str:\n    time.sleep(1)\n    return name\n',
        "4.2",
        "time.sleep blocks",
    ),
]


@pytest.mark.parametrize(("source", "rule", "says"), TRAPS)
def test_a_trap_that_the_source_shows_keeps_a_strict_host_from_serving_the_app(serve, caplog, source, rule, says):
    app = serve(source, preamble=DURABLE, is_strict=True)
    line = next(n for n, text in enumerate((DURABLE + source).splitlines(), 1) if n > 20 and is_the_trap(text))

    error = app.get("/admin/host/status").json()["errors"][0]

    assert app.get("/api/good").status == 503
    assert f"function_app.py:{line} in bad: {rule}: " in error
    assert says in error
    assert f"strict: function_app.py:{line} in bad" in caplog.text


def is_the_trap(text):
    return text.strip().startswith(("return", "await", "time."))


@pytest.mark.parametrize("source", [source for source, _, _ in TRAPS])
def test_a_host_that_is_not_strict_serves_it(serve, source):
    assert serve(source, preamble=DURABLE).get("/api/good").body == b"good"


FINE = [
    "",
    ORCHESTRATOR + 'return (yield context.call_activity("STEP"))\n',
    ORCHESTRATOR + "name = context.get_input()\n    return (yield context.call_activity(name))\n",
    ORCHESTRATOR + "STEP = context.get_input()\n    return (yield context.call_activity(STEP))\n",
    ORCHESTRATOR + "return (yield context.call_activity(step))\n",
    ORCHESTRATOR + 'return (yield context.wait_for_external_event("go"))\n',
    CLIENT + 'return await client.start_new("story")\n',
    "def helper():\n    return {}\n",
]


@pytest.mark.parametrize("source", FINE)
def test_what_is_right_or_cannot_be_known_at_load_is_served_strictly_too(serve, source):
    assert serve(source, preamble=DURABLE, is_strict=True).get("/api/good").body == b"good"


def test_a_name_held_by_another_module_of_the_app_is_read_there(serve):
    names = {"app_names.py": 'class Step:\n    WRONG = "stpe"\n'}
    source = "import app_names\n" + ORCHESTRATOR + "return (yield context.call_activity(app_names.Step.WRONG))\n"

    app = serve(source, preamble=DURABLE, files=names, is_strict=True)

    assert "no activity 'stpe'" in app.get("/admin/host/status").json()["errors"][0]
