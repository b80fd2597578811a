"""What the tests of the local cloud share: a server in a thread, so that real (blocking) clients can talk to it."""

import asyncio
import json
import socket
import threading
import time
from datetime import UTC, datetime

import pytest
from aiohttp import web

from localcloud.stack.http import ask

PATIENCE_S = 20


class ServerThread:
    """Runs aiohttp applications on a loop of its own, each at an origin known before the application is made."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._runners = []

    def run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    def serve(self, make_app):
        listener = socket.create_server(("127.0.0.1", 0))
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.run(self._serve(make_app(origin), listener))
        return origin

    async def _serve(self, app, listener):
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        self._runners.append(runner)
        await web.SockSite(runner, listener).start()

    def stop(self):
        for runner in self._runners:
            self.run(runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()


@pytest.fixture
def server():
    thread = ServerThread()
    yield thread
    thread.stop()


@pytest.fixture
def now():
    return lambda: datetime.now(UTC)


@pytest.fixture
def eventually():
    """Wait until a question is answered with something true, and return the answer."""

    def wait(question):
        gives_up_at = time.monotonic() + PATIENCE_S
        while not (answer := question()):
            assert time.monotonic() < gives_up_at, "it did not come to pass"
            threading.Event().wait(0.01)
        return answer

    return wait


@pytest.fixture
def fetch():
    """Send a request and return status and JSON body."""

    def send(method, url, body=None, **headers):
        answer = ask(method, url, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})
        return answer.status, json.loads(answer.body) if answer.body else None

    return send
