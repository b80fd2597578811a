"""Tokens for exec: bound to one app, with an expiry, and still good after the process that made them has gone."""

from __future__ import annotations

from datetime import datetime, timedelta

import jwt

from localcloud.container_apps.records import App
from localcloud.container_apps.registry import now

LIFETIME_S = 3600.0
_ALGORITHM = "HS256"
_ISSUER = "devboxgpu-local-container-apps"


def issue(app: App, *, key: str, lifetime_s: float) -> tuple[str, datetime]:
    """Return a token for this app and no other, not even a later one of the same name, and when it expires."""
    expires_at = now() + timedelta(seconds=lifetime_s)
    claims = {"iss": _ISSUER, "sub": app.id.lower(), "app": app.uid, "exp": expires_at.timestamp()}
    return jwt.encode(claims, key, algorithm=_ALGORITHM), expires_at


def admits(token: str, resource_id: str, *, key: str) -> str | None:
    """Return the uid of the app that the token opens, if it opens the one with this resource id; otherwise None."""
    try:
        claims = jwt.decode(
            token, key, algorithms=[_ALGORITHM], issuer=_ISSUER, options={"require": ["exp", "sub", "app"]}
        )
    except jwt.InvalidTokenError:
        return None
    return str(claims["app"]) if claims["sub"] == resource_id.lower() else None


def bearer(header: str) -> str:
    """Return the token in an Authorization header, empty where there is none."""
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
