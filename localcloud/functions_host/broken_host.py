"""Stands in for an app whose settings cannot be used: the host answers, and says that it is not running."""

import json

from localcloud.functions_host.http_exchange import HttpAnswer, HttpCall, text_answer

_JSON = (("Content-Type", "application/json; charset=utf-8"),)


class BrokenHost:
    """Answers 503 to everything but the admin pages about the host itself."""

    def __init__(self, trouble: str) -> None:
        self.trouble = trouble

    async def start(self) -> None:
        """There is nothing to start."""

    async def stop(self, drain_s: float) -> None:
        """There is nothing to stop."""

    async def handle(self, call: HttpCall) -> HttpAnswer:
        match call.path.lower().rstrip("/"):
            case "/admin/host/ping":
                return HttpAnswer(status=200)
            case "/admin/host/status":
                status = {"id": "local", "state": "Error", "errors": [self.trouble]}
                return HttpAnswer(status=200, headers=_JSON, body=json.dumps(status).encode())
        return text_answer(503, "Function host is not running.")
