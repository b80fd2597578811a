import pytest

GOOD = """
@app.route(route="good")
def good(req: func.HttpRequest) -> str:
    return "good"
"""


def logged(caplog):
    return "\n".join(record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("def broken(:\n", "SyntaxError"),
        ("import no_such_module_at_all\n", "no_such_module_at_all"),
        ("raise RuntimeError('at import')\n", "RuntimeError: at import at function_app.py:9 in <module>"),
        ("import sys\nsys.exit(4)\n", "SystemExit: 4"),
        ("app = None\n", "no FunctionApp or DFApp"),
        ("other = func.FunctionApp()\n", "more than one function app (app, other)"),
        (GOOD + GOOD, "unique function name"),
        ("@app.function_name('nothing')\ndef f():\n    pass\n", "nothing"),
    ],
)
def test_an_app_that_cannot_be_loaded_leaves_the_host_up_with_no_functions_and_the_reason_in_the_log(
    serve, caplog, source, says
):
    app = serve(source if source == GOOD + GOOD else GOOD + source)

    assert app.get("/api/good").status == 404
    assert app.get("/admin/host/status").json()["state"] == "Running"
    assert app.get("/admin/functions").json() == []
    assert says in logged(caplog)


def test_a_folder_without_function_app_is_served_with_no_functions(serve, caplog, tmp_path):
    app = serve("", environ={"PYTHON_SCRIPT_FILE_NAME": "elsewhere.py"})

    assert app.get("/api/anything").status == 404
    assert "elsewhere.py does not exist" in logged(caplog)


@pytest.mark.parametrize(
    ("host_json", "says"),
    [
        ("{not json", "host.json is not JSON"),
        ("[]", "must hold an object"),
        ({"version": "1.0"}, 'must be "2.0"'),
        ({"version": "2"}, 'must be "2.0"'),
        ({"extensions": {}}, 'must be "2.0"'),
        ({"version": "2.0", "extensions": {"http": {"routePrefix": []}}}, "routePrefix"),
        ({"version": "2.0", "logging": {"logLevel": {"default": "Loud"}}}, "logging.logLevel.default is 'Loud'"),
        ({"version": "2.0", "extensions": []}, "extensions"),
        ({"version": "2.0", "functions": "good"}, "functions is 'good'"),
        ({"version": "2.0", "functionTimeout": "soon"}, "functionTimeout"),
        ({"version": "2.0", "functionTimeout": "00:00:00"}, "functionTimeout"),
        ({"version": "2.0", "functionTimeout": True}, "functionTimeout"),
        ({"version": "2.0", "functionTimeout": "00:60:00"}, "functionTimeout"),
    ],
)
def test_a_bad_host_json_leaves_a_host_that_answers_503_and_says_why(serve, caplog, host_json, says):
    app = serve(GOOD, host_json=host_json)

    reply = app.get("/api/good")
    status = app.get("/admin/host/status").json()

    assert (reply.status, reply.body) == (503, b"Function host is not running.")
    assert status["state"] == "Error"
    assert says in status["errors"][0]
    assert says in logged(caplog)
    assert app.get("/admin/host/ping").status == 200


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("{", "local.settings.json is not JSON"),
        ({"Values": {"A": {"nested": 1}}}, "these are not: A"),
        ({"IsEncrypted": True, "Values": {}}, "encrypted"),
        ({"Values": []}, "Values"),
    ],
)
def test_bad_local_settings_leave_a_host_that_says_why(serve, settings, says):
    app = serve(GOOD, settings=settings)

    assert app.get("/api/good").status == 503
    assert says in app.get("/admin/host/status").json()["errors"][0]


@pytest.mark.parametrize(("host_json", "says"), [(None, "host.json is missing"), ("{}", "host.json is empty")])
def test_a_missing_or_empty_host_json_is_told_of_and_counts_as_the_default_one(serve, caplog, host_json, says):
    app = serve(GOOD, host_json=host_json)

    assert app.get("/api/good").body == b"good"
    assert says in logged(caplog)


@pytest.mark.parametrize(("prefix", "path"), [("7", "/7/good"), ("null", "/good"), ('"a/b/"', "/a/b/good")])
def test_a_prefix_may_be_any_plain_value_and_the_file_may_have_comments(serve, prefix, path):
    text = """{
        // what the "host" reads /* and what not
        "version": "2.0", /* "version": "1.0", */
        "extensions": {"http": {"routePrefix": PREFIX,}, },
    }"""
    app = serve(GOOD, host_json=text.replace("PREFIX", prefix))

    assert app.get(path).body == b"good"


def test_where_json_is_wrong_the_place_is_that_in_the_file(serve):
    app = serve(GOOD, host_json='{\n  // a comment\n  "version": oops\n}')

    assert "line 3 column 14" in app.get("/admin/host/status").json()["errors"][0]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("@app.function_name('no spaces')\n@app.route()\ndef f(req):\n    return ''\n", "this name cannot be used"),
        ("@app.route()\ndef _f(req):\n    return ''\n", "this name cannot be used"),
        ("@app.route()\ndef Host(req):\n    return ''\n", "not be 'host'"),
        ("@app.route(trigger_arg_name='a__b')\ndef f(a__b):\n    return ''\n", "the binding name a__b is invalid"),
        (
            "@app.route(trigger_arg_name='\u00e9')\ndef f(\u00e9):\n    return ''\n",
            "the binding name \u00e9 is invalid",
        ),
    ],
)
def test_a_function_or_binding_with_a_name_that_cannot_be_used_is_in_error_by_itself(serve, caplog, bad, says):
    app = serve(GOOD + bad)

    assert app.get("/api/good").body == b"good"
    assert says in logged(caplog)
    assert [app.get(f"/api/{name}").status for name in ("no%20spaces", "_f", "Host", "f")] == [404] * 4


@pytest.mark.parametrize(("listed", "statuses"), [(["GOOD"], (200, 404)), ([], (200, 200)), (["none"], (404, 404))])
def test_where_host_json_lists_functions_only_those_are_served(serve, listed, statuses):
    other = '@app.route()\ndef other(req: func.HttpRequest) -> str:\n    return ""\n'

    app = serve(GOOD + other, host_json={"version": "2.0", "functions": listed})

    assert (app.get("/api/good").status, app.get("/api/other").status) == statuses


def test_names_with_single_underscores_are_fine(serve):
    app = serve("@app.route(trigger_arg_name='_my_req')\ndef my_function(_my_req):\n    return 'x'\n")

    assert app.get("/api/my_function").body == b"x"


def test_the_environment_wins_over_local_settings(serve):
    app = serve(GOOD, settings={"Values": {"A": "file", "B": "file", "C": 7, "D": None}}, environ={"A": "environment"})

    assert {name: app.environ.get(name) for name in "ABCD"} == {"A": "environment", "B": "file", "C": "7", "D": None}


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ('@app.route(route="GOOD")\ndef bad(req: func.HttpRequest) -> str:\n    return ""\n', "function 'good' too"),
        ('@app.route(route="%UNSET%")\ndef bad(req: func.HttpRequest) -> str:\n    return ""\n', "UNSET"),
        (
            '@app.timer_trigger(arg_name="t", schedule="x y z")\ndef bad(t: func.TimerRequest) -> None:\n    pass\n',
            "six fields",
        ),
        (
            '@app.queue_trigger(arg_name="m", queue_name="q", connection="C")\n'
            "def bad(m: func.QueueMessage) -> None:\n    pass\n",
            "queueTrigger",
        ),
    ],
)
def test_a_function_with_a_bad_trigger_is_in_error_by_itself(serve, caplog, bad, says):
    app = serve(GOOD + bad)

    assert app.get("/api/good").body == b"good"
    assert app.get("/admin/functions/good/status").json() == {}
    assert says in app.get("/admin/functions/bad/status").json()["errors"][0]
    assert "function 'bad': " in logged(caplog)
    assert app.post_json("/admin/functions/bad", {}).status == 404


@pytest.mark.parametrize(
    ("route", "says"),
    [
        ("{x", "closing"),
        ("a/{x:unheard}", "unheard"),
        ("/a", "without a slash at its beginning"),
        ("{*rest}/a", "last"),
    ],
)
def test_a_route_that_cannot_be_read_keeps_the_host_from_running_with_all_functions(serve, caplog, route, says):
    bad = f'@app.route(route="{route}")\ndef bad(req: func.HttpRequest) -> str:\n    return ""\n'
    app = serve(GOOD + bad)

    good, status = app.get("/api/good"), app.get("/admin/host/status").json()

    assert (good.status, good.body) == (503, b"Function host is not running.")
    assert status["state"] == "Error"
    assert "function 'bad': " in status["errors"][0]
    assert says in status["errors"][0]
    assert says in logged(caplog)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("@app.route()\ndef bad(request: func.HttpRequest) -> str:\n    return ''\n", "a binding's arg_name"),
        (
            "@app.route()\ndef bad(req: func.HttpRequest, more: str) -> str:\n    return ''\n",
            "parameters without a binding of the same name: more",
        ),
        ("@app.route()\ndef bad(req: int) -> str:\n    return ''\n", "the httpTrigger binding req cannot be"),
        ("@app.route()\ndef bad(req: func.HttpRequest) -> dict:\n    return {}\n", "cannot answer with"),
        (
            "@app.route()\ndef bad(req: func.HttpRequest, context: str) -> str:\n    return ''\n",
            "azure.functions.Context",
        ),
        ("@app.route()\ndef bad(req: 'Unknown') -> str:\n    return ''\n", "annotations cannot be read"),
        (
            '@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")\ndef bad(tick):\n    pass\n',
            "bindings without a parameter of the same name: timer",
        ),
    ],
)
def test_a_function_that_does_not_fit_its_bindings_takes_the_whole_app_with_it(serve, caplog, bad, says):
    app = serve(GOOD + bad)

    assert app.get("/api/good").status == 404
    assert app.get("/admin/host/status").json()["state"] == "Running"
    assert "function 'bad'" in logged(caplog)
    assert says in logged(caplog)


def test_a_reserved_route_leaves_only_its_function_in_error(serve, caplog):
    app = serve(GOOD + '@app.route(route="runtime/x")\ndef bad(req: func.HttpRequest) -> str:\n    return ""\n')

    assert app.get("/api/good").body == b"good"
    assert app.get("/api/runtime/x").status == 404
    assert "function 'bad': route 'runtime/x' begins as what the host keeps for itself" in logged(caplog)


@pytest.mark.parametrize("returned", ["None", "{}", "[]", "7", "b'x'"])
def test_an_http_function_that_answers_with_what_cannot_be_sent_is_answered_500_and_logged(serve, caplog, returned):
    app = serve(GOOD + f"@app.route()\ndef bad(req: func.HttpRequest):\n    return {returned}\n")

    reply = app.get("/api/bad")

    assert (reply.status, reply.body) == (500, b"")
    name = type(eval(returned)).__name__
    says = f"GET /api/bad failed: TypeError: a value of type {name} was returned; return a text, or a func.HttpResponse"
    assert f"{says} at function_app.py:9 in bad" in logged(caplog)


def test_a_disabled_function_is_as_if_it_were_not_there(serve):
    app = serve(GOOD, environ={"AzureWebJobs.good.Disabled": "true"})

    assert app.get("/api/good").status == 404
    assert app.get("/admin/functions/good").json()["isDisabled"] is True


def test_an_unknown_time_zone_keeps_the_app_from_being_served(serve):
    timer = (
        '@app.timer_trigger(arg_name="t", schedule="0 0 0 1 1 *")\ndef tick(t: func.TimerRequest) -> None:\n    pass\n'
    )
    app = serve(GOOD + timer, environ={"WEBSITE_TIME_ZONE": "Nowhere/There"})

    assert app.get("/api/good").status == 503
    assert "Nowhere/There" in app.get("/admin/host/status").json()["errors"][0]


def test_an_app_in_error_still_stops_in_good_order(serve):
    app = serve("raise RuntimeError('x')")

    app.stop()

    assert not app._thread.is_alive()
