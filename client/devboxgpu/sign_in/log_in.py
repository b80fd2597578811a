"""The one place that asks a person to sign in, and its undoing."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from devboxgpu.errors import ConfigurationError, SignInError
from devboxgpu.sign_in.azure_links import (
    CACHE_NAME,
    has_broker,
    interactive_credential,
    is_wsl,
    told,
)
from devboxgpu.sign_in.chain import LinkUnavailableError
from devboxgpu.sign_in.remembered import SignedIn, recall, remember
from devboxgpu.sign_in.settings import SignInSettings

Say = Callable[[str], None]
MakeCredential = Callable[..., Any]


def ways(how: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """The ways of asking, best first."""
    if how in {"broker", "browser", "device-code"}:
        return [how]
    opens_browser = _has_desktop(os.environ if environ is None else environ)
    return [*(["broker"] if has_broker() else []), *(["browser"] if opens_browser else []), "device-code"]


def log_in(
    settings: SignInSettings,
    *,
    how: str,
    is_unencrypted: bool,
    say: Say,
    make: MakeCredential = interactive_credential,
) -> SignedIn:
    """Asks the person by the first way that works here, and remembers the account.

    Raises ConfigurationError where nothing says which app to sign in to, SignInError where the person did not or could
    not, UnreachableError where Entra ID does not answer.
    """
    if settings.client_id is None:
        raise ConfigurationError(
            "client_id is not configured: 'devboxgpu config set client_id ID', the id of this command's registration"
        )
    why = []
    for way in ways(how):
        try:
            return _by(way, settings, is_unencrypted=is_unencrypted, say=say, make=make)
        except LinkUnavailableError as error:
            why.append(f"{way}: {error}")
    raise SignInError(f"signing in is not possible here: {'; '.join(why)}")


def _by(way: str, settings: SignInSettings, *, is_unencrypted: bool, say: Say, make: MakeCredential) -> SignedIn:
    say(
        {
            "broker": "sign in in the window of your system",
            "browser": "sign in in the browser (where there is none: 'devboxgpu login --device-code')",
            "device-code": "asking for a code to sign in with",
        }[way]
    )
    options: dict[str, Any] = {}
    if way == "device-code":
        options["prompt_callback"] = lambda address, code, _expires: say(f"open {address} and enter the code {code}")
    with told(way):
        credential = make(way, settings, is_unencrypted=is_unencrypted, **options)
        record = credential.authenticate(scopes=[settings.scope])
    signed_in = SignedIn(
        way=way,
        record=record.serialize(),
        username=record.username,
        client_id=record.client_id,
        is_unencrypted=is_unencrypted,
    )
    remember(settings.file, signed_in)
    return signed_in


def log_out(settings: SignInSettings) -> str | None:
    """Takes the account's tokens from the cache and forgets it: who it was, None where nobody was signed in.

    A token that was given out stays good until it expires: an hour or so.
    """
    signed_in = recall(settings.file)
    if signed_in is None:
        return None
    with told(signed_in.way):
        forget_tokens(_cache(signed_in), signed_in)
    settings.file.unlink(missing_ok=True)
    return signed_in.username


def forget_tokens(cache: Any, signed_in: SignedIn) -> None:
    """Takes whatever an msal token cache holds of the account out of it."""
    from azure.identity import AuthenticationRecord

    of_account = {"home_account_id": AuthenticationRecord.deserialize(signed_in.record).home_account_id}
    kinds = cache.CredentialType
    for kind, remove in (
        (kinds.REFRESH_TOKEN, cache.remove_rt),
        (kinds.ACCESS_TOKEN, cache.remove_at),
        (kinds.ID_TOKEN, cache.remove_idt),
        (kinds.ACCOUNT, cache.remove_account),
    ):
        for item in list(cache.search(kind, query=of_account)):
            remove(item)


def _cache(signed_in: SignedIn) -> Any:
    """The cache that azure-identity keeps under our name; it has no public way to open it, nor to sign out."""
    from azure.identity import TokenCachePersistenceOptions
    from azure.identity._persistent_cache import _load_persistent_cache

    options = TokenCachePersistenceOptions(name=CACHE_NAME, allow_unencrypted_storage=signed_in.is_unencrypted)
    return _load_persistent_cache(options)


def _has_desktop(environ: Mapping[str, str]) -> bool:
    """Whether a browser that is opened here is seen by the person at this terminal."""
    if environ.get("SSH_CONNECTION"):
        return False
    if sys.platform in {"win32", "darwin"} or is_wsl():
        return True
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))
