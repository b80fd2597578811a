from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from devboxgpu.api import ControlPlane
from devboxgpu.errors import RefusedError, UnreachableError
from devboxgpu.tokens import FixedToken, LocalIdentityToken
from devboxgpu.transport import Transport


class Scripted:
    """Gives prepared answers in order, then 200 with an empty object; counts connections."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.connections = 0
        self.close_after_answer = False
        self.port = 0

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def service() -> Iterator[Scripted]:
    script = Scripted()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            script.connections += 1
            super().setup()

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            script.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            status, headers, body = script.answers.pop(0) if script.answers else (200, {}, b"{}")
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            # Closed without a word, as a server does with a connection that was idle for long.
            self.close_connection = script.close_after_answer

        do_GET = do_POST = answer

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    script.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield script
    server.shutdown()
    server.server_close()


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sleeps: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds

    def transport(self, origin: str) -> Transport:
        return Transport(origin, sleep=self.sleep, monotonic=lambda: self.now)


def test_a_busy_service_is_asked_again_when_it_says(service: Scripted) -> None:
    clock = Clock()
    service.answers = [(429, {"Retry-After": "2"}, b""), (503, {"Retry-After-Ms": "300"}, b"")]

    response = clock.transport(service.origin).send("GET", "/x", headers={})

    assert response.status == 200
    assert clock.sleeps == [2.0, 0.3]


def test_a_service_that_stays_busy_gets_the_last_word(service: Scripted) -> None:
    service.answers = [(503, {"Retry-After": "4"}, b"no")] * 9

    response = Clock().transport(service.origin).send("GET", "/x", headers={}, patience_s=10)

    assert (response.status, len(service.requests)) == (503, 3)


def test_other_refusals_are_not_repeated(service: Scripted) -> None:
    service.answers = [(409, {}, b"")]

    assert Clock().transport(service.origin).send("GET", "/x", headers={}).status == 409
    assert len(service.requests) == 1


def test_silence_is_told_as_silence_after_the_patience() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        clock = Clock()
        with pytest.raises(UnreachableError, match="does not answer"):
            clock.transport(f"http://127.0.0.1:{unused.getsockname()[1]}").send("GET", "/", headers={}, patience_s=3)

    assert 1.0 < sum(clock.sleeps) <= 3.0


def test_a_request_that_may_have_been_received_is_told_apart_from_one_that_was_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=lambda: listening.accept()[0].close(), daemon=True).start()
        with pytest.raises(UnreachableError) as received:
            Clock().transport(f"http://127.0.0.1:{listening.getsockname()[1]}").send(
                "PUT", "/", headers={}, patience_s=0
            )
    with pytest.raises(UnreachableError) as refused:
        Clock().transport("http://127.0.0.1:9").send("PUT", "/", headers={}, patience_s=0)

    assert (received.value.may_have_taken_hold, refused.value.may_have_taken_hold) == (True, False)


def test_connections_are_kept(service: Scripted) -> None:
    transport = Transport(service.origin)

    for _ in range(3):
        transport.send("GET", "/", headers={})

    assert service.connections == 1


def test_a_kept_connection_that_the_service_closed_is_replaced_without_a_wait(service: Scripted) -> None:
    clock = Clock()
    service.close_after_answer = True
    transport = clock.transport(service.origin)

    for _ in range(3):
        assert transport.send("POST", "/", headers={}, body=b"{}").status == 200

    assert (service.connections, clock.sleeps) == (3, [])


def test_every_call_can_be_followed_in_the_services_logs(service: Scripted) -> None:
    transport = Transport(service.origin)
    transport.send("GET", "/", headers={})
    transport.send("GET", "/", headers={})

    (_, first), (_, second) = service.requests
    assert first["user-agent"].startswith("devboxgpu/")
    assert first["traceparent"].split("-")[1] == second["traceparent"].split("-")[1]
    assert first["traceparent"] != second["traceparent"]


def test_a_token_that_was_not_accepted_is_fetched_anew_once(service: Scripted) -> None:
    def token(text: str) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, json.dumps({"access_token": text, "expires_in": 3600}).encode()

    tokens = LocalIdentityToken(service.origin, "alice")
    service.answers = [token("old"), (401, {}, b""), token("new"), (200, {}, b'{"id": "s-1"}')]

    assert ControlPlane(Transport(service.origin), tokens, project="demo").get_session("s-1") == {"id": "s-1"}
    assert service.requests[-1][1]["authorization"] == "Bearer new"


def test_a_fixed_token_that_is_not_accepted_is_an_error_with_the_request_id(service: Scripted) -> None:
    error = json.dumps({"error": {"code": "InvalidToken", "message": "expired"}}).encode()
    service.answers = [(401, {"x-ms-request-id": "req-9"}, error)]

    with pytest.raises(RefusedError, match=r"InvalidToken: expired \(request req-9\)"):
        ControlPlane(Transport(service.origin), FixedToken("t", origin=""), project="demo").get_session("s-1")


@pytest.mark.parametrize("body", [b"<html>proxy</html>", b"[]", b""])
def test_an_answer_that_is_no_object_is_not_taken_for_an_empty_one(service: Scripted, body: bytes) -> None:
    service.answers = [(200, {}, body)]

    with pytest.raises(RefusedError, match="is the endpoint right"):
        ControlPlane(Transport(service.origin), FixedToken("t", origin=""), project="demo").list_offers()


def test_names_from_people_stay_within_their_segment_of_the_path(service: Scripted) -> None:
    service.answers = [(404, {}, b"")]

    with pytest.raises(RefusedError):
        ControlPlane(Transport(service.origin), FixedToken("t", origin=""), project="demo").get_session("../../x?y#z")

    assert service.requests[0][0].startswith("/projects/demo/sessions/..%2F..%2Fx%3Fy%23z?")
