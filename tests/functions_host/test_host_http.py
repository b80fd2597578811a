import socket

from served_app import refuses, until

ECHO = """
@app.route(route="echo/{*rest}")
def echo(req: func.HttpRequest) -> func.HttpResponse:
    seen = {"method": req.method, "url": req.url, "params": dict(req.params), "route": dict(req.route_params),
            "headers": dict(req.headers), "body": req.get_body().decode()}
    return func.HttpResponse(json.dumps(seen), mimetype="application/json")

@app.route(route="answer", methods=["POST"])
def answer(req: func.HttpRequest) -> func.HttpResponse:
    wanted = req.get_json()
    response = func.HttpResponse(wanted.get("body"), status_code=wanted.get("status", 200))
    for name, value in wanted["headers"]:
        response.headers.add(name, value)
    return response
"""


def test_a_function_sees_the_request_as_on_the_vendors_host(serve):
    app = serve(ECHO)
    headers = [("X-One", "a"), ("X-One", "b"), ("Host", "example.org:80")]

    seen = app.request("PROPFIND", "/API/Echo/a%20b/c%2Fd?x=1&X=2&y=", headers, b"body").json()

    assert seen["method"] == "PROPFIND"
    assert seen["url"] == "http://example.org:80/API/Echo/a%20b/c%2Fd?x=1&X=2&y="
    assert seen["params"] == {"X": "1,2"}
    assert seen["route"] == {"rest": "a b/c%2Fd"}
    assert seen["headers"]["x-one"] == "a,b"
    assert seen["body"] == "body"


def test_a_chunked_body_arrives_empty_as_on_the_vendors_host(serve):
    app = serve(ECHO)
    head = b"POST /api/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"

    with socket.create_connection(("127.0.0.1", app.host.port), timeout=10) as connection:
        connection.sendall(head + b"4\r\nbody\r\n0\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))

    assert b'"body": ""' in answer


def test_a_caller_that_waits_for_leave_to_send_its_body_gets_it(serve):
    app = serve(ECHO)

    with socket.create_connection(("127.0.0.1", app.host.port), timeout=10) as connection:
        connection.sendall(b"POST /api/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        leave = connection.recv(65536)
        connection.sendall(b"body")
        answer = connection.recv(65536)

    assert leave == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert b'"body": "body"' in answer


def test_of_a_repeated_header_the_last_is_sent_and_cookies_are_written_anew(serve):
    app = serve(ECHO)
    cookie = "a=x/y; Path=/; HttpOnly; Secure; SameSite=Lax; Max-Age=9; Domain=d.example"

    reply = app.post_json(
        "/api/answer",
        {"body": "b", "headers": [["X-A", "1"], ["X-A", "2"], ["Set-Cookie", cookie], ["Set-Cookie", "b=2"]]},
    )

    assert [value for name, value in reply.headers if name.lower() == "x-a"] == ["2"]
    assert [value for name, value in reply.headers if name.lower() == "set-cookie"] == [
        "a=x%2Fy; max-age=9; domain=d.example; path=/; secure; samesite=lax; httponly",
        "b=2; domain=; path=",
    ]


def test_what_an_answer_says_of_its_own_length_is_not_believed(serve):
    app = serve(ECHO)

    reply = app.post_json("/api/answer", {"body": "four", "headers": [["Content-Length", "999"]]})

    assert (reply.status, reply.body) == (200, b"four")


def test_values_that_are_no_answer_end_in_an_empty_500(serve):
    app = serve(
        """
        VALUES = {"none": None, "dict": {}, "bytes": b"", "int": 7, "list": []}

        @app.route(route="v/{kind}")
        def v(req: func.HttpRequest):
            return VALUES[req.route_params["kind"]]
        """
    )

    replies = [app.get(f"/api/v/{kind}") for kind in ("none", "dict", "bytes", "int", "list")]

    assert [(reply.status, reply.body) for reply in replies] == [(500, b"")] * 5


def test_a_wrong_verb_and_an_unknown_path_are_404_with_nothing_in_it(serve):
    app = serve(ECHO)

    replies = [
        app.get("/api/answer"),
        app.get("/api/nothing"),
        app.get("/nothing"),
        app.get("/api//echo"),
        app.get("//api/echo"),
    ]

    assert [(reply.status, reply.body, reply.header("Content-Type")) for reply in replies] == [(404, b"", None)] * 5


def test_a_body_over_the_limit_is_refused_and_the_host_lives_on(serve):
    app = serve(ECHO)

    with socket.create_connection(("127.0.0.1", app.host.port), timeout=10) as connection:
        connection.sendall(b"POST /api/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 200000000\r\n\r\n" + b"x" * 1000)

    assert app.request("POST", "/api/echo", body=b"small").json()["body"] == "small"


def test_the_prefix_of_host_json_and_settings_in_routes_are_used(serve):
    app = serve(
        """
        @app.route(route="%WHERE%/it")
        def it(req: func.HttpRequest) -> str:
            return "here"
        """,
        host_json={"version": "2.0", "extensions": {"http": {"routePrefix": ""}}},
        settings={"Values": {"WHERE": "there"}},
    )

    assert app.get("/there/it").body == b"here"
    assert app.get("/api/there/it").status == 404


def test_an_asgi_app_is_served_behind_its_one_function(serve):
    app = serve(
        """
        async def asgi(scope, receive, send):
            if scope["type"] == "lifespan":
                await receive()
                await send({"type": "lifespan.startup.complete"})
                return
            await send({"type": "http.response.start", "status": 203, "headers": [(b"x-path", scope["path"].encode())]})
            await send({"type": "http.response.body", "body": b"from asgi"})

        app = func.AsgiFunctionApp(app=asgi, http_auth_level=func.AuthLevel.ANONYMOUS)
        """,
        host_json={"version": "2.0", "extensions": {"http": {"routePrefix": ""}}},
    )

    reply = app.get("/a/b")

    assert (reply.status, reply.body, reply.header("x-path")) == (203, b"from asgi", "/a/b")


def test_a_request_in_flight_is_answered_before_the_host_stops(serve, tmp_path):
    app = serve(
        """
        import pathlib, time

        @app.route(route="slow/{*file}")
        def slow(req: func.HttpRequest) -> str:
            marker = pathlib.Path("/" + req.route_params["file"])
            marker.write_text("begun")
            while marker.exists():
                time.sleep(0.01)
            return "answered"
        """
    )
    from concurrent.futures import ThreadPoolExecutor

    marker = tmp_path / "marker"
    with ThreadPoolExecutor(2) as pool:
        call = pool.submit(app.get, f"/api/slow{marker}")
        until(marker.exists)
        stopping = pool.submit(app.stop, 10.0)
        until(lambda: refuses(app.host.port))
        marker.unlink()

        assert call.result(10).body == b"answered"
        stopping.result(10)


def test_custom_headers_of_host_json_come_with_each_answer_but_those_of_the_admin_api(serve):
    http = {"customHeaders": {"X-Frame-Options": "DENY", "Content-Type": "not/this"}}
    source = '@app.route(route="x")\ndef x(req: func.HttpRequest) -> str:\n    return "x"\n'
    app = serve(source, host_json={"version": "2.0", "extensions": {"http": http}})

    found, absent, admin = app.get("/api/x"), app.get("/api/none"), app.get("/admin/host/status")

    assert [reply.header("X-Frame-Options") for reply in (found, absent, admin)] == ["DENY", "DENY", None]
    assert found.header("Content-Type").startswith("text/plain")
