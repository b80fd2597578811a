"""A proxy between the Dev Box and the control plane: CONNECT, then TLS to the control plane itself."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from devboxgpu.errors import ConfigurationError, UnreachableError
from devboxgpu.proxies import proxy_for
from devboxgpu.transport import Transport

IN_ADDRESS = "zoe:p%40ss"


class Proxy:
    """Answers one CONNECT after the other, and connects where it says 200."""

    def __init__(self, target: int) -> None:
        self.answer = b"HTTP/1.1 200 Connection established\r\n\r\n"
        self.asked: list[bytes] = []
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._one, args=(client,), daemon=True).start()

    def _one(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        self.asked.append(head)
        client.sendall(self.answer)
        if b"200" not in self.answer:
            client.close()
            return
        server = socket.create_connection(("127.0.0.1", self._target))
        threading.Thread(target=_carry, args=(server, client), daemon=True).start()
        _carry(client, server)


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(4096):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def control_plane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of something that answers over TLS as `gpu.contoso.test`, which this machine trusts."""
    certificate = tmp_path / "certificate.pem"
    certificate.write_bytes(_self_signed("gpu.contoso.test"))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def proxy(control_plane: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    made = Proxy(control_plane)
    for name in ("NO_PROXY", "no_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", f"http://{IN_ADDRESS}@127.0.0.1:{made.port}")
    yield made
    made.close()


def test_the_control_plane_is_reached_by_way_of_the_proxy(proxy: Proxy) -> None:
    answer = Transport("https://gpu.contoso.test").send("GET", "/api", headers={}, patience_s=0)

    assert answer.status == 200
    assert proxy.asked[0].startswith(b"CONNECT gpu.contoso.test:443 ")
    assert b"Proxy-Authorization: Basic em9lOnBAc3M=" in proxy.asked[0]
    assert b"Bearer" not in proxy.asked[0]


def test_a_proxy_that_refuses_is_no_answer_of_the_control_planes(proxy: Proxy) -> None:
    proxy.answer = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"

    with pytest.raises(UnreachableError, match="407"):
        Transport("https://gpu.contoso.test").send("GET", "/api", headers={}, patience_s=0)


def test_a_host_that_is_excepted_is_called_directly(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", ".contoso.test")
    assert proxy_for("gpu.contoso.test") is None


@pytest.mark.parametrize("address", ["socks5://proxy:1080", "http://proxy:eighty", "http://proxy:99999"])
def test_a_proxy_that_cannot_be_used_is_told(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", address)
    with pytest.raises(ConfigurationError, match="NO_PROXY"):
        proxy_for("gpu.contoso.test")


def _self_signed(host: str) -> bytes:
    """A key and its certificate, both as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName(host), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)
