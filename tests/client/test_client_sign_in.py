"""Who the person is: which link of the chain gives the token, and what is said where none does."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msal
import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.identity import AuthenticationRecord, AuthenticationRequiredError, CredentialUnavailableError
from conftest import Terminal

from devboxgpu.commands.sign_in import sign_in_first
from devboxgpu.config_files import Places
from devboxgpu.configuration import load
from devboxgpu.errors import ConfigurationError, SignInError, UnreachableError
from devboxgpu.sign_in import azure_links
from devboxgpu.sign_in.azure_links import AzureLink, RememberedLink, links_of
from devboxgpu.sign_in.chain import ChainToken, Link, LinkUnavailableError, Token
from devboxgpu.sign_in.log_in import forget_tokens, log_in, log_out, ways
from devboxgpu.sign_in.remembered import SignedIn, recall, remember
from devboxgpu.sign_in.settings import SignInSettings

CLIENT = "11111111-2222-3333-4444-555555555555"
RECORD = AuthenticationRecord("tenant", CLIENT, "login.microsoftonline.com", "home-id", "ada@contoso.com")
SIGNED_IN = SignedIn(
    way="browser", record=RECORD.serialize(), username="ada@contoso.com", client_id=CLIENT, is_unencrypted=False
)


class FakeLink:
    """Answers as it is told to, answer by answer; counts how often it was asked."""

    def __init__(self, name: str, *answers: Token | Exception) -> None:
        self.name, self.origin = name, f"the {name}"
        self.answers = list(answers)
        self.asked: list[bool] = []

    def is_set_up(self) -> bool:
        return bool(self.answers)

    def token(self, *, fresh: bool) -> Token:
        self.asked.append(fresh)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class FakeCredential:
    """As azure-identity's, for one answer."""

    def __init__(self, answer: AccessToken | Exception) -> None:
        self.answer = answer
        self.calls: list[tuple[str, str | None]] = []

    def get_token(self, *scopes: str, claims: str | None = None) -> Any:
        self.calls.append((scopes[0], claims))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def settings(folder: Path, *, how: str = "auto", client_id: str | None = CLIENT) -> SignInSettings:
    return SignInSettings(
        scope="api://gpu/.default", client_id=client_id, tenant_id=None, how=how, file=folder / "sign_in.json"
    )


def chain(*links: Link, at: float = 0.0) -> ChainToken:
    return ChainToken(links, now=lambda: at)


def test_the_first_link_that_has_a_token_gives_it_and_is_named() -> None:
    empty = FakeLink("environment", LinkUnavailableError("not set up here"))
    full, later = FakeLink("login", Token("mine", 4000.0)), FakeLink("broker", Token("other", 4000.0))
    tokens = chain(empty, full, later)

    assert tokens.token() == tokens.token() == "mine"
    assert tokens.origin == "the login"
    assert (full.asked, later.asked) == ([False], [])


def test_a_person_does_not_become_another_in_the_middle_of_a_shell() -> None:
    mine = FakeLink("login", Token("mine", 100.0), LinkUnavailableError("lapsed"))
    tokens = chain(mine, FakeLink("broker", Token("other", 4000.0)))

    assert tokens.token() == "mine"
    with pytest.raises(SignInError, match="login: lapsed"):
        tokens.token()


def test_a_token_is_renewed_before_it_expires_and_when_it_was_not_accepted() -> None:
    link = FakeLink("login", Token("first", 301.0), Token("second", 301.0), Token("third", 300.0), Token("fourth", 9e9))
    tokens = chain(link, at=0.0)

    assert [tokens.token(), tokens.token()] == ["first", "first"]
    assert tokens.forget()
    assert tokens.token() == "second"
    assert tokens.forget()
    assert [tokens.token(), tokens.token()] == ["third", "fourth"]
    assert link.asked == [False, True, True, False]


def test_nobody_signed_in_is_an_error_that_says_what_to_do_and_what_was_tried() -> None:
    tokens = chain(FakeLink("environment", LinkUnavailableError("not set up here")))

    with pytest.raises(SignInError, match=r"devboxgpu login.*--device-code.*environment: not set up here"):
        tokens.token()


@pytest.mark.parametrize("failure", [SignInError("wrong secret"), UnreachableError("no network")])
def test_a_link_that_fails_is_not_passed_over(failure: Exception) -> None:
    other = FakeLink("login", Token("another person's", 4000.0))

    with pytest.raises(type(failure)):
        chain(FakeLink("environment", failure), other).token()
    assert other.asked == []


@pytest.mark.parametrize(
    ("raised", "told", "words"),
    [
        (AuthenticationRequiredError(["s"]), LinkUnavailableError, "lapsed"),
        (CredentialUnavailableError(message="no broker"), LinkUnavailableError, "no broker"),
        (
            ClientAuthenticationError(message="AADSTS7000215: bad secret\ntrace"),
            SignInError,
            "AADSTS7000215: bad secret$",
        ),
        (ServiceRequestError("name not resolved"), UnreachableError, "Entra ID cannot be reached"),
        (ValueError("Cache encryption is impossible"), SignInError, "--unencrypted-cache"),
        (ConnectionResetError("reset"), UnreachableError, "cannot be reached"),
        (PermissionError("may not read"), SignInError, "set up wrongly: may not read"),
        (ValueError("bad tenant"), SignInError, "set up wrongly: bad tenant"),
    ],
)
def test_what_azure_identity_raises_is_told_apart(raised: Exception, told: type[Exception], words: str) -> None:
    link = AzureLink("broker", "the broker", "scope", lambda: lambda: FakeCredential(raised))

    with pytest.raises(told, match=words):
        link.token(fresh=False)


def test_a_fresh_token_is_one_that_no_cache_can_give() -> None:
    credential = FakeCredential(AccessToken("t", 4000))
    link = AzureLink("environment", "the environment", "api://gpu/.default", lambda: lambda: credential)

    assert link.token(fresh=False) == Token("t", 4000.0)
    link.token(fresh=True)

    (scope, first), (_, second) = credential.calls
    assert (scope, first) == ("api://gpu/.default", None)
    assert json.loads(second or "")["access_token"]["nbf"]["essential"] is True


SECRET = {"AZURE_CLIENT_ID": "a", "AZURE_TENANT_ID": "b", "AZURE_CLIENT_SECRET": "c"}
WORKLOAD = {"AZURE_CLIENT_ID": "a", "AZURE_TENANT_ID": "b", "AZURE_FEDERATED_TOKEN_FILE": "/var/token"}


@pytest.mark.parametrize(
    ("how", "environ", "names"),
    [
        ("auto", SECRET, ["environment", "login", "broker"]),
        ("silent", WORKLOAD, ["environment", "login", "broker"]),
        ("environment", SECRET, ["environment"]),
        ("broker", {}, ["login", "broker"]),
        ("browser", {}, ["login"]),
        ("device-code", {}, ["login"]),
    ],
)
def test_the_configuration_says_which_links_there_are(
    tmp_path: Path, how: str, environ: dict[str, str], names: list[str]
) -> None:
    links = links_of(settings(tmp_path, how=how), environ)

    assert [link.name for link in links] == names
    assert [link.name for link in links if link.is_set_up()] == names[: len(environ) // 3]


def test_half_of_a_service_principal_is_none(tmp_path: Path) -> None:
    link = links_of(settings(tmp_path), {"AZURE_CLIENT_ID": "a", "AZURE_TENANT_ID": "b"})[0]

    with pytest.raises(LinkUnavailableError, match="not set up"):
        link.token(fresh=False)


def test_the_account_that_signed_in_is_used_without_asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, dict[str, Any]]] = []

    def make(way: str, _: SignInSettings, **options: Any) -> FakeCredential:
        made.append((way, options))
        return FakeCredential(AccessToken("hers", 4000))

    monkeypatch.setattr(azure_links, "interactive_credential", make)
    remember(tmp_path / "sign_in.json", SIGNED_IN)
    link = RememberedLink(settings(tmp_path))

    assert link.token(fresh=False).text == "hers"
    assert link.origin == "login by browser, as ada@contoso.com"
    ((way, options),) = made
    assert way == "browser"
    assert options["disable_automatic_authentication"] is True
    assert options["authentication_record"].username == "ada@contoso.com"


def test_the_real_credential_of_a_remembered_account_asks_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("webbrowser.open", lambda *_: pytest.fail("a browser was opened"))
    remember(tmp_path / "sign_in.json", replace(SIGNED_IN, is_unencrypted=True))
    monkeypatch.setattr(msal.PublicClientApplication, "__init__", lambda *_, **__: None)
    monkeypatch.setattr(msal.PublicClientApplication, "get_accounts", lambda *_, **__: [])

    with pytest.raises(LinkUnavailableError, match="lapsed"):
        RememberedLink(settings(tmp_path)).token(fresh=False)


def test_a_sign_in_for_another_app_is_not_used(tmp_path: Path) -> None:
    remember(tmp_path / "sign_in.json", SIGNED_IN)

    with pytest.raises(LinkUnavailableError, match="another client_id"):
        RememberedLink(settings(tmp_path, client_id=CLIENT.replace("1", "9"))).token(fresh=False)
    with pytest.raises(LinkUnavailableError, match="was by browser"):
        RememberedLink(settings(tmp_path, how="broker")).token(fresh=False)


class Interactive:
    """A credential that asks: each way of signing in, succeeding or not."""

    def __init__(self, failing: dict[str, Exception]) -> None:
        self.failing = failing
        self.tried: list[str] = []

    def make(self, way: str, _: SignInSettings, *, is_unencrypted: bool, **options: Any) -> Interactive:
        self.tried.append(way)
        self.options = options
        return self

    def authenticate(self, *, scopes: list[str]) -> AuthenticationRecord:
        assert scopes == ["api://gpu/.default"]
        if (error := self.failing.get(self.tried[-1])) is not None:
            raise error
        if prompt := self.options.get("prompt_callback"):
            prompt("https://microsoft.com/devicelogin", "ABC123", None)
        return RECORD


def test_where_no_browser_opens_a_code_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    asking = Interactive({"browser": CredentialUnavailableError(message="Failed to open a browser")})
    said: list[str] = []

    log_in(settings(tmp_path), how="auto", is_unencrypted=True, say=said.append, make=asking.make)

    assert asking.tried == ["browser", "device-code"]
    assert said[-1] == "open https://microsoft.com/devicelogin and enter the code ABC123"
    file = tmp_path / "sign_in.json"
    assert (found := recall(file)) is not None
    assert (found.way, found.username, found.is_unencrypted) == ("device-code", "ada@contoso.com", True)
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_sign_in_that_the_person_refused_leaves_nothing(tmp_path: Path) -> None:
    asking = Interactive({"device-code": ClientAuthenticationError(message="declined")})

    with pytest.raises(SignInError, match="device-code failed: declined"):
        log_in(settings(tmp_path), how="device-code", is_unencrypted=False, say=lambda _: None, make=asking.make)
    assert recall(tmp_path / "sign_in.json") is None


def test_without_an_app_there_is_nothing_to_sign_in_to(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="client_id is not configured"):
        log_in(settings(tmp_path, client_id=None), how="auto", is_unencrypted=False, say=lambda _: None)


@pytest.mark.parametrize(
    ("how", "environ", "first"),
    [
        ("auto", {"DISPLAY": ":0"}, "browser"),
        ("auto", {"DISPLAY": ":0", "SSH_CONNECTION": "1.2.3.4"}, "device-code"),
        ("auto", {}, "device-code"),
        ("device-code", {"DISPLAY": ":0"}, "device-code"),
    ],
)
@pytest.mark.skipif(
    sys.platform != "linux" or azure_links.is_wsl(), reason="what a desktop is, is another question there"
)
def test_a_browser_is_opened_only_where_the_person_would_see_it(how: str, environ: dict[str, str], first: str) -> None:
    assert ways(how, environ)[0] == first


def test_signing_out_takes_that_accounts_tokens_out_of_the_cache(tmp_path: Path) -> None:
    cache = msal.SerializableTokenCache()
    for home, name in (("home-id", "ada"), ("other-home", "bob")):
        cache.add(
            {
                "client_id": CLIENT,
                "scope": ["api://gpu/.default"],
                "token_endpoint": "https://login.microsoftonline.com/tenant/oauth2/v2.0/token",
                "response": {
                    "access_token": f"at-{name}",
                    "refresh_token": f"rt-{name}",
                    "expires_in": 3600,
                    "client_info": _client_info(home),
                    "id_token_claims": {"preferred_username": name, "oid": home, "tid": "tenant"},
                    "id_token": "e30.e30.e30",
                },
            }
        )
    assert "rt-ada" in cache.serialize()
    record = AuthenticationRecord("t", CLIENT, "login.microsoftonline.com", "home-id.tenant", "ada")

    forget_tokens(cache, replace(SIGNED_IN, record=record.serialize()))

    left = cache.serialize()
    assert "rt-bob" in left
    assert "at-bob" in left
    assert not {"rt-ada", "at-ada", "home-id"} & set(left.replace(".", '"').split('"'))


def _client_info(home: str) -> str:
    return base64.urlsafe_b64encode(json.dumps({"uid": home, "utid": "tenant"}).encode()).decode()


def test_signing_out_opens_the_cache_that_azure_identity_keeps_and_forgets_the_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    where = settings(tmp_path)
    remember(where.file, replace(SIGNED_IN, is_unencrypted=True))

    assert log_out(where) == "ada@contoso.com"
    assert log_out(where) is None


def test_without_a_terminal_nobody_is_asked_and_the_error_says_what_to_do(terminal: Terminal) -> None:
    done = terminal.run("gpus", DEVBOXGPU_ACCESS_TOKEN="", DEVBOXGPU_CLIENT_ID=CLIENT)

    assert done.returncode == 1
    assert b"you are not signed in: run 'devboxgpu login'" in done.stderr
    assert terminal.run("shell", DEVBOXGPU_ACCESS_TOKEN="", DEVBOXGPU_CLIENT_ID=CLIENT).returncode == 125


@pytest.mark.parametrize(
    ("how", "is_signed_in", "asked"),
    [("auto", False, ["auto"]), ("auto", True, []), ("silent", False, []), ("device-code", False, ["device-code"])],
)
def test_at_a_terminal_a_person_is_asked_where_nothing_could_give_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, is_signed_in: bool, asked: list[str]
) -> None:
    ways_asked: list[str] = []
    monkeypatch.setattr("devboxgpu.sign_in.log_in.log_in", lambda _, *, how, **__: ways_asked.append(how))
    monkeypatch.setattr("devboxgpu.sign_in.settings.remembered_file", lambda: tmp_path / "sign_in.json")
    monkeypatch.setattr("devboxgpu.sign_in.azure_links.has_broker", lambda: False)
    if is_signed_in:
        remember(tmp_path / "sign_in.json", SIGNED_IN)

    sign_in_first(
        load(
            endpoint="https://own.example",
            project="demo",
            environ={"DEVBOXGPU_CLIENT_ID": CLIENT, "DEVBOXGPU_SIGN_IN": how},
            files=Places(project=None, user=tmp_path / "none.toml", machine=tmp_path / "none.toml"),
            repository=tmp_path,
        )
    )

    assert ways_asked == asked


def test_a_wrong_set_up_is_one_line_and_none_of_the_librarys(terminal: Terminal) -> None:
    missing = str(terminal.cwd / "token")

    done = terminal.run(
        "gpus",
        DEVBOXGPU_ACCESS_TOKEN="",
        DEVBOXGPU_CLIENT_ID=CLIENT,
        **{**WORKLOAD, "AZURE_FEDERATED_TOKEN_FILE": missing},
    )

    assert done.returncode == 1
    told = done.stderr.decode().splitlines()
    assert len(told) == 1
    assert told[0].startswith("devboxgpu: signing in by environment is set up wrongly")
    assert missing in told[0]


def test_signing_out_without_having_signed_in_is_no_error(terminal: Terminal) -> None:
    done = terminal.run("logout", DEVBOXGPU_CLIENT_ID=CLIENT)

    assert (done.returncode, done.stderr) == (0, b"devboxgpu: nobody was signed in\n")


def test_azure_identity_is_not_loaded_for_the_local_cloud() -> None:
    program = (
        "import sys, devboxgpu.configuration as c; "
        "environ = {'DEVBOXGPU_LOCAL_IDENTITY': 'http://127.0.0.1:2'}; "
        "c.load(endpoint='http://127.0.0.1:1', project='demo', environ=environ); "
        "print(sorted({'azure', 'msal', 'rich', 'websockets'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout == "[]\n"
