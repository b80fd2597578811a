import pytest

SEEN = """
seen = []

@app.event_grid_trigger(arg_name="event")
def on_event(event: func.EventGridEvent) -> None:
    seen.append([event.id, event.get_json()])
    if event.get_json().get("fail"):
        raise ValueError("refused")

@app.event_grid_trigger(arg_name="event")
async def on_cloud_event(event: func.CloudEvent) -> None:
    seen.append([event.id, event.source])

@app.route(route="seen")
def read(req: func.HttpRequest) -> str:
    return json.dumps(sorted(seen))
"""


def event(number, **data):
    return {"id": f"e{number}", "eventType": "T", "subject": "s", "topic": "t", "data": data, "dataVersion": "1"}


def deliver(app, body, *, function="on_event", kind="Notification", method="POST"):
    headers = [("aeg-event-type", kind)] if kind else []
    path = f"/runtime/webhooks/eventgrid?functionName={function}"
    if isinstance(body, bytes):
        return app.request(method, path, headers, body)
    return app.post_json(path, body, headers)


def test_each_event_of_a_batch_is_handed_over_by_itself(serve):
    app = serve(SEEN)

    reply = deliver(app, [event(1), event(2), event(3)])

    assert (reply.status, reply.body) == (202, b"")
    assert [seen[0] for seen in app.get("/api/seen").json()] == ["e1", "e2", "e3"]


def test_one_failed_event_fails_the_delivery_after_all_were_tried(serve):
    app = serve(SEEN)

    reply = deliver(app, [event(1), event(2, fail=True), event(3)])

    assert (reply.status, reply.body) == (500, b"Exception while executing function: Functions.on_event")
    assert len(app.get("/api/seen").json()) == 3


def test_both_handshakes_are_answered(serve):
    app = serve(SEEN)
    data = {"validationCode": "CODE"}

    in_array = deliver(app, [{"data": data}], kind="SubscriptionValidation")
    alone = deliver(app, {"data": '{"validationCode": "CODE"}'}, kind="subscriptionvalidation")
    cloud = deliver(app, b"", method="OPTIONS", kind=None)

    assert in_array.json() == alone.json() == {"validationResponse": "CODE"}
    assert (cloud.status, cloud.header("WebHook-Allowed-Origin")) == (200, "eventgrid.azure.net")


@pytest.mark.parametrize("body", [b"{", b"", b'"text"', b"null", b"[1]"])
def test_a_body_that_is_no_event_is_500_and_reaches_nobody(serve, body):
    app = serve(SEEN)

    assert deliver(app, body).status == 500
    assert app.get("/api/seen").json() == []


@pytest.mark.parametrize("function", ["none", "read", "ON_EVENT", ""])
def test_a_function_that_takes_no_events_is_not_found(serve, function):
    app = serve(SEEN)

    reply = deliver(app, [event(1)], function=function)

    assert (reply.status, reply.body.decode()) == (404, f"cannot find function: '{function}'")


def test_other_kinds_of_delivery_are_told_apart(serve):
    app = serve(SEEN)

    answers = [deliver(app, [event(1)], kind=kind).status for kind in ("Unsubscribe", "Unknown", None)]

    assert answers == [202, 400, 400]
    assert deliver(app, b"", method="GET", kind=None).status == 400


def test_a_cloud_event_alone_or_in_an_array_reaches_its_function(serve):
    app = serve(SEEN)
    cloud = {"specversion": "1.0", "id": "c1", "source": "/x", "type": "T"}

    assert deliver(app, cloud, function="on_cloud_event").status == 202
    assert deliver(app, [cloud], function="on_cloud_event").status == 202
    assert app.get("/api/seen").json() == [["c1", "/x"]] * 2


def test_an_app_without_event_functions_has_no_such_webhook(serve):
    app = serve('@app.route(route="x")\ndef x(req: func.HttpRequest) -> str:\n    return ""\n')

    assert deliver(app, []).status == 404
