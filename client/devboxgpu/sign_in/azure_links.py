"""The links of the chain on azure-identity, which is imported when a token is asked for and not before."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from devboxgpu.errors import SignInError, UnreachableError
from devboxgpu.sign_in.chain import Link, LinkUnavailableError, Token
from devboxgpu.sign_in.remembered import SignedIn, recall
from devboxgpu.sign_in.settings import SignInSettings

CACHE_NAME = "devboxgpu"
ENVIRONMENT_SETS = (
    ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"),
    ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_CERTIFICATE_PATH"),
)
WORKLOAD_SET = ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE")
ANY_ORGANISATION = "organizations"


class Credential(Protocol):
    """What of azure-identity's credentials is used here."""

    def get_token(self, *scopes: str, claims: str | None = None) -> Any: ...


def links_of(settings: SignInSettings, environ: Mapping[str, str]) -> list[Link]:
    """The ways that `settings.how` allows. What the person signed in with goes over the machine's own account."""
    scope = settings.scope
    links: list[Link] = []
    if settings.how in {"auto", "silent", "environment"}:
        links.append(AzureLink("environment", "the environment (AZURE_*)", scope, lambda: _environment(environ)))
    if settings.client_id is not None and settings.how != "environment":
        links.append(RememberedLink(settings))
        if settings.how in {"auto", "silent", "broker"}:
            links.append(AzureLink("broker", "the broker, as the account of this machine", scope, _Broker(settings)))
    return links


class AzureLink:
    """A way that needs no account to be remembered. `make` gives None where it is not set up, and quickly so."""

    def __init__(self, name: str, origin: str, scope: str, make: Callable[[], Callable[[], Credential] | None]) -> None:
        self.name, self.origin = name, origin
        self._scope, self._make = scope, make
        self._credential: Credential | None = None

    def is_set_up(self) -> bool:
        return self._make() is not None

    def token(self, *, fresh: bool) -> Token:
        if self._credential is None:
            if (credential := self._make()) is None:
                raise LinkUnavailableError("not set up here")
            with told(self.name):
                self._credential = credential()
        return token_from(self.name, self._credential, self._scope, fresh=fresh)


class RememberedLink:
    """The account that `login` signed in, from the encrypted cache."""

    name = "login"

    def __init__(self, settings: SignInSettings) -> None:
        self._settings = settings
        self._credential: Credential | None = None
        self.origin = "login"

    def is_set_up(self) -> bool:
        return recall(self._settings.file) is not None

    def token(self, *, fresh: bool) -> Token:
        if self._credential is None:
            signed_in = recall(self._settings.file)
            if signed_in is None:
                raise LinkUnavailableError("nobody has signed in")
            if signed_in.client_id != self._settings.client_id:
                raise LinkUnavailableError("the last sign-in was for another client_id")
            if self._settings.how in {"broker", "browser", "device-code"} and signed_in.way != self._settings.how:
                raise LinkUnavailableError(f"the last sign-in was by {signed_in.way}")
            self.origin = f"login by {signed_in.way}, as {signed_in.username}"
            with told(self.name):
                self._credential = remembered_credential(signed_in, self._settings)
        return token_from(self.name, self._credential, self._settings.scope, fresh=fresh)


def remembered_credential(signed_in: SignedIn, settings: SignInSettings) -> Credential:
    """Gives tokens of the account in the cache, and never asks."""
    from azure.identity import AuthenticationRecord

    found: Credential = interactive_credential(
        signed_in.way,
        settings,
        is_unencrypted=signed_in.is_unencrypted,
        authentication_record=AuthenticationRecord.deserialize(signed_in.record),
        disable_automatic_authentication=True,
    )
    return found


def interactive_credential(way: str, settings: SignInSettings, *, is_unencrypted: bool, **options: Any) -> Any:
    """The credential of this way, its tokens kept encrypted, or plainly where the person allowed that."""
    from azure.identity import DeviceCodeCredential, InteractiveBrowserCredential, TokenCachePersistenceOptions

    cache = TokenCachePersistenceOptions(name=CACHE_NAME, allow_unencrypted_storage=is_unencrypted)
    common = {"client_id": settings.client_id, "cache_persistence_options": cache, **options}
    if settings.tenant_id is not None:
        common["tenant_id"] = settings.tenant_id
    match way:
        case "broker":
            return broker_class()(parent_window_handle=console_window(), **common)
        case "device-code":
            return DeviceCodeCredential(**common)
        case _:
            return InteractiveBrowserCredential(**common)


def has_broker() -> bool:
    """Whether this system has a broker and its library is installed: `pip install devboxgpu[broker]`."""
    from importlib.util import find_spec

    return (sys.platform in {"win32", "darwin"} or is_wsl()) and find_spec("pymsalruntime") is not None


def is_wsl() -> bool:
    try:
        return "microsoft" in Path("/proc/sys/kernel/osrelease").read_text(encoding="ascii", errors="replace").lower()
    except OSError:
        return False


def broker_class() -> Any:
    from importlib import import_module

    try:
        return import_module("azure.identity.broker").InteractiveBrowserBrokerCredential
    except ImportError:
        raise LinkUnavailableError("azure-identity-broker is not installed") from None


def console_window() -> Any:
    """Stands for the window of this console, over which the broker shows its own."""
    from msal import PublicClientApplication

    return PublicClientApplication.CONSOLE_WINDOW_HANDLE


class _Broker:
    """The account that the person is signed in to the machine with: on a Dev Box nobody is asked anything."""

    def __init__(self, settings: SignInSettings) -> None:
        self._settings = settings

    def __call__(self) -> Callable[[], Credential] | None:
        if sys.platform == "darwin" or not has_broker():
            return None  # only Windows knows a default account
        return lambda: interactive_credential_of_machine(self._settings)


def interactive_credential_of_machine(settings: SignInSettings) -> Credential:
    """Only the default account, silently. Its tokens live with the broker and in memory."""
    found: Credential = broker_class()(
        client_id=settings.client_id,
        tenant_id=settings.tenant_id or ANY_ORGANISATION,
        parent_window_handle=console_window(),
        use_default_broker_account=True,
        disable_interactive_fallback=True,
    )
    return found


def _environment(environ: Mapping[str, str]) -> Callable[[], Credential] | None:
    """A service principal's or a workload's identity, where all of its variables are set."""
    if any(all(environ.get(name) for name in names) for names in ENVIRONMENT_SETS):

        def from_variables() -> Credential:
            from azure.identity import EnvironmentCredential

            return EnvironmentCredential()

        return from_variables
    if all(environ.get(name) for name in WORKLOAD_SET):

        def from_token_file() -> Credential:
            from azure.identity import WorkloadIdentityCredential

            return WorkloadIdentityCredential()

        return from_token_file
    return None


def token_from(name: str, credential: Credential, scope: str, *, fresh: bool) -> Token:
    with told(name):
        found = credential.get_token(scope, claims=not_before_now() if fresh else None)
    return Token(found.token, float(found.expires_on))


def not_before_now() -> str:
    """A claims challenge that no token from a cache can meet."""
    return f'{{"access_token":{{"nbf":{{"essential":true,"value":"{int(time.time())}"}}}}}}'


@contextmanager
def told(name: str) -> Iterator[None]:
    """What azure-identity raises, in our words; told apart: has none, failed, cannot be reached."""
    from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError, ServiceResponseError
    from azure.identity import AuthenticationRequiredError, CredentialUnavailableError

    for library in ("azure", "msal", "msal_extensions"):
        # Without a handler their warnings would go to the terminal, beside what is said here.
        logging.getLogger(library).addHandler(logging.NullHandler())
    try:
        yield
    except AuthenticationRequiredError as error:
        why = getattr(error, "error_details", None) or "the sign-in has lapsed"
        raise LinkUnavailableError(str(why)) from None
    except CredentialUnavailableError as error:
        raise LinkUnavailableError(first_line(error)) from None
    except ClientAuthenticationError as error:
        raise SignInError(f"signing in by {name} failed: {first_line(error)}") from None
    except (ServiceRequestError, ServiceResponseError, ConnectionError, TimeoutError) as error:
        raise UnreachableError(
            f"no token: Entra ID cannot be reached ({first_line(error)})", may_have_taken_hold=False
        ) from None
    except (ValueError, OSError) as error:
        if "ncrypt" not in str(error):
            raise SignInError(f"signing in by {name} is set up wrongly: {first_line(error)}") from None
        raise SignInError(
            "tokens cannot be kept encrypted here (no libsecret, or no desktop session): 'devboxgpu login "
            "--unencrypted-cache' keeps them in a file that only you can read"
        ) from None


def first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
