"""Our own identity towards Azure, and the one exception for emulators on this machine."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from azure.core.credentials import TokenCredential
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.policies import BearerTokenCredentialPolicy, SansIOHTTPPolicy
from azure.identity import ManagedIdentityCredential

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class PlainHttpRefused(Exception):
    """A token would travel unencrypted to another machine."""


def managed_identity(client_id: str | None) -> TokenCredential:
    """Return the identity that the platform gives this app; locally the identity stand-in speaks the same protocol."""
    return ManagedIdentityCredential(client_id=client_id)


class LoopbackTokenPolicy(SansIOHTTPPolicy[Any, Any]):
    """Sends the token over plain HTTP, to loopback addresses only. The SDK's own policy rightly refuses plain HTTP."""

    def __init__(self, credential: TokenCredential, scope: str) -> None:
        super().__init__()
        self._credential = credential
        self._scope = scope

    def on_request(self, request: PipelineRequest[Any]) -> None:
        host = urlsplit(request.http_request.url).hostname
        if host not in LOOPBACK:
            raise PlainHttpRefused(f"no token is sent to {host} over plain HTTP")
        token = self._credential.get_token(self._scope).token
        request.http_request.headers["Authorization"] = f"Bearer {token}"


def token_policy(credential: TokenCredential, endpoint: str, scope: str) -> Any:
    """Return the policy that signs requests to this endpoint in."""
    if endpoint.startswith("http://"):
        return LoopbackTokenPolicy(credential, scope)
    return BearerTokenCredentialPolicy(credential, scope)
