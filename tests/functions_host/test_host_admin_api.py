from served_app import until

APP = """
ran = []

@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
def tick(timer: func.TimerRequest) -> None:
    ran.append(["tick", timer.past_due, timer.schedule_status["Last"]])

@app.event_grid_trigger(arg_name="event")
def on_event(event: func.EventGridEvent) -> None:
    ran.append(["event", event.id])

@app.route(route="ran/{x?}", methods=["GET"])
def read(req: func.HttpRequest) -> str:
    if req.get_body():
        ran.append(["http", req.get_body().decode()])
    return json.dumps(ran)
"""


def test_functions_are_run_by_hand_whatever_their_trigger(serve):
    app = serve(APP)

    answers = [
        app.post_json("/admin/functions/TICK", {"input": ""}),
        app.post_json("/admin/functions/on_event", {"input": '{"id": "e1"}'}),
        app.post_json("/admin/functions/read", {"input": "hello"}),
    ]

    assert [(answer.status, answer.body) for answer in answers] == [(202, b"")] * 3
    ran = until(lambda: len(found := app.get("/api/ran").json()) == 3 and found)
    assert sorted(ran) == [["event", "e1"], ["http", "hello"], ["tick", False, "0001-01-01T00:00:00+00:00"]]


def test_a_run_that_cannot_be_is_told_of_at_once(serve):
    app = serve(APP)

    assert app.post_json("/admin/functions/none", {}).status == 404
    assert app.request("POST", "/admin/functions/tick").status == 415
    assert app.request("POST", "/admin/functions/tick", [("Content-Type", "application/json")], b"{").status == 400


def test_an_input_that_the_function_cannot_take_is_told_of_in_the_log(serve, caplog):
    app = serve(APP)

    assert app.post_json("/admin/functions/on_event", {"input": "no json"}).status == 202
    until(lambda: "running on_event by hand failed" in caplog.text)


def test_functions_are_listed_with_their_bindings_and_addresses(serve):
    app = serve(APP)

    listed = {function["name"]: function for function in app.get("/admin/functions").json()}

    assert set(listed) == {"tick", "on_event", "read"}
    assert listed["read"]["invoke_url_template"].endswith("/api/ran/{x?}")
    assert [binding["type"] for binding in listed["tick"]["config"]["bindings"]] == ["timerTrigger"]
    assert app.get("/admin/functions/TICK").json() == listed["tick"]
    assert app.get("/admin/functions/none").status == 404
    assert app.get("/admin/nothing").status == 404
    assert app.get("/admin/host/ping").status == 200


def test_the_home_page_says_that_the_host_runs(serve):
    app = serve(APP)

    assert (app.get("/").status, app.request("POST", "/").status) == (200, 404)
