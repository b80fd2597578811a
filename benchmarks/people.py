"""Many users at once over the HTTP API, from one asyncio process: light, so that it measures the other side."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp

API_VERSION = "2026-12-01-preview"
LONGEST_S = 120.0


class People:
    """Signed-in users of one local cloud."""

    def __init__(self, endpoints: dict[str, str]) -> None:
        self.endpoints = endpoints
        self._tokens: dict[str, str] = {}
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> People:
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.close()

    @property
    def http(self) -> aiohttp.ClientSession:
        if self._http is None:
            msg = "use `async with`"
            raise RuntimeError(msg)
        return self._http

    async def sign_in(self, user: str) -> None:
        async with self.http.get(f"{self.endpoints['identity']}/token?user={user}&expires_in=7200") as answer:
            self._tokens[user] = (await answer.json())["access_token"]

    async def call(
        self, user: str, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any, dict[str, str]]:
        """Call the API; return status, body, headers."""
        url = path if path.startswith("http") else f"{self.endpoints['api']}{path}?api-version={API_VERSION}"
        signed = {"Authorization": f"Bearer {self._tokens[user]}", **(headers or {})}
        async with self.http.request(method, url, json=body, headers=signed) as answer:
            text = await answer.read()
            return answer.status, (await answer.json() if text else None), dict(answer.headers)

    async def put(self, url: str, body: Any) -> None:
        """Set a handle of the local cloud, such as its capacity."""
        async with self.http.put(url, json=body) as answer:
            answer.raise_for_status()

    async def allow(self, sessions: int, **others: Any) -> None:
        """Set demo's caps, and other settings, as the operator."""
        await self.sign_in("olga")
        body = {
            "serverlessGpuSessionsSettings": {
                "serverlessGpuSessionsMode": "AutoDeploy",
                "maxConcurrentSessionsPerProject": sessions,
            },
            "maxConcurrentSessionsPerUser": sessions,
            **others,
        }
        status, answer, _ = await self.call("olga", "PUT", "/projects/demo/gpuSettings", body, {"If-Match": "*"})
        if status not in (200, 201):
            raise RuntimeError(f"settings: {status} {answer}")

    async def open(self, user: str, shell: str) -> float:
        """Open a shell, follow its operation as the command does; return seconds until it runs."""
        begun = time.perf_counter()
        status, answer, headers = await self.call(user, "PUT", f"/projects/demo/users/me/shells/{shell}", {})
        if status != 201:
            raise RuntimeError(f"open {shell}: {status} {answer}")
        monitor, told = headers["Operation-Location"], headers
        while time.perf_counter() - begun < LONGEST_S:
            await asyncio.sleep(int(told.get("Retry-After-Ms", 1000)) / 1000)
            _, operation, told = await self.call(user, "GET", monitor)
            if operation["status"] == "Succeeded":
                return time.perf_counter() - begun
            if operation["status"] in ("Failed", "Canceled"):
                raise RuntimeError(f"open {shell}: {operation}")
        raise TimeoutError(shell)

    async def close_and_wait(self, user: str, shell: str) -> float:
        """Close a shell; return seconds until its session has ended and its GPU is free."""
        begun = time.perf_counter()
        path = f"/projects/demo/users/me/shells/{shell}"
        await self.call(user, "DELETE", path)
        while time.perf_counter() - begun < LONGEST_S:
            _, view, _ = await self.call(user, "GET", path)
            if view["state"] == "Ended":
                return time.perf_counter() - begun
            await asyncio.sleep(0.25)
        raise TimeoutError(shell)
