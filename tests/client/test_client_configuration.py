from __future__ import annotations

import json
from pathlib import Path

import pytest

from devboxgpu.configuration import Configuration, load
from devboxgpu.errors import ConfigurationError
from devboxgpu.transport import Transport

LOCAL = {"api": "http://127.0.0.1:7071/api", "identity": "http://127.0.0.1:7072"}


class Place:
    """A machine with, or without, a local cloud and a user's file."""

    def __init__(self, folder: Path) -> None:
        self.repository = folder / "repository"
        self.user_file = folder / "config.toml"

    def with_local_cloud(self) -> Place:
        state = self.repository / ".localcloud"
        state.mkdir(parents=True)
        (state / "endpoints.json").write_text(json.dumps(LOCAL))
        return self

    def with_file(self, text: str) -> Place:
        self.user_file.write_text(text)
        return self

    def load(self, *, endpoint: str | None = None, project: str | None = None, **environ: str) -> Configuration:
        return load(
            endpoint=endpoint,
            project=project,
            environ=environ,
            user_file=self.user_file,
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
    place.with_file('endpoint = "https://file.example/api"\nproject = "ml"')

    found = place.load(DEVBOXGPU_ACCESS_TOKEN="t")

    assert (found.endpoint, found.project) == ("https://file.example/api", "ml")


def test_the_local_identity_is_not_used_for_another_control_plane(place: Place) -> None:
    with pytest.raises(ConfigurationError, match="no way to sign in"):
        place.with_local_cloud().load(endpoint="https://elsewhere.example/api", project="p")


def test_an_endpoint_without_a_project_says_what_is_missing(place: Place) -> None:
    with pytest.raises(ConfigurationError, match="--project"):
        place.load(endpoint="https://elsewhere.example", DEVBOXGPU_ACCESS_TOKEN="t")


@pytest.mark.parametrize("text", ["endpoint = ", 'endpiont = "x"', "project = 3"])
def test_a_wrong_file_is_named_with_what_is_wrong(place: Place, text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"config\.toml"):
        place.with_file(text).load()


def test_a_broken_list_of_endpoints_is_an_error_and_not_an_absence(place: Place) -> None:
    place.with_local_cloud()
    (place.repository / ".localcloud" / "endpoints.json").write_text("{")

    with pytest.raises(ConfigurationError, match=r"endpoints\.json cannot be read"):
        place.load()


@pytest.mark.parametrize("address", ["ftp://x", "nonsense", "http://", "https:///path"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="is no address"):
        Transport(address)


def test_a_token_never_travels_unencrypted_over_a_network() -> None:
    with pytest.raises(ConfigurationError, match="use https"):
        Transport("http://control-plane.example/api")
