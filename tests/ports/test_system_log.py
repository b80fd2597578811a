"""The system log: what is told of it, how long it is read, and where its token may go. It never raises."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from port_harness import SUBSCRIPTION, ManagedIdentity, clear, put
from test_arm import GROUP, spec, until

from shared.domain.provisioning import AppCondition, says_no_capacity
from shared.ports.arm_answers import condition_of_replica
from shared.ports.azure_container_apps import AzureContainerApps
from shared.ports.container_apps import Accepted
from shared.ports.system_log import LONGEST, MOST_BYTES, newest_troubles, read_troubles

FULL = "Maximum Allowed Cores exceeded for the Managed Environment."


def line(reason: object, msg: object, at: object = "2026-11-21T09:00:00Z", **more: object) -> bytes:
    return json.dumps({"TimeStamp": at, "Type": "Warning", "Reason": reason, "Msg": msg, "Count": 1, **more}).encode()


def log(*lines: bytes) -> bytes:
    return b"\n".join(lines) + b"\n"


def test_only_troubles_are_told_the_newest_first_and_each_once():
    told = newest_troubles(
        log(
            line("AssigningReplica", "Replica 'a' has been scheduled", at="2026-11-21T09:00:00Z"),
            line("AssigningReplicaFailed", FULL, at="2026-11-21T09:00:01Z"),
            line("ContainerTerminated", "exit code 1", at="2026-11-21T09:00:05Z"),
            line("AssigningReplicaFailed", "Waiting for infrastructure", at="2026-11-21T09:00:03Z"),
            line("AssigningReplicaFailed", FULL, at="2026-11-21T09:00:04Z"),
            line(
                "NotTriggerScaleUp",
                "pod didn't trigger scale-up: 1 max node group size reached",
                at="2026-11-21T09:00:02Z",
            ),
            line("ContainerAppReady", "fine", at="2026-11-21T09:00:06Z"),
        )
    )

    assert told == (
        f"exit code 1; {FULL}; Waiting for infrastructure; pod didn't trigger scale-up: 1 max node group size reached"
    )


def test_of_one_instant_the_last_line_is_the_newest():
    assert newest_troubles(log(line("ProbeFailed", "first"), line("ProbeFailed", "second"))) == "second; first"


def test_what_is_long_or_unprintable_is_cut_and_cleaned():
    assert newest_troubles(log(line("ProbeFailed", "a\x1b[31m\n  b"))) == "a [31m b"
    told = newest_troubles(log(line("ProbeFailed", "word " * 200)))
    assert len(told) <= LONGEST
    assert told.endswith("...")


@given(
    st.binary(max_size=300)
    | st.lists(st.sampled_from([b"{}", b"[" * 5000, b"null", b'{"Msg":', b"\xff"])).map(b"\n".join)
)
def test_a_log_may_be_anything(raw):
    assert isinstance(newest_troubles(raw), str)


def test_fields_of_other_kinds_are_read_as_far_as_they_go():
    odd = log(
        line("ProbeFailed", None), line("ProbeFailed", 3, at=7), line(None, FULL, at=None, Extra=[{}]), line({}, [])
    )

    assert newest_troubles(odd + b'{"Reason": "ProbeFailed", "Msg": "cut o') == f"{FULL}; 3"


@pytest.fixture
def stream() -> Iterator[Callable[..., str]]:
    """Return what serves one connection: it sends the pieces, then keeps it open or closes it; gives the address."""
    listeners, over = [], threading.Event()

    def serve(*pieces: bytes, every_s: float = 0.0, stays: bool = False, asked: list[bytes] | None = None) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def run() -> None:
            connection, _ = listener.accept()
            with connection:
                request = connection.recv(65536)
                if asked is not None:
                    asked.append(request)
                try:
                    for piece in pieces:
                        connection.sendall(piece)
                        over.wait(every_s)
                    over.wait(30 if stays else 0)
                except OSError:
                    return

        threading.Thread(target=run, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/subscriptions/s/containerApps/a/eventstream"

    yield serve
    over.set()
    for listener in listeners:
        listener.close()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def test_a_stream_that_does_not_end_is_read_for_two_seconds_and_what_came_is_told(stream):
    began_s = time.monotonic()

    assert read_troubles(stream(HEAD + log(line("AssigningReplicaFailed", FULL)), stays=True), "token") == FULL
    assert time.monotonic() - began_s < 4


def test_a_stream_that_drips_is_not_waited_for(stream):
    began_s = time.monotonic()
    drops = [line("AssigningReplicaFailed", FULL) + b"\n", *[b" "] * 1000]

    assert read_troubles(stream(HEAD, *drops, every_s=0.05), "token") == FULL
    assert time.monotonic() - began_s < 4


def test_a_chunked_stream_is_read(stream):
    head = HEAD.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    whole = log(line("AssigningReplicaFailed", FULL))

    assert read_troubles(stream(head, chunk(whole[:40]), chunk(whole[40:]), chunk(b"")), "token") == FULL


def test_a_flood_is_read_to_the_limit_only(stream):
    flood = log(line("ProbeFailed", "x" * 1000)) * (3 * MOST_BYTES // 1000)

    assert read_troubles(stream(HEAD, log(line("ProbeFailed", FULL, at="2026-12")), flood), "token").startswith(FULL)


def test_the_log_is_asked_for_as_the_vendors_command_does(stream):
    asked: list[bytes] = []

    read_troubles(stream(HEAD, asked=asked), "secret")

    assert b"GET /subscriptions/s/containerApps/a/eventstream?follow=false&output=json&tailLines=100 " in asked[0]
    assert b"Authorization: Bearer secret\r\n" in asked[0]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 401 Unauthorized\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://e/\r\n\r\n",
    ],
)
def test_an_answer_that_is_no_log_tells_nothing(stream, answer):
    assert read_troubles(stream(answer, log(line("ProbeFailed", FULL))), "token") == ""


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "nonsense",
        "https:///eventstream",
        "ftp://127.0.0.1/eventstream",
        "http://logs.example/eventstream",
        "http://127.0.0.1.example/eventstream",
        "http://127.0.0.1:99999/eventstream",
        "http://[::1/eventstream",
        "http://127.0.0.1:1/eventstream",
        "http://127.0.0.1:1/event stream",
    ],
)
def test_an_address_that_must_not_have_the_token_or_answers_nothing_tells_nothing(endpoint, monkeypatch):
    real = socket.create_connection

    def only_loopback(address, *rest, **more):
        assert address[0] in ("127.0.0.1", "::1"), f"a connection to {address}"
        return real(address, *rest, **more)

    monkeypatch.setattr(socket, "create_connection", only_loopback)
    assert read_troubles(endpoint, "token") == ""
    assert read_troubles("http://127.0.0.1:1/eventstream", "to\nken") == ""


@pytest.mark.stack
def test_the_stand_ins_log_says_why_a_replica_does_not_come(cloud, caplog):
    arm, name = cloud.endpoints["arm"], "dbg-troubled"
    apps = AzureContainerApps(
        credential=ManagedIdentity(cloud), endpoint=arm, subscription_id=SUBSCRIPTION, resource_group=GROUP
    )
    caplog.set_level("DEBUG")
    assert apps.troubles(name) == ""
    put(f"{arm}/_faults", {"no_gpu": True})
    try:
        assert apps.create(spec(name)) == Accepted()
        until(lambda: apps.look(name), lambda seen: seen.condition is AppCondition.NO_REPLICA)
        told = until(lambda: apps.troubles(name), bool)
        assert told.startswith(FULL)
        assert says_no_capacity(told)
        put(f"{arm}/_faults", {"system_log_away": True})
        assert apps.troubles(name) == ""
        put(f"{arm}/_faults", {"system_log_away": False, "no_gpu": False})
        until(lambda: apps.look(name), lambda seen: seen.condition is AppCondition.RUNNING)
        assert apps.troubles(name) == ""
        put(f"{arm}/_faults", {"html_503": True})
        assert apps.troubles(name) == ""
        assert "eyJ" not in caplog.text, "a token was logged"
    finally:
        clear(f"{arm}/_faults")
        assert apps.delete(name) == Accepted()


class Part(dict):
    """A part of the SDK's models, as far as a replica's condition reads them."""

    __getattr__ = dict.__getitem__


@pytest.mark.parametrize(
    ("details", "condition"),
    [
        ("WorkLoad Profile Full", AppCondition.REPLICA_REFUSED),
        ("Maximum Allowed Cores exceeded for the Managed Environment", AppCondition.REPLICA_REFUSED),
        ("PullingImage acme.azurecr.io/full:1", AppCondition.PULLING),
        ("ContainerCreating", AppCondition.STARTING),
    ],
)
def test_a_replica_is_refused_by_the_same_words(details, condition):
    container = Part(running_state="Waiting", running_state_details=details, exec_endpoint=None)
    properties = Part(
        created_time=None, containers=[container], running_state="NotRunning", running_state_details=details
    )

    assert condition_of_replica(Part(properties=properties)).condition is condition
