"""Tokens: the app's own validator against real signed ones, good and wrong in just one way each."""

from __future__ import annotations

import json
from urllib.request import urlopen

import pytest

from shared.ports.tokens import EntraTokens, KeysUnavailable, TokenRefused

pytestmark = pytest.mark.stack
TENANT = "11111111-1111-1111-1111-111111111111"


def validator(cloud, **changed) -> EntraTokens:
    identity = cloud.endpoints["identity"]
    told = {
        "issuer": f"{identity}/{TENANT}/v2.0",
        "audience": "api://devboxgpu",
        "jwks_url": f"{identity}/{TENANT}/discovery/v2.0/keys",
        "tenants": frozenset({TENANT}),
        **changed,
    }
    return EntraTokens(**told)


def token(cloud, query: str) -> str:
    with urlopen(f"{cloud.endpoints['identity']}/token?{query}") as answer:
        return str(json.load(answer)["access_token"])


def test_a_good_token_names_its_user_and_roles(cloud):
    alice = validator(cloud).caller(token(cloud, "user=alice"))
    olga = validator(cloud).caller(token(cloud, "user=olga"))

    assert alice.name == "alice@demo.example"
    assert not alice.is_operator
    assert olga.is_operator


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("kind=expired", "expired"),
        ("kind=wrong-audience", "audience"),
        ("kind=wrong-issuer", "issuer"),
        ("kind=forged", "signature|key"),
        ("kind=none", "malformed|key"),
        ("kind=not-yet", "not valid yet"),
    ],
)
def test_a_token_that_is_wrong_in_one_way_is_refused_for_that(cloud, query, why):
    with pytest.raises(TokenRefused, match=why):
        validator(cloud).caller(token(cloud, f"user=alice&{query}"))


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "\x00" * 9, "Ω.Ω.Ω"])
def test_what_is_no_token_is_refused(cloud, text):
    with pytest.raises(TokenRefused):
        validator(cloud).caller(text)


def test_a_token_of_another_tenant_is_refused(cloud):
    with pytest.raises(TokenRefused, match="tenant"):
        validator(cloud, tenants=frozenset({"another"})).caller(token(cloud, "user=alice"))


def test_keys_that_cannot_be_had_are_an_outage_and_not_a_bad_token(cloud):
    good = token(cloud, "user=alice")

    with pytest.raises(KeysUnavailable):
        validator(cloud, jwks_url="http://127.0.0.1:9/keys").caller(good)
