"""Tokens: the app's own validator against real signed ones, good and wrong in just one way each."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from urllib.request import urlopen

import pytest

from shared.ports.signing_keys import AGAIN_S, FRESH_S, USABLE_S, SigningKeys, keys_at
from shared.ports.tokens import EntraTokens, KeysUnavailable, TokenRefused
from tests.signing import AUDIENCE, ISSUER, OTHER_TENANT, TENANT, USER, Issuer, by_hand, claims, jwk, pem, signed

RS256 = {"alg": "RS256", "kid": "key-1", "typ": "JWT"}


@pytest.fixture
def pass_time(monkeypatch):
    at = [1000.0]

    def move(seconds: float) -> None:
        at[0] += seconds

    monkeypatch.setattr("shared.ports.signing_keys.elapsed_s", lambda: at[0])
    return move


def test_a_good_token_names_its_user_tenant_and_roles():
    told = claims(roles=["Gpu.Operator", "Gpu.Admin", 7], oid=USER.upper())

    caller = Issuer("key-1").validator().caller(signed(told))

    assert (caller.user, caller.tenant, caller.name) == (USER, TENANT, "alice@demo.example")
    assert caller.roles == {"Gpu.Operator", "Gpu.Admin"}


@pytest.mark.parametrize(
    ("roles", "operator", "admin"),
    [
        (["Gpu.Operator"], True, True),
        (["Gpu.Admin"], False, True),
        (["gpu.admin", "Gpu.Other"], False, False),
        ("Gpu.Operator", False, False),
        ({"Gpu.Operator": True}, False, False),
        (None, False, False),
    ],
)
def test_app_roles_are_read_to_the_letter(roles, operator, admin):
    caller = Issuer("key-1").validator().caller(signed(claims(roles=roles)))

    assert (caller.is_operator, caller.administers_everywhere) == (operator, admin)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"iss": ISSUER.replace("{tenantid}", OTHER_TENANT)}, "issuer"),
        ({"iss": "https://login.example/v2.0"}, "issuer"),
        ({"tid": OTHER_TENANT}, "tenant"),
        ({"tid": ...}, "lacks the claim 'tid'"),
        ({"tid": [TENANT]}, "tenant"),
        ({"aud": "api://somebody-else"}, "audience"),
        ({"aud": ...}, "lacks the claim 'aud'"),
        ({"aud": []}, "aud"),
        ({"exp": ...}, "lacks the claim 'exp'"),
        ({"nbf": ...}, "lacks the claim 'nbf'"),
        ({"iat": ...}, "lacks the claim 'iat'"),
        ({"exp": "soon"}, "malformed"),
        ({"oid": ...}, "lacks the claim 'oid'"),
        ({"oid": "alice@demo.example"}, "object id"),
        ({"oid": ["a"]}, "object id"),
        ({"ver": "1.0"}, "version 2.0"),
        ({"scp": ...}, "scope Gpu.Use"),
        ({"scp": "User.Read"}, "scope Gpu.Use"),
        ({"scp": "NotGpu.Use Gpu.Users"}, "scope Gpu.Use"),
        ({"scp": ..., "roles": ["Gpu.Operator"], "idtyp": "app"}, "scope Gpu.Use"),
        ({"idtyp": "app"}, "scope Gpu.Use"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_claim_that_is_wrong_or_missing_is_refused_for_that(changed, why):
    with pytest.raises(TokenRefused, match=why):
        Issuer("key-1").validator().caller(signed(claims(**changed)))


@pytest.mark.parametrize(
    ("claim", "seconds", "accepted"),
    [
        ("exp", -30, True),
        ("exp", -90, False),
        ("nbf", 30, True),
        ("nbf", 90, False),
        ("iat", 30, True),
        ("iat", 90, False),
    ],
)
def test_clocks_may_differ_by_a_minute_and_no_more(claim, seconds, accepted):
    token = signed(claims(**{claim: int(time.time()) + seconds}))
    validator = Issuer("key-1").validator()

    if accepted:
        assert validator.caller(token).user == USER
    else:
        with pytest.raises(TokenRefused, match=r"expired|not valid yet"):
            validator.caller(token)


def hs256(told, *, secret: bytes, kid: str = "key-1") -> str:
    """Return a token signed with the issuer's public key as if it were a shared secret."""
    text = by_hand({"alg": "HS256", "kid": kid}, told).rpartition(".")[0]
    return by_hand({"alg": "HS256", "kid": kid}, told, hmac.digest(secret, text.encode(), hashlib.sha256))


@pytest.mark.parametrize(
    "token",
    [
        lambda: by_hand({"alg": "none", "kid": "key-1"}, claims()),
        lambda: by_hand({"alg": "None", "kid": "key-1"}, claims()),
        lambda: by_hand({"kid": "key-1"}, claims()),
        lambda: hs256(claims(), secret=pem("key-1")),
        lambda: by_hand({"alg": "RS512", "kid": "key-1"}, claims(), b"x" * 256),
        lambda: by_hand({"alg": "RS256"}, claims(), b"x" * 256),
        lambda: by_hand({**RS256, "kid": 7}, claims(), b"x" * 256),
        lambda: by_hand({**RS256, "kid": ["key-1"]}, claims(), b"x" * 256),
        lambda: by_hand({**RS256, "jwk": jwk("forger")}, claims(), b"x" * 256),
        lambda: by_hand({**RS256, "jku": "http://127.0.0.1:9/keys"}, claims(), b"x" * 256),
        lambda: by_hand({**RS256, "crit": ["surprise"], "surprise": 1}, claims(), b"x" * 256),
        lambda: by_hand(RS256, claims()),
        lambda: signed(key="forger", kid="key-1"),
        lambda: signed().rpartition(".")[0] + ".",
        lambda: signed().replace(".", "..", 1),
        lambda: signed() + "A",
        lambda: "",
        lambda: "x",
        lambda: "a.b.c",
        lambda: "eyJhbGciOiJub25lIn0.e30.",
        lambda: "\x00" * 9,
        lambda: "Ω.Ω.Ω",
        lambda: "\udcff.\udcff.\udcff",
        lambda: "W10.W10.W10",
        lambda: by_hand([[[]]] * 9, {}),  # type: ignore[arg-type]
        lambda: "Ww" * 40_000,
        lambda: "W1t" * 60_000 + ".e30.e30",
    ],
)
def test_what_is_not_signed_as_it_must_be_is_refused(token):
    with pytest.raises(TokenRefused):
        Issuer("key-1").validator().caller(token())


def test_each_of_several_tenants_has_its_own_issuer():
    both = Issuer("key-1").validator(tenants=frozenset({TENANT, OTHER_TENANT}))
    theirs = claims(tid=OTHER_TENANT, iss=ISSUER.replace("{tenantid}", OTHER_TENANT))

    assert both.caller(signed(theirs)).tenant == OTHER_TENANT
    with pytest.raises(TokenRefused, match="another issuer than its tenant's"):
        both.caller(signed({**theirs, "tid": TENANT}))


def test_any_of_several_audiences_will_do():
    validator = Issuer("key-1").validator(audiences=frozenset({AUDIENCE, "client-id"}))

    assert validator.caller(signed(claims(aud="client-id"))).user == USER


def test_no_refusal_repeats_the_token():
    for token in (signed(claims(exp=1)), signed(key="forger", kid="key-1"), by_hand({"alg": "none"}, claims())):
        with pytest.raises(TokenRefused) as found:
            Issuer("key-1").validator().caller(token)
        assert not any(part in str(found.value) for part in token.split(".") if part)


# keys


def test_a_new_key_is_found_by_its_id_and_an_old_one_goes(pass_time):
    issuer = Issuer("key-1")
    validator = issuer.validator()
    validator.caller(signed())
    issuer.shows = ["key-2"]
    pass_time(AGAIN_S)

    assert validator.caller(signed(key="key-2")).user == USER
    with pytest.raises(TokenRefused, match="does not have"):
        validator.caller(signed())
    assert issuer.asked == 2


def test_made_up_key_ids_set_off_one_question_in_half_a_minute_answered_or_not(pass_time):
    issuer = Issuer("key-1")
    validator = issuer.validator()
    validator.caller(signed())
    for away, error in ((False, TokenRefused), (True, KeysUnavailable), (False, TokenRefused)):
        issuer.away = away
        pass_time(AGAIN_S)
        before = issuer.asked
        for number in range(50):
            with pytest.raises(error):
                validator.caller(signed(key="forger", kid=f"made-up-{number}"))
        assert issuer.asked == before + 1
        assert validator.caller(signed()).user == USER


def test_who_has_a_known_key_never_waits_for_a_question_about_an_unknown_one(pass_time):
    asked, answer = threading.Event(), threading.Event()
    issuer = Issuer("key-1")

    def slow():
        if issuer.asked:
            asked.set()
            assert answer.wait(20)
        return issuer()

    validator = EntraTokens(
        issuer=ISSUER, audiences=frozenset({AUDIENCE}), tenants=frozenset({TENANT}), keys=SigningKeys(slow)
    )
    validator.caller(signed())
    pass_time(AGAIN_S)
    refused: list[Exception] = []

    def flood() -> None:
        try:
            validator.caller(signed(key="forger", kid="made-up"))
        except TokenRefused as error:
            refused.append(error)

    other = threading.Thread(target=flood)
    other.start()
    assert asked.wait(20)

    assert validator.caller(signed()).user == USER
    pass_time(FRESH_S)
    assert validator.caller(signed()).user == USER
    assert not refused
    answer.set()
    other.join(20)
    assert refused


def test_known_keys_outlive_an_outage_of_a_day_and_no_longer(pass_time):
    issuer = Issuer("key-1")
    validator = issuer.validator()
    validator.caller(signed())
    issuer.away = True
    pass_time(FRESH_S)

    assert validator.caller(signed()).user == USER
    assert issuer.asked == 2
    pass_time(USABLE_S)
    with pytest.raises(KeysUnavailable):
        validator.caller(signed())


def test_keys_that_cannot_be_had_are_an_outage_and_not_a_bad_token(pass_time):
    issuer = Issuer("key-1")
    issuer.away = True
    validator = issuer.validator()

    with pytest.raises(KeysUnavailable):
        validator.caller(signed())
    issuer.away = False
    pass_time(3)
    assert validator.caller(signed()).user == USER


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b'{"keys": []}', b'{"keys": [{"kid": "a", "kty": "oct", "k": "AA"}]}', b"\xff"],
)
def test_an_answer_that_is_no_set_of_rsa_keys_brings_none(service, body):
    service.says("GET", "/keys", body)
    validator = EntraTokens(
        issuer=ISSUER,
        audiences=frozenset({AUDIENCE}),
        tenants=frozenset({TENANT}),
        keys=SigningKeys(keys_at(f"{service.origin}/keys")),
    )

    with pytest.raises((KeysUnavailable, TokenRefused)):
        validator.caller(signed())


def test_keys_are_read_from_the_issuers_page(service):
    service.says("GET", "/keys", {"keys": [jwk("key-1"), jwk("key-2") | {"use": "enc"}]})

    assert set(keys_at(f"{service.origin}/keys")()) == {"key-1"}


# the local cloud's own


def validator_at(cloud) -> EntraTokens:
    identity = cloud.endpoints["identity"]
    return EntraTokens(
        issuer=f"{identity}/{TENANT}/v2.0",
        audiences=frozenset({"api://devboxgpu"}),
        tenants=frozenset({TENANT}),
        keys=SigningKeys(keys_at(f"{identity}/{TENANT}/discovery/v2.0/keys")),
    )


def token(cloud, query: str) -> str:
    with urlopen(f"{cloud.endpoints['identity']}/token?{query}") as answer:
        return str(json.load(answer)["access_token"])


@pytest.mark.stack
@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("expired", "expired"),
        ("wrong-audience", "audience"),
        ("wrong-issuer", "issuer"),
        ("forged", "signature"),
        ("none", "RS256"),
        ("not-yet", "not valid yet"),
    ],
)
def test_the_stand_ins_bad_tokens_are_refused_for_what_is_wrong_and_its_good_ones_taken(cloud, kind, why):
    validator = validator_at(cloud)

    assert validator.caller(token(cloud, "user=olga")).is_operator
    with pytest.raises(TokenRefused, match=why):
        validator.caller(token(cloud, f"user=alice&kind={kind}"))
