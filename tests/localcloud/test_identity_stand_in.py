"""The identity stand-in: good tokens pass a real validation, each bad kind fails in its own way and only in that."""

import stat
import uuid

import jwt
import pytest
from azure.identity import ManagedIdentityCredential

from localcloud.identity import people
from localcloud.identity.keys import KEY_FILE, kept_key
from localcloud.identity.tokens import InvalidToken, TokenCheck
from localcloud.identity.web import IdentityService

SECRET = "made-up-header"


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    return kept_key(tmp_path_factory.mktemp("key"))


@pytest.fixture
def identity(server, key, now):
    return server.serve(lambda origin: IdentityService(key=key, origin=origin, identity_header=SECRET, now=now).app())


def validate(identity, token):
    """Check a token as the app does: everything read from the discovery document and the published keys."""
    keys = jwt.PyJWKClient(f"{identity}/{people.TENANT}/discovery/v2.0/keys")
    return jwt.decode(
        token,
        keys.get_signing_key_from_jwt(token).key,
        algorithms=["RS256"],
        audience="api://devboxgpu",
        issuer=f"{identity}/{people.TENANT}/v2.0",
        leeway=60,
        options={"require": ["exp", "iat", "nbf", "aud", "iss"]},
    )


def get_token(fetch, identity, query):
    status, body = fetch("GET", f"{identity}/token?{query}")
    assert status == 200, body
    return body["access_token"]


def test_a_users_token_passes_a_validation_with_the_published_keys(identity, fetch):
    claims = validate(identity, get_token(fetch, identity, "user=alice"))

    assert claims["oid"] == str(uuid.uuid5(people.NAMESPACE, "alice"))
    assert claims["tid"] == people.TENANT
    assert claims["scp"] == "Gpu.Use"
    assert claims["ver"] == "2.0"
    assert claims["preferred_username"] == "alice@demo.example"
    assert "roles" not in claims


def test_the_operator_has_the_role_and_others_get_it_only_by_asking(identity, fetch):
    assert validate(identity, get_token(fetch, identity, "user=olga"))["roles"] == ["Gpu.Operator"]
    assert validate(identity, get_token(fetch, identity, "user=bob&roles=One,Two"))["roles"] == ["One", "Two"]
    assert "roles" not in validate(identity, get_token(fetch, identity, "user=olga&roles="))


def test_a_token_lives_as_long_as_was_asked(identity, fetch):
    _, body = fetch("GET", f"{identity}/token?user=load-9999&expires_in=90")
    claims = validate(identity, body["access_token"])

    assert body["expires_in"] == 90
    assert claims["exp"] - claims["iat"] == 90


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("expired", jwt.ExpiredSignatureError),
        ("not-yet", jwt.ImmatureSignatureError),
        ("wrong-audience", jwt.InvalidAudienceError),
        ("wrong-issuer", jwt.InvalidIssuerError),
        ("forged", jwt.InvalidSignatureError),
        ("none", jwt.InvalidAlgorithmError),
    ],
)
def test_each_bad_token_fails_in_its_own_way(identity, fetch, kind, error):
    token = get_token(fetch, identity, f"user=alice&kind={kind}")

    with pytest.raises(jwt.PyJWTError) as caught:
        validate(identity, token)

    assert type(caught.value) is error


@pytest.mark.parametrize("kind", ["expired", "not-yet", "wrong-audience", "wrong-issuer", "forged", "none"])
def test_a_bad_token_is_right_in_everything_else(identity, fetch, kind):
    good = jwt.decode(get_token(fetch, identity, "user=alice"), options={"verify_signature": False})
    bad = jwt.decode(get_token(fetch, identity, f"user=alice&kind={kind}"), options={"verify_signature": False})

    changed = {name for name in good if good[name] != bad[name]} - {"iat", "nbf", "exp", "uti"}
    assert changed == {"wrong-audience": {"aud"}, "wrong-issuer": {"iss"}}.get(kind, set())
    assert good.keys() == bad.keys()


@pytest.mark.parametrize(
    ("query", "status", "word"),
    [
        ("user=mallory", 404, "alice"),
        ("user=load-0", 404, "load-1"),
        ("user=load-10000", 404, "load-9999"),
        ("", 404, "alice"),
        ("user=alice&kind=odd", 400, "wrong-audience"),
        ("user=alice&expires_in=-5", 400, "seconds"),
        ("user=alice&expires_in=soon", 400, "seconds"),
        ("user=alice&audiense=x", 400, "audiense"),
    ],
)
def test_a_question_that_makes_no_sense_is_answered_with_what_would(identity, fetch, query, status, word):
    answered, body = fetch("GET", f"{identity}/token?{query}")

    assert answered == status
    assert word in body["error_description"]


def test_azure_identity_gets_the_control_planes_token(identity, monkeypatch):
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{identity}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", SECRET)

    token = ManagedIdentityCredential().get_token("https://management.azure.com/.default").token

    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["aud"] == "https://management.azure.com"
    assert claims["oid"] == people.CONTROL_PLANE_ID
    assert claims["idtyp"] == "app"
    assert "scp" not in claims


@pytest.mark.parametrize(
    ("query", "header", "status"),
    [
        ("api-version=2019-08-01&resource=r", "wrong", 401),
        ("api-version=2017-09-01&resource=r", SECRET, 400),
        ("api-version=2019-08-01", SECRET, 400),
        ("api-version=2019-08-01&resource=r&client_id=somebody-else", SECRET, 400),
    ],
)
def test_the_managed_identity_refuses_what_is_not_the_protocol(identity, fetch, query, header, status):
    answered, body = fetch("GET", f"{identity}/msi/token?{query}", X_IDENTITY_HEADER=header)

    assert answered == status
    assert body["message"]


def test_the_discovery_document_leads_to_the_keys(identity, fetch, key):
    _, document = fetch("GET", f"{identity}/{people.TENANT}/v2.0/.well-known/openid-configuration")
    _, keys = fetch("GET", document["jwks_uri"])

    assert document["issuer"] == f"{identity}/{people.TENANT}/v2.0"
    assert [entry["kid"] for entry in keys["keys"]] == [key.key_id]
    assert "d" not in keys["keys"][0]


def test_the_key_is_made_once_and_is_its_owners_only(tmp_path):
    first = kept_key(tmp_path)

    assert kept_key(tmp_path).public_pem() == first.public_pem()
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600


def test_a_damaged_key_is_said_and_not_replaced(tmp_path):
    (tmp_path / KEY_FILE).write_text("not a key")

    with pytest.raises(ValueError, match="not a readable key"):
        kept_key(tmp_path)

    assert (tmp_path / KEY_FILE).read_text() == "not a key"


def test_a_stand_ins_own_check_takes_its_audience_with_and_without_a_slash(server, identity, key, fetch):
    check = TokenCheck(key=key, origin=identity, audiences=["https://management.azure.com"])
    for audience in ("https://management.azure.com", "https://management.azure.com/"):
        token = get_token(fetch, identity, f"user=alice&audience={audience}")
        assert server.run(check(token))["oid"] == people.object_id("alice")

    with pytest.raises(InvalidToken, match=r"not meant for https://management\.azure\.com"):
        server.run(check(get_token(fetch, identity, "user=alice")))
