"""App Service Authentication's principal header: what it must say before anybody is believed to be somebody."""

from __future__ import annotations

import base64
import json

import pytest

from shared.domain.claims import LONGEST_PRINCIPAL, TokenRefused, caller_of_principal
from tests.signing import AUDIENCE, OTHER_TENANT, TENANT, USER

OID = "http://schemas.microsoft.com/identity/claims/objectidentifier"
TID = "http://schemas.microsoft.com/identity/claims/tenantid"
ROLE = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
GOOD = [("aud", AUDIENCE), (OID, USER), (TID, TENANT), ("preferred_username", "alice@demo.example")]


def header(claims=GOOD, **changed) -> str:
    told = {"auth_typ": "aad", "name_typ": "n", "role_typ": "r", **changed}
    told["claims"] = claims and [{"typ": kind, "val": value} for kind, value in claims]
    return base64.b64encode(json.dumps(told).encode()).decode()


def read(text: str):
    return caller_of_principal(text, tenants={TENANT}, audiences={AUDIENCE})


def test_a_principal_names_its_user_and_roles():
    caller = read(header([*GOOD, ("roles", "Gpu.Admin"), (ROLE, "Gpu.Operator"), ("name", "Alice")]))

    assert (caller.user, caller.tenant, caller.name) == (USER, TENANT, "alice@demo.example")
    assert caller.roles == {"Gpu.Admin", "Gpu.Operator"}


@pytest.mark.parametrize("claims", [[("oid", USER), ("tid", TENANT), ("aud", AUDIENCE)], [*GOOD, (OID, USER)]])
def test_short_names_and_repetition_of_the_same_are_understood(claims):
    assert read(header(claims)).user == USER


@pytest.mark.parametrize(
    "text",
    [
        header([*GOOD[:2], (TID, OTHER_TENANT)]),
        header(GOOD[:2]),
        header([GOOD[0], GOOD[2]]),
        header(GOOD[1:]),
        header([("aud", "api://other"), *GOOD[1:]]),
        header([*GOOD, (OID, USER.replace("a", "b"))]),
        header([*GOOD, ("tid", OTHER_TENANT)]),
        header([*GOOD[:1], (OID, "alice"), GOOD[2]]),
        header(auth_typ="google"),
        header(None),
        header([*GOOD, ("roles", ["Gpu.Operator"])]),
        "",
        "e30=",
        "not base64!",
        "W10=",
        base64.b64encode(b"\xff\xfe").decode(),
        base64.b64encode(b"[" * 9000).decode(),
        "Ω",
        header([*GOOD, ("x", "y" * LONGEST_PRINCIPAL)]),
    ],
    ids=lambda text: text[:12],
)
def test_who_is_not_surely_one_of_ours_is_refused(text):
    with pytest.raises(TokenRefused):
        read(text)
