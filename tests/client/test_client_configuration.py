from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from devboxgpu.config_edit import set_value, unset_value
from devboxgpu.config_files import Places, find_project_file
from devboxgpu.config_keys import KEYS, checked
from devboxgpu.configuration import Configuration, load
from devboxgpu.errors import ConfigurationError
from devboxgpu.transport import Transport

LOCAL = {"api": "http://127.0.0.1:7071/api", "identity": "http://127.0.0.1:7072"}


class Place:
    """A machine with, or without, a local cloud and a user's file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work" / "deep"
        self.folder.mkdir(parents=True)
        self.repository = folder / "repository"
        self.user_file = folder / "config.toml"
        self.machine_file = folder / "machine.toml"

    def with_local_cloud(self) -> Place:
        state = self.repository / ".localcloud"
        state.mkdir(parents=True)
        (state / "endpoints.json").write_text(json.dumps(LOCAL))
        return self

    def with_file(self, text: str) -> Place:
        self.user_file.write_text(text)
        return self

    def with_machine_file(self, text: str) -> Place:
        self.machine_file.write_text(text)
        return self

    def with_project_file(self, text: str) -> Place:
        (self.folder.parent / ".devboxgpu.toml").write_text(text)
        return self

    def load(self, *, endpoint: str | None = None, project: str | None = None, **environ: str) -> Configuration:
        return load(
            endpoint=endpoint,
            project=project,
            environ=environ,
            files=Places(project=find_project_file(self.folder), user=self.user_file, machine=self.machine_file),
            repository=self.repository,
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_with_nothing_configured_the_error_names_every_way(place: Place) -> None:
    with pytest.raises(ConfigurationError, match=r"--endpoint.*DEVBOXGPU_ENDPOINT.*devboxgpu local up"):
        place.load()


def test_the_local_cloud_is_found_and_its_first_user_signs_in(place: Place) -> None:
    found = place.with_local_cloud().load()

    assert (found.endpoint, found.project) == (LOCAL["api"], "demo")
    assert found.tokens.origin == "the local cloud's identity, as alice"


def test_the_local_user_can_be_another(place: Place) -> None:
    assert place.with_local_cloud().load(DEVBOXGPU_LOCAL_USER="bob").tokens.origin.endswith("as bob")


def test_a_flag_wins_over_the_environment_and_that_over_the_local_cloud_and_the_file(place: Place) -> None:
    place.with_local_cloud().with_file('endpoint = "https://file.example"\nproject = "from-file"')
    token = {"DEVBOXGPU_ACCESS_TOKEN": "t"}

    assert place.load(**token).endpoint == LOCAL["api"]
    by_environment = {**token, "DEVBOXGPU_ENDPOINT": "https://env.example", "DEVBOXGPU_PROJECT": "from-env"}
    assert place.load(**by_environment).endpoint == "https://env.example"
    assert place.load(**by_environment).project == "from-env"
    assert place.load(endpoint="https://flag.example", **by_environment).endpoint == "https://flag.example"
    assert place.load(project="from-flag", **by_environment).project == "from-flag"


def test_the_users_file_serves_where_nothing_else_does(place: Place) -> None:
    place.with_file('endpoint = "https://file.example/api"\nproject = "ml-research"')

    found = place.load(DEVBOXGPU_ACCESS_TOKEN="t")

    assert (found.endpoint, found.project) == ("https://file.example/api", "ml-research")


def test_the_local_identity_is_not_used_for_another_control_plane(place: Place) -> None:
    with pytest.raises(ConfigurationError, match="no way to sign in"):
        place.with_local_cloud().load(endpoint="https://elsewhere.example/api", project="p")


def test_an_endpoint_without_a_project_says_what_is_missing(place: Place) -> None:
    with pytest.raises(ConfigurationError, match="--project"):
        place.load(endpoint="https://elsewhere.example", DEVBOXGPU_ACCESS_TOKEN="t")


@pytest.mark.parametrize("text", ["endpoint = ", 'endpiont = "x"', "project = 3", 'endpoint = "http://far.example"'])
def test_a_wrong_file_is_named_with_what_is_wrong(place: Place, text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"config\.toml"):
        place.with_file(text).load()


def test_a_broken_list_of_endpoints_is_an_error_and_not_an_absence(place: Place) -> None:
    place.with_local_cloud()
    (place.repository / ".localcloud" / "endpoints.json").write_text("{")

    with pytest.raises(ConfigurationError, match=r"endpoints\.json cannot be read"):
        place.load()


def test_a_project_file_goes_over_the_users_and_that_over_the_machines(place: Place) -> None:
    place.with_machine_file('endpoint = "https://all.example"\nproject = "machines"\ngpu = "T4"\nregion = "westus3"')
    place.with_file('project = "users"\ngpu = "A100"').with_project_file('project = "folders"')

    found = place.load(DEVBOXGPU_ACCESS_TOKEN="t")

    assert (found.endpoint, found.project) == ("https://all.example", "folders")
    assert found.with_wishes({}) == {"gpuType": "A100", "region": "westus3"}
    assert found.with_wishes({"gpuType": "T4"}) == {"gpuType": "T4", "region": "westus3"}
    assert found.with_wishes({"session": "s-1"}) == {"session": "s-1"}, "who joins a session takes it as it is"


def test_a_project_file_goes_over_the_local_clouds_own_project_and_the_environment_over_both(place: Place) -> None:
    place.with_local_cloud().with_project_file('project = "folders"')

    assert place.load().project == "folders"
    assert place.load(DEVBOXGPU_PROJECT="from-env").project == "from-env"


@pytest.mark.parametrize("key", sorted(set(KEYS) - {"project", "gpu", "region", "image", "output"}))
def test_a_folder_never_decides_who_gets_a_token(place: Place, key: str) -> None:
    place.with_project_file(f'{key} = "https://stranger.example"')

    with pytest.raises(ConfigurationError, match=rf"'{key}' decides who gets your token"):
        place.load(DEVBOXGPU_ACCESS_TOKEN="t", DEVBOXGPU_ENDPOINT="https://own.example")


def test_a_project_file_of_another_user_is_not_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.with_project_file('image = "evil"')
    monkeypatch.setattr("os.geteuid", lambda: 54321)
    if (place.folder.parent / ".devboxgpu.toml").stat().st_uid == 0:
        os.chown(place.folder.parent / ".devboxgpu.toml", 12345, -1)

    with pytest.raises(ConfigurationError, match="belongs to another user"):
        place.load(DEVBOXGPU_ACCESS_TOKEN="t", DEVBOXGPU_ENDPOINT="https://own.example")


@pytest.mark.parametrize(
    ("key", "bad", "good"),
    [
        ("endpoint", "http://far.example", "http://127.0.0.1:7071/api"),
        ("endpoint", "https://[bad", "https://own.example"),
        ("project", "x", "ml-research"),
        ("tenant_id", "my tenant", "contoso.onmicrosoft.com"),
        ("client_id", "devboxgpu", "11111111-2222-3333-4444-555555555555"),
        ("scope", "everything", "api://gpu/.default"),
        ("gpu", "T4 please", "T4"),
        ("region", "West US 3", "westus3"),
        ("image", "a b", "registry.example/cuda:12"),
        ("output", "xml", "json"),
        ("sign_in", "magic", "device-code"),
    ],
)
def test_a_value_is_held_against_what_its_key_allows(key: str, bad: str, good: str) -> None:
    assert checked(KEYS[key], good, where="here") == good
    with pytest.raises(ConfigurationError, match=rf"here: {key} = "):
        checked(KEYS[key], bad, where="here")


def test_changing_a_key_keeps_comments_and_the_file_private(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "config.toml"
    set_value(file, "project", "demo")
    file.write_text("# my own words\n" + file.read_text() + 'gpu = "T4"  # cheap\n')

    set_value(file, "project", "other")
    assert unset_value(file, "gpu")
    assert not unset_value(file, "gpu")

    assert file.read_text() == '# my own words\nproject = "other"\n'
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_a_file_that_is_a_link_stays_one(tmp_path: Path) -> None:
    kept, link = tmp_path / "dotfiles.toml", tmp_path / "config.toml"
    kept.write_text("")
    link.symlink_to(kept)

    set_value(link, "gpu", "T4")

    assert link.is_symlink()
    assert kept.read_text() == 'gpu = "T4"\n'


def test_a_file_that_cannot_be_written_is_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.toml"
    set_value(file, "gpu", "T4")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ConfigurationError, match=r"config\.toml cannot be written: No space left"):
        set_value(file, "gpu", "A100")

    assert file.read_text() == 'gpu = "T4"\n'
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("address", ["ftp://x", "nonsense", "http://", "https:///path"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="is no address"):
        Transport(address)


def test_a_token_never_travels_unencrypted_over_a_network() -> None:
    with pytest.raises(ConfigurationError, match="use https"):
        Transport("http://control-plane.example/api")


def test_the_page_about_configuration_names_every_key_and_which_of_them_a_folder_may_set() -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]

    told = {name.strip(" `"): row[3].strip() == "yes" for row in rows for name in row[1].split(",")}

    assert told == {key.name: key.in_project_file for key in KEYS.values()}
