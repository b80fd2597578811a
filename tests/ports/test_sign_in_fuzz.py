"""Whatever bytes come as a sign-in, the answer is a caller or a refusal: nothing else, and nobody by accident."""

from __future__ import annotations

import base64
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.claims import TokenRefused, caller_of_principal
from shared.ports.tokens import EntraTokens
from tests.signing import AUDIENCE, TENANT, USER, Issuer, by_hand, claims, signed

CORPUS = [
    "",
    ".",
    "..",
    "...",
    "a.b.c",
    "eyJhbGciOiJSUzI1NiJ9.e30.",
    "eyJhbGciOiJSUzI1NiIsImtpZCI6ImtleS0xIn0.bnVsbA.AAAA",
    "eyJhbGciOiJSUzI1NiIsImtpZCI6bnVsbH0.e30.AAAA",
    "=.=.=",
    "%00.%00.%00",
    "\u2028.\u2029.\ufeff",
]
"""Shapes that parsers of tokens have stumbled over."""
VALIDATOR: list[EntraTokens] = []
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def validator() -> EntraTokens:
    if not VALIDATOR:
        VALIDATOR.append(Issuer("key-1").validator())
    return VALIDATOR[0]


def refused(token: str) -> bool:
    try:
        validator().caller(token)
    except TokenRefused:
        return True
    return False


def test_the_corpus_is_refused():
    assert all(refused(token) for token in CORPUS)
    assert not refused(signed())


@given(st.text(max_size=200))
@settings(max_examples=80, deadline=None)
def test_any_text_is_refused(text):
    assert refused(text)


@given(header=st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "zip", "jku"]), JSON), told=JSON)
@settings(max_examples=80, deadline=None)
def test_any_header_and_claims_without_a_signature_are_refused(header, told):
    assert refused(by_hand({"alg": "RS256", "kid": "key-1", **header}, told, b"x" * 256))


@given(at=st.integers(0, 10_000), sign=st.characters(codec="ascii"))
@settings(max_examples=100, deadline=None)
def test_a_good_token_with_one_character_changed_is_refused_or_means_the_same(at, sign):
    good = signed(claims(iat=1_700_000_000, nbf=1_700_000_000, exp=4_000_000_000))
    at %= len(good)
    changed = good[:at] + sign + good[at + 1 :]

    if not refused(changed):  # the last sign of a base64 text has bits that mean nothing
        assert validator().caller(changed).user == USER
        assert changed.rpartition(".")[0] == good.rpartition(".")[0]


@given(changed=st.dictionaries(st.sampled_from(sorted(claims())), JSON, min_size=1, max_size=3))
@settings(max_examples=80, deadline=None)
def test_claims_of_any_kind_under_a_good_signature_name_nobody_else(changed):
    told = {**claims(), **changed}

    if not refused(signed_or_good(told)):
        assert validator().caller(signed_or_good(told)).tenant == TENANT


def signed_or_good(told: dict) -> str:
    """Return the claims signed; what no issuer could sign (PyJWT checks the kinds of some) is left out."""
    try:
        return signed(told)
    except (TypeError, ValueError):
        return "unsignable"


@given(st.one_of(st.text(max_size=200), JSON.map(lambda told: base64.b64encode(json.dumps(told).encode()).decode())))
@settings(max_examples=100, deadline=None)
def test_any_principal_header_is_refused(header):
    try:
        caller_of_principal(header, tenants={TENANT}, audiences={AUDIENCE})
    except TokenRefused:
        return
    raise AssertionError("somebody came out of nothing")
