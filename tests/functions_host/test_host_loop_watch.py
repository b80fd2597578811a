import asyncio
import threading
from pathlib import Path

from served_app import until

from localcloud.functions_host.loop_watch import LoopWatch

HERE = Path(__file__).parent
BLOCKS = """
import time

@app.route(route="x")
async def x(req: func.HttpRequest) -> str:
    time.sleep(4)
    return "x"
"""


def test_a_loop_that_is_blocked_is_told_of_with_the_line_that_blocks_it(caplog):
    released = threading.Event()

    async def block():
        watch.begin()
        released.wait(20)
        watch.end()

    watch = LoopWatch(HERE, patience_s=0.05)
    thread = threading.Thread(target=asyncio.run, args=(block(),))
    thread.start()
    until(lambda: "the loop is blocked" in caplog.text)
    released.set()
    thread.join()

    until(lambda: "the loop was blocked for" in caplog.text)
    watch.close()
    line = Path(__file__).read_text().splitlines().index("        released.wait(20)") + 1
    assert f"blocked at test_host_loop_watch.py:{line} in block" in caplog.text


def test_a_loop_that_only_waits_is_not_told_of_and_the_watch_ends(caplog):
    async def wait():
        watch.begin()
        await asyncio.sleep(1.3)  # longer than one look of the watch
        watch.end()

    watch = LoopWatch(HERE, patience_s=0.5)
    asyncio.run(wait())
    watch.close()

    until(lambda: not any(thread.name == "loop-watch" for thread in threading.enumerate()))
    assert "blocked" not in caplog.text


def test_a_function_that_blocks_is_named_by_the_host(serve, caplog):
    app = serve(BLOCKS)

    assert app.get("/api/x").body == b"x"
    until(lambda: "the loop was blocked for" in caplog.text)
    assert "the loop is blocked at function_app.py:10 in x" in caplog.text
