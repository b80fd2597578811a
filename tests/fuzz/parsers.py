"""Every parser that takes bytes from outside, as a function of bytes that raises nothing but what it is allowed to.

What a parser promises of what it takes is asserted here too. The corpus beside this file has a folder for each.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import azure.functions as func
import msgspec
from azure.functions.eventgrid import EventGridEventInConverter
from azure.functions.meta import Datum
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt import PyJWK
from jwt.algorithms import RSAAlgorithm
from jwt.api_jws import PyJWS
from websockets.exceptions import ConnectionClosedOK

from api.serve import answer, rendered
from devboxgpu.exec_frames import decode
from shared.domain.access import Caller
from shared.domain.images import Image, allowed_image, parse_image
from shared.domain.inbound import Malformed, meaning, seen_key, shown
from shared.domain.names import project_id, session_id, shell_id, user_id
from shared.domain.settings import GpuSettings, ImageSettings, SettingsBounds
from shared.domain.settings_reading import read_settings
from shared.domain.tracing import read_trace
from shared.ports.cost_pages import CostPage
from shared.ports.gpu_probe import _read_all, verdict
from shared.ports.inbound_events import read_event, take_any_time
from shared.ports.price_pages import PricesUnknown, read_page
from shared.ports.settings import BadSettings, parse
from shared.ports.signing_keys import SigningKeys
from shared.ports.system_log import newest_troubles
from shared.ports.tokens import EntraTokens, KeysUnavailable, TokenRefused
from tests.control_plane.fakes import MemoryTables
from tests.control_plane.surroundings import ENVIRONMENT, START, Surroundings, request_for

KEY_ID = "fuzz"
BOUNDS = SettingsBounds(shortest_minutes=1.0, regions=frozenset({"westus3"}), subscription_id="s")


@cache
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def tokens() -> EntraTokens:
    """Return the app's own validator, with an issuer whose keys are at hand."""
    public = json.loads(RSAAlgorithm.to_jwk(key().public_key()))
    known = PyJWK({**public, "kid": KEY_ID, "use": "sig", "alg": "RS256"})
    return EntraTokens(
        issuer="issuer",
        audiences=frozenset({"audience"}),
        tenants=frozenset({"t"}),
        keys=SigningKeys(lambda: {KEY_ID: known}),
    )


@cache
def surroundings() -> Surroundings:
    return Surroundings(lambda: START, MemoryTables())


def token(data: bytes) -> None:
    _caller(data.decode(errors="replace"))


def claims(data: bytes) -> None:
    """Whatever the issuer has signed: the caller is somebody well formed, or nobody."""
    _caller(PyJWS().encode(data, key(), "RS256", headers={"kid": KEY_ID}))


def _caller(text: str) -> None:
    try:
        caller = tokens().caller(text)
    except (TokenRefused, KeysUnavailable):
        return
    assert isinstance(caller, Caller)
    assert user_id(caller.user) == caller.user


def exec_frame(data: bytes) -> None:
    decode(data)
    decode(data.decode(errors="replace"))


def gpu_proof(data: bytes) -> None:
    """The frames of an exec socket, parted by the byte 0x1e."""
    frames: list[bytes] = data.split(b"\x1e")

    def recv(timeout: float) -> bytes:
        if not frames:
            raise ConnectionClosedOK(None, None)
        return frames.pop(0)

    socket: Any = SimpleNamespace(recv=recv)
    verdict(*_read_all(socket))


def event(data: bytes) -> None:
    take_any_time()
    try:
        given = EventGridEventInConverter.decode(Datum(data.decode(), "json"), trigger_metadata=None)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return  # the vendor's binding has refused it: it is never handed to us
    read = read_event(given)
    try:
        meaning(read)
    except Malformed:
        pass
    assert seen_key(read.source, read.id).isalnum()
    assert len(shown(read.data)) <= 2000


def project_settings(data: bytes) -> None:
    try:
        given = msgspec.json.decode(data, type=dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return  # the API has refused it as no JSON
    read = read_settings(given, BOUNDS)
    if not isinstance(read, GpuSettings):
        assert read
        assert all(problem.message.isprintable() for problem in read)


def app_settings(data: bytes) -> None:
    text = data.decode(errors="replace")
    for name in ("DEVBOXGPU_ENVIRONMENTS", "DEVBOXGPU_LEASE_SECONDS", "DEVBOXGPU_TENANT_IDS", "DEVBOXGPU_TELEMETRY"):
        try:
            parse({**ENVIRONMENT, name: text})
        except BadSettings:
            continue


def image(data: bytes) -> None:
    text = data.decode(errors="replace")
    found = parse_image(text)
    allowed_image(ImageSettings(), text)
    if isinstance(found, Image):
        tag = f":{found.tag}" if found.tag else ""
        digest = f"@{found.digest}" if found.digest else ""
        assert f"{found.server}/{found.repository}{tag}{digest}" == text
        assert text.isascii()
        assert text.isprintable()
        assert found.server.rpartition(".azurecr.")[0]


def body(data: bytes) -> None:
    for name in ("OpenShell", "RenewLease", "StopSession", "ReplaceSettings", "UpdateSettings", "ReplayPolicy"):
        parts = {"shell": "shell-one", "session": "a" * 26}
        operation, request = request_for("carol", name, data, headers={"if-match": "*"}, **parts)
        told = rendered(answer(operation, request, surroundings().world), request)
        assert isinstance(told, func.HttpResponse)
        assert told.status_code < 500, (name, told.get_body())
        json.loads(told.get_body() or b"null")


def prices(data: bytes) -> None:
    try:
        read_page(data)
    except PricesUnknown:
        return


def costs(data: bytes) -> None:
    try:
        CostPage.read(data)
    except ValueError:
        return


def system_log(data: bytes) -> None:
    told = newest_troubles(data)

    assert len(told) <= 300
    assert told.isprintable()


def traceparent(data: bytes) -> None:
    text = data.decode(errors="replace")
    trace = read_trace(text)
    assert trace is None or read_trace(str(trace)) == trace


def names(data: bytes) -> None:
    text = data.decode(errors="replace")
    for read in (project_id, user_id, shell_id, session_id):
        found = read(text)
        assert found is None or (found.isascii() and found.isprintable() and read(found) == found)


PARSERS: dict[str, Callable[[bytes], None]] = {
    parser.__name__: parser
    for parser in (
        token, claims, exec_frame, gpu_proof, event, project_settings, app_settings, image, body, prices, costs,
        system_log, traceparent, names,
    )
}  # fmt: skip
