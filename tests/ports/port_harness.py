"""What the tests of the adapters share: signing in at the local cloud, and a service that says what a test wants."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request, urlopen

from azure.core.credentials import AccessToken

from localcloud.stack import LocalCloud

SUBSCRIPTION = "00000000-0000-0000-0000-00000000d0c5"


class ManagedIdentity:
    """The control plane's own identity at the stand-in, asked as azure-identity does."""

    def __init__(self, cloud: LocalCloud, resource: str = "https://management.azure.com") -> None:
        self._url = f"{cloud.endpoints['identity']}/msi/token?api-version=2019-08-01&resource={resource}"
        self._header = (cloud.state / "identity-header.secret").read_text().strip()

    def get_token(self, *_: str, **__: object) -> AccessToken:
        with urlopen(Request(self._url, headers={"X-IDENTITY-HEADER": self._header})) as answer:
            told = json.load(answer)
        return AccessToken(told["access_token"], int(told["expires_on"]))


class AnyToken:
    def get_token(self, *_: str, **__: object) -> AccessToken:
        return AccessToken("canary-token", 2**40)


def put(url: str, body: object) -> None:
    data, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
    urlopen(Request(url, data=data, method="PUT", headers=headers)).close()


def clear(url: str) -> None:
    urlopen(Request(url, method="DELETE")).close()


class Scripted:
    """A service that answers by (method, end of path): a status and a body, which is JSON unless it is bytes."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], tuple[int, object]] = {}
        self.asked: list[tuple[str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.origin = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def says(self, method: str, end: str, body: object, status: int = 200) -> None:
        self.answers[(method, end)] = (status, body)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                service.asked.append((self.command, path))
                found = [
                    answer
                    for (method, end), answer in service.answers.items()
                    if method == self.command and path.endswith(end)
                ]
                status, body = found[0] if found else (404, {"error": {"code": "ResourceNotFound"}})
                raw = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "text/html" if isinstance(body, bytes) else "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                return

        return Handler
