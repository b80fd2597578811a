"""What the configuration says about signing in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from devboxgpu.config_values import Values
from devboxgpu.sign_in.remembered import remembered_file

USUAL = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInSettings:
    scope: str
    client_id: str | None
    """This command's app registration; without it only the environment can sign in."""
    tenant_id: str | None
    how: str
    """A value of the configuration's `sign_in`."""
    file: Path
    """Where `login` remembers the account."""


def sign_in_settings(values: Values) -> SignInSettings | None:
    """None where nothing says what a token is to be asked for."""
    client_id = values.text("client_id")
    scope = values.text("scope") or (f"api://{client_id}/.default" if client_id else None)
    if scope is None:
        return None
    return SignInSettings(
        scope=scope,
        client_id=client_id,
        tenant_id=values.text("tenant_id"),
        how=values.text("sign_in") or USUAL,
        file=remembered_file(),
    )
