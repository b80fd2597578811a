"""What a sign-in says of a person: claims of an access token, or of App Service Authentication's principal header.

Whether the claims can be believed (signature, times, the platform's word) was decided before.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from shared.domain.access import Caller
from shared.domain.names import user_id

SCOPE = "Gpu.Use"
"""The delegated permission of the app registration that a client asks for in a user's name."""
TENANT_IN_ISSUER = "{tenantid}"
LONGEST_PRINCIPAL = 16 * 1024
_MICROSOFT = "http://schemas.microsoft.com/identity/claims/"
_ROLE_TYPES = ("roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role")


class TokenRefused(Exception):
    """A sign-in does not prove who calls. The text says why, for the log and the caller; it never holds the token."""


def issuer_of(template: str, tenant: str) -> str:
    """Return a tenant's issuer: Entra's common metadata writes `{tenantid}` where the id stands."""
    return template.replace(TENANT_IN_ISSUER, tenant)


def caller_of_token(claims: Mapping[str, Any], *, tenants: Collection[str], issuer: str) -> Caller:
    """Return whom a version 2.0 access token stands for: a user of ours, through a client that asked for our scope.

    Applications' own tokens are refused: nothing here is done in the name of no person.
    """
    tenant = _tenant(claims.get("tid"), tenants)
    if claims.get("iss") != issuer_of(issuer, tenant):
        raise TokenRefused("the token is from another issuer than its tenant's")
    if claims.get("ver") != "2.0":
        raise TokenRefused("the token is not a version 2.0 access token")
    if claims.get("idtyp") == "app" or SCOPE not in str(claims.get("scp") or "").split():
        raise TokenRefused(f"the token is not a user's access token with the scope {SCOPE}")
    return _caller(claims, tenant, claims.get("roles"))


class _Claim(msgspec.Struct, frozen=True):
    typ: str
    val: str


class _Principal(msgspec.Struct, frozen=True):
    auth_typ: str
    claims: list[_Claim]


def caller_of_principal(header: str, *, tenants: Collection[str], audiences: Collection[str]) -> Caller:
    """Return whom `X-MS-CLIENT-PRINCIPAL` stands for: base64 of JSON that the platform wrote of an Entra sign-in.

    A claim that names the person twice names nobody. Only to be called where the platform strips the header from
    what clients send.
    """
    told = _principal(header)
    if told.auth_typ != "aad":
        raise TokenRefused("the platform signed this person in with another directory than Entra ID")
    tenant = _tenant(_one(told, "tid", f"{_MICROSOFT}tenantid"), tenants)
    if _one(told, "aud") not in audiences:
        raise TokenRefused("the sign-in is for another audience")
    person = {
        "oid": _one(told, "oid", f"{_MICROSOFT}objectidentifier"),
        "preferred_username": _one(told, "preferred_username"),
        "name": _one(told, "name"),
    }
    return _caller(person, tenant, [claim.val for claim in told.claims if claim.typ in _ROLE_TYPES])


def _principal(header: str) -> _Principal:
    if len(header) > LONGEST_PRINCIPAL:
        raise TokenRefused("the principal header is too long")
    try:
        return msgspec.json.decode(b64decode(header, validate=True), type=_Principal)
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise TokenRefused("the principal header cannot be read") from error


def _one(told: _Principal, *types: str) -> str | None:
    """Return the one value of a claim, None where there is none or more than one."""
    values = {claim.val for claim in told.claims if claim.typ in types}
    return values.pop() if len(values) == 1 else None


def _tenant(tenant: object, tenants: Collection[str]) -> str:
    if not isinstance(tenant, str) or tenant not in tenants:
        raise TokenRefused("the token is of another tenant")
    return tenant


def _caller(person: Mapping[str, Any], tenant: str, roles: object) -> Caller:
    oid = person.get("oid")
    user = user_id(oid) if isinstance(oid, str) else None
    if user is None:
        raise TokenRefused("the token does not name its user by an object id")
    return Caller(
        user=user,
        tenant=tenant,
        name=str(person.get("preferred_username") or person.get("name") or user),
        roles=frozenset(role for role in roles if isinstance(role, str)) if isinstance(roles, list) else frozenset(),
    )
