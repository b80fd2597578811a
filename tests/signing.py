"""A token issuer in memory: what it signs is right but for what a test makes wrong."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt import PyJWK
from jwt.algorithms import RSAAlgorithm

from shared.ports.signing_keys import KeysUnavailable, SigningKeys
from shared.ports.tokens import EntraTokens

TENANT, OTHER_TENANT = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
ISSUER = "https://login.example/{tenantid}/v2.0"
AUDIENCE = "api://devboxgpu"
USER = "a0000000-0000-4000-8000-000000000001"


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """Return the test run's private key of this name."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(name: str) -> bytes:
    """Return the public half as text, as everybody may have it."""
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return rsa_key(name).public_key().public_bytes(encoding, form)


def jwk(name: str) -> dict[str, Any]:
    return {**RSAAlgorithm.to_jwk(rsa_key(name).public_key(), as_dict=True), "kid": name, "use": "sig"}


def claims(**changed: Any) -> dict[str, Any]:
    """Return the claims of a good access token with these changes; a claim that is `...` is left out."""
    now = int(time.time())
    good = {
        "ver": "2.0",
        "iss": ISSUER.replace("{tenantid}", TENANT),
        "tid": TENANT,
        "aud": AUDIENCE,
        "oid": USER,
        "sub": USER,
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        "scp": "Gpu.Use profile",
        "idtyp": "user",
        "preferred_username": "alice@demo.example",
    }
    return {name: value for name, value in {**good, **changed}.items() if value is not ...}


def signed(told: Mapping[str, Any] | None = None, *, key: str = "key-1", kid: str | None = None) -> str:
    return jwt.encode(dict(told or claims()), rsa_key(key), algorithm="RS256", headers={"kid": kid or key})


def by_hand(header: Mapping[str, Any], told: Mapping[str, Any], signature: bytes = b"") -> str:
    """Return a token that no library would make."""
    return ".".join(
        base64.urlsafe_b64encode(part).rstrip(b"=").decode()
        for part in (json.dumps(header).encode(), json.dumps(told).encode(), signature)
    )


class Issuer:
    """The issuer's page of keys: what it shows, whether it answers, and how often it was asked."""

    def __init__(self, *names: str) -> None:
        self.shows = list(names)
        self.away = False
        self.asked = 0

    def __call__(self) -> Mapping[str, PyJWK]:
        self.asked += 1
        if self.away:
            raise KeysUnavailable("503")
        return {name: PyJWK(jwk(name), algorithm="RS256") for name in self.shows}

    def validator(self, **changed: Any) -> EntraTokens:
        told = {"issuer": ISSUER, "audiences": frozenset({AUDIENCE}), "tenants": frozenset({TENANT}), **changed}
        return EntraTokens(keys=SigningKeys(self), **told)
