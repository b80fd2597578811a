"""Floods over HTTP: bodies that never end, and openings without end, leave everybody else their service."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

from tests.e2e.people import API_VERSION, new_shell_id
from tests.e2e.waiting import until

SLOW_BODIES = 150


def test_bodies_that_never_end_hold_up_nobody(stack, somebody):
    slow, other = somebody(), somebody()
    api = urlsplit(stack.cloud.endpoints["api"])
    head = (
        f"PUT {api.path}/projects/demo/users/me/shells/shell-that-never-comes?api-version={API_VERSION} HTTP/1.1\r\n"
        f"Host: {api.netloc}\r\nAuthorization: Bearer {slow.token}\r\nContent-Length: 16000\r\n\r\n{{"
    )
    with ExitStack() as held:
        for _ in range(SLOW_BODIES):
            connection = held.enter_context(socket.create_connection((api.hostname, api.port), timeout=10))
            connection.sendall(head.encode())
        shell = other.open()
        shell.until_state("Running")
        assert [other.call("GET", "gpuSettings").status for _ in range(20)] == [200] * 20
        shell.close()
    assert slow.call("GET", "users/me/shells/shell-that-never-comes").status == 404


def test_a_flood_of_openings_is_told_to_wait_and_leaves_others_their_gpu(stack, somebody):
    with stack.under(DEVBOXGPU_USER_OPENINGS_PER_MINUTE="10", DEVBOXGPU_USER_REQUESTS_PER_MINUTE="200"):
        flooder, other = somebody(), somebody()
        first = flooder.open(wait=True).view()

        def flood(_: int) -> tuple[int, str | None]:
            answer = flooder.call("PUT", f"users/me/shells/{new_shell_id()}", {"wait": True})
            return answer.status, answer.headers.get("Retry-After")

        with ThreadPoolExecutor(8) as pool:
            flooding = pool.map(flood, range(150))
            shell = other.open()
            answers = list(flooding)
        refused = [retry_after for status, retry_after in answers if status == 429]
        assert {status for status, _ in answers} == {201, 429}
        assert len(refused) >= 100
        assert all(retry_after is not None and int(retry_after) >= 1 for retry_after in refused)

        shell.until_state("Running")
        until(lambda: attempts_of(stack, first["user"]) == len(refused), "all refused attempts to be in the audit")
        shell.close()
    assert len(told_of(stack, first["user"])) <= 4
    for view in flooder.reads("users/me/shells")["value"]:
        flooder.call("DELETE", f"users/me/shells/{view['id']}")


def told_of(stack, user: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stack.person("olga").reads("activity", type="Access.Refused", actor=user)["value"]
    return found


def attempts_of(stack, user: str) -> int:
    return sum(row["data"]["attempts"] for row in told_of(stack, user))
