"""The durable engine behind the host: the app's own clients, the public webhooks, and a kill in between."""

from served_app import until

DURABLE = """
import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.orchestration_trigger(context_name="context")
def greet_twice(context):
    first = yield context.call_activity("greet", "one")
    second = yield context.call_activity("GREET", {"name": "two"})
    return [first, second]

@app.orchestration_trigger(context_name="context")
def fails(context):
    yield context.call_activity("breaks", None)

@app.orchestration_trigger(context_name="context")
def waits(context):
    return (yield context.wait_for_external_event("go"))

@app.activity_trigger(input_name="name", activity="greet")
def say_hello(name) -> str:
    return f"hello {name}"

@app.activity_trigger(input_name="nothing")
async def breaks(nothing):
    raise ValueError("broken \\u00e9")

@app.activity_trigger(input_name="order")
@app.durable_client_input(client_name="client")
async def start_another(order: dict, client):
    return await client.start_new(order["name"], order["id"])

@app.orchestration_trigger(context_name="context")
def starts_another(context):
    return (yield context.call_activity("start_another", {"name": "greet_twice", "id": "another"}))

@app.route(route="start/{name}/{id}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client) -> func.HttpResponse:
    instance = await client.start_new(req.route_params["name"], req.route_params["id"], None)
    return client.create_check_status_response(req, instance)
"""
WEBHOOK = "/runtime/webhooks/durabletask/instances"


def final(app, instance):
    def ended():
        status = app.get(f"{WEBHOOK}/{instance}").json()
        return status if status["runtimeStatus"] in ("Completed", "Failed", "Terminated") else None

    return until(ended)


def test_an_orchestration_started_by_the_apps_client_ends_and_is_seen_by_the_webhook(serve):
    app = serve(DURABLE)

    started = app.request("POST", "/api/start/greet_twice/i1")
    status = final(app, "i1")

    assert started.status == 202
    assert started.json()["id"] == "i1"
    assert status["output"] == ["hello one", "hello {'name': 'two'}"]


def test_a_failing_activity_fails_its_orchestration_and_is_told_of_in_the_log(serve, caplog):
    app = serve(DURABLE)

    app.request("POST", "/api/start/fails/i1")
    status = final(app, "i1")

    assert status["runtimeStatus"] == "Failed"
    assert "Activity function 'breaks' failed:  ValueError: broken é" in status["output"]
    assert "activity failed: ValueError: broken é at function_app.py" in caplog.text


def test_an_activity_may_take_the_durable_client(serve):
    app = serve(DURABLE)

    app.request("POST", "/api/start/starts_another/i1")

    assert final(app, "i1")["output"] == "another"
    assert final(app, "another")["runtimeStatus"] == "Completed"


def test_what_was_waiting_when_the_host_stopped_goes_on_in_the_next_one(serve):
    app = serve(DURABLE)
    app.request("POST", "/api/start/waits/i1")
    until(lambda: app.get(f"{WEBHOOK}/i1").json()["runtimeStatus"] == "Running")
    app.stop()

    again = serve(DURABLE)
    raised = again.post_json(f"{WEBHOOK}/i1/raiseEvent/go", "now")

    assert raised.status == 202
    assert final(again, "i1")["output"] == "now"


def test_the_webhook_asks_for_its_key_and_hands_it_out_in_its_addresses(serve):
    app = serve(DURABLE, keys=True)
    key = app.keys["durabletask_extension"]
    path = "/runtime/webhooks/durabletask/orchestrators/greet_twice/i1"

    refused = app.request("POST", path)
    accepted = app.request("POST", f"{path}?code={key}")

    assert (refused.status, refused.header("WWW-Authenticate")) == (401, "Bearer")
    assert accepted.status == 202
    assert f"code={key}" in accepted.json()["statusQueryGetUri"]
    assert app.get(f"{WEBHOOK}/i1", [("x-functions-key", app.keys["master"])]).status in (200, 202)


def test_bad_durable_settings_keep_the_app_from_being_served(serve):
    host_json = {"version": "2.0", "extensions": {"durableTask": {"maxConcurrentActivityFunctions": "many"}}}

    app = serve(DURABLE, host_json=host_json)

    assert app.get(f"{WEBHOOK}/x").status == 503
    assert "maxConcurrentActivityFunctions" in app.get("/admin/host/status").json()["errors"][0]


def test_an_app_without_durable_functions_has_no_durable_webhook(serve):
    app = serve('@app.route(route="x")\ndef x(req: func.HttpRequest) -> str:\n    return ""\n')

    assert app.get(f"{WEBHOOK}/x").status == 404


FAILING = """
import azure.durable_functions as df
app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.orchestration_trigger(context_name="context")
def story(context):
    yield context.call_activity("act")

@app.activity_trigger(input_name="name")
def act(name) -> str:
    raise ValueError("no such thing")
"""


def test_a_failed_orchestration_is_told_of_in_its_own_words_with_its_instance(serve, caplog):
    app = serve(FAILING)

    app.request("POST", "/runtime/webhooks/durabletask/orchestrators/story/i-7", body=b"")
    until(lambda: "orchestration failed" in caplog.text)

    told = [record.getMessage() for record in caplog.records]
    assert "activity failed: ValueError: no such thing at function_app.py:15 in act" in told
    own_words = "Exception: Activity function 'act' failed:  ValueError: no such thing"
    assert f"orchestration failed: {own_words} at function_app.py:9 in story" in told
