import pytest


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (
            """
            @app.route(route="x")
            def f(request: func.HttpRequest) -> str:
                return "x"
            """,
            "bindings without a parameter of the same name: req",
        ),
        (
            """
            @app.route(route="x")
            def f(req: func.HttpRequest, more) -> str:
                return "x"
            """,
            "parameters without a binding of the same name: more",
        ),
        (
            """
            @app.route(route="x")
            def f(req: func.HttpRequest, context: str) -> str:
                return "x"
            """,
            "azure.functions.Context",
        ),
        (
            """
            @app.route(route="x")
            def f(req: int) -> str:
                return "x"
            """,
            "httpTrigger binding req cannot be a <class 'int'>",
        ),
        (
            """
            @app.route(route="x")
            def f(req: "NoSuchType") -> str:
                return "x"
            """,
            "NameError",
        ),
        (
            """
            @app.route(route="x")
            def f(req: func.HttpRequest) -> dict:
                return {}
            """,
            "cannot answer with <class 'dict'>",
        ),
        (
            """
            @app.route(route="x")
            def f(req: func.Out[func.HttpRequest]) -> str:
                return "x"
            """,
            "not azure.functions.Out",
        ),
        (
            """
            @app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
            def f(timer: func.HttpRequest) -> None:
                pass
            """,
            "timerTrigger binding timer",
        ),
    ],
)
def test_a_function_that_disagrees_with_its_bindings_takes_the_whole_app_down_with_the_reason(
    serve, caplog, source, says
):
    app = serve(
        '@app.route(route="good")\ndef good(req: func.HttpRequest) -> str:\n    return "good"\n' + dedent(source)
    )

    assert app.get("/api/good").status == 404
    assert app.get("/admin/host/status").json()["state"] == "Running"
    assert any(says in record.getMessage() for record in caplog.records), caplog.text


def dedent(source):
    import textwrap

    return textwrap.dedent(source)


def test_sync_functions_run_side_by_side_in_threads_and_async_ones_on_one_loop(serve):
    app = serve(
        """
        import asyncio, threading
        meeting = threading.Barrier(2, timeout=10)
        arrived = []

        @app.route(route="sync")
        def sync(req: func.HttpRequest) -> str:
            meeting.wait()  # passes only where two calls run at once
            return threading.current_thread().name

        @app.route(route="loops")
        async def loops(req: func.HttpRequest) -> str:
            arrived.append(asyncio.get_running_loop())
            return str(len(set(map(id, arrived))))
        """
    )
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        names = list(pool.map(lambda _: app.get("/api/sync").body, range(2)))

    assert len(set(names)) == 2
    assert [app.get("/api/loops").body for _ in range(3)] == [b"1"] * 3


def test_a_parameter_named_context_tells_about_the_call(serve):
    app = serve(
        """
        @app.route(route="c")
        def about(req: func.HttpRequest, context: func.Context) -> str:
            storage = context.thread_local_storage
            return json.dumps([context.function_name, context.invocation_id == storage.invocation_id,
                               context.function_directory, context.trace_context.trace_parent,
                               context.retry_context.retry_count])
        """
    )

    assert app.get("/api/c").json() == ["about", True, str(app.root), "", 0]


def test_an_answer_may_be_set_in_an_out_parameter(serve):
    app = serve(
        """
        @app.function_name("out")
        @app.generic_trigger(arg_name="req", type="httpTrigger", route="out", authLevel="ANONYMOUS")
        @app.generic_output_binding(arg_name="answer", type="http")
        def out(req: func.HttpRequest, answer: func.Out[func.HttpResponse]) -> None:
            answer.set(func.HttpResponse("set", status_code=201))
        """
    )

    reply = app.get("/api/out")

    assert (reply.status, reply.body) == (201, b"set")


def test_a_timer_function_that_returns_something_is_told_of_in_the_log(serve, caplog):
    app = serve(
        """
        @app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
        def f(timer: func.TimerRequest):
            return 7
        """
    )

    app.post_json("/admin/functions/f", {"input": ""})

    from served_app import until

    until(lambda: "returned a value of type int, and its trigger takes nothing back" in caplog.text)


def test_a_function_that_exits_the_process_fails_only_its_own_call(serve):
    app = serve(
        """
        import sys

        @app.route(route="exit")
        def leave(req: func.HttpRequest) -> str:
            sys.exit(3)

        @app.route(route="async-exit")
        async def leave_too(req: func.HttpRequest) -> str:
            raise KeyboardInterrupt

        @app.route(route="alive")
        def alive(req: func.HttpRequest) -> str:
            return "alive"
        """
    )

    assert app.get("/api/exit").status == 500
    assert app.get("/api/async-exit").status == 500
    assert app.get("/api/alive").body == b"alive"


def test_the_log_says_in_one_line_where_in_the_app_a_function_failed(serve, caplog):
    app = serve(
        """
        @app.route(route="fails")
        def fails(req: func.HttpRequest) -> str:
            return deeper()

        def deeper():
            raise ValueError("no good")
        """
    )

    reply = app.get("/api/fails")

    assert (reply.status, reply.body, reply.header("Content-Type")) == (500, b"", None)
    line = next(record.getMessage() for record in caplog.records if "no good" in record.getMessage())
    assert (
        "GET /api/fails failed: ValueError: no good at function_app.py:11 in deeper < function_app.py:8 in fails"
        in line
    )


def test_a_generic_trigger_is_served_as_its_decorator_is(serve):
    app = serve(
        """
        @app.function_name("generic")
        @app.generic_trigger(arg_name="req", type="httpTrigger", route="generic/{x}", methods=["GET"],
                             authLevel="ANONYMOUS")
        def generic(req: func.HttpRequest) -> str:
            return req.route_params["x"]
        """
    )

    # Without an output binding the worker has nowhere to send what the function returns.
    assert app.get("/api/generic/7").status == 500
    assert app.request("POST", "/api/generic/7").status == 404
