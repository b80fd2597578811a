import stat

import pytest

LEVELS = """
@app.route(route="anonymous", auth_level=func.AuthLevel.ANONYMOUS)
def anonymous(req: func.HttpRequest) -> str:
    return "in"

@app.route(route="function", auth_level=func.AuthLevel.FUNCTION)
def function(req: func.HttpRequest) -> str:
    return "in"

@app.route(route="owner", auth_level=func.AuthLevel.ADMIN)
def owner(req: func.HttpRequest) -> str:
    return "in"

@app.event_grid_trigger(arg_name="event")
def on_event(event: func.EventGridEvent) -> None:
    pass
"""
EVENT_GRID = "/runtime/webhooks/EventGrid?functionName=on_event"


def statuses(app, key):
    headers = [("x-functions-key", key)] if key else []
    return {level: app.get(f"/api/{level}", headers).status for level in ("anonymous", "function", "owner")}


@pytest.mark.parametrize(
    ("key", "opened"),
    [
        ("", ["anonymous"]),
        ("wrong", ["anonymous"]),
        ("function:function", ["anonymous", "function"]),
        ("function:owner", ["anonymous"]),
        ("host:default", ["anonymous", "function"]),
        ("eventgrid_extension", ["anonymous"]),
        ("master", ["anonymous", "function", "owner"]),
    ],
)
def test_each_key_opens_its_own_levels(serve, key, opened):
    app = serve(LEVELS, keys=True)

    found = statuses(app, app.keys.get(key, key))

    assert found == {level: 200 if level in opened else 401 for level in ("anonymous", "function", "owner")}


def test_a_wrong_key_in_the_header_wins_over_a_right_one_in_the_query(serve):
    app = serve(LEVELS, keys=True)
    path = f"/api/function?code={app.keys['master']}"

    assert app.get(path).status == 200
    assert app.get(path, [("x-functions-key", "wrong")]).status == 401


def test_without_a_key_webhooks_and_admin_pages_ask_for_one(serve):
    app = serve(LEVELS, keys=True)

    for path in (EVENT_GRID, "/admin/host/status", "/admin/functions"):
        reply = app.get(path)
        assert (reply.status, reply.body, reply.header("WWW-Authenticate")) == (401, b"", "Bearer")


def test_the_event_grid_webhook_takes_its_own_key_or_the_master_key(serve):
    app = serve(LEVELS, keys=True)
    headers = [("aeg-event-type", "Notification")]

    answers = [
        app.post_json(f"{EVENT_GRID}&code={app.keys[name]}", [], headers).status
        for name in ("eventgrid_extension", "master", "durabletask_extension", "function:on_event")
    ]

    assert answers == [202, 202, 401, 401]


def test_the_admin_api_tells_the_keys_to_the_master_only(serve):
    app = serve(LEVELS, keys=True)
    keys, master = app.keys, [("x-functions-key", app.keys["master"])]

    system = app.get("/admin/host/systemkeys/eventgrid_extension", master).json()
    function = app.get("/admin/functions/FUNCTION/keys", master).json()
    host = app.get("/admin/host/keys", master).json()

    assert system["value"] == keys["eventgrid_extension"]
    assert function["keys"] == [{"name": "default", "value": keys["function:function"]}]
    assert host["keys"] == [{"name": "default", "value": keys["host:default"]}]
    assert app.get("/admin/host/systemkeys/none", master).status == 404


def test_keys_are_kept_over_restarts_and_only_the_owner_may_read_them(serve):
    app = serve(LEVELS, keys=True)
    before = app.keys
    assert len(set(before.values())) == len(before)
    assert stat.S_IMODE(app.keys_file.stat().st_mode) == 0o600
    app.stop()

    again = serve(LEVELS, keys=True)

    assert again.keys == before


def test_a_key_file_that_is_no_key_file_keeps_the_app_from_being_served(serve, tmp_path):
    (tmp_path / "app-state").mkdir()
    (tmp_path / "app-state" / "keys.json").write_text("no json")

    app = serve(LEVELS, keys=True)

    assert app.get("/api/anonymous").status == 503


def test_without_a_key_file_nothing_is_asked_for(serve):
    app = serve(LEVELS)

    assert set(statuses(app, "").values()) == {200}
    assert app.get("/admin/host/status").status == 200
