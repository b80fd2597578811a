"""Images: no reference leads anywhere but to an Azure container registry that the project names."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import ErrorCode, Problem
from shared.domain.images import PRESETS, AllowedImage, Image, allowed_image, is_repository_pattern, parse_image
from shared.domain.settings import PRESET_IMAGE, ImageSettings, RegistrySetting

DIGEST = "sha256:" + "0a" * 32
SERVER = re.compile(r"[a-z0-9-]{5,50}\.azurecr\.(io|cn|us)")
TEAM = RegistrySetting(server="contoso.azurecr.io", repositories=("base", "team/*"), identity="/an/identity")

HOSTILE = [
    "",
    "/",
    "@",
    ":",
    "contoso.azurecr.io",
    "contoso.azurecr.io/",
    "contoso.azurecr.io/:tag",
    f"contoso.azurecr.io/@{DIGEST}",
    "user:secret@contoso.azurecr.io/base",
    "contoso.azurecr.io@evil.example/base",
    f"evil.example/base@{DIGEST}@contoso.azurecr.io",
    "https://contoso.azurecr.io/base",
    "//contoso.azurecr.io/base",
    "127.0.0.1/base",
    "169.254.169.254/metadata",
    "2130706433/base",
    "[::1]/base",
    "[::ffff:127.0.0.1]:5000/base",
    "localhost/base",
    "contoso.azurecr.io:443/base",
    "contoso.azurecr.io./base",
    "contoso.azurecr.io.evil.example/base",
    "evil.example/contoso.azurecr.io/base",
    "azurecr.io/base",
    ".azurecr.io/base",
    "abcd.azurecr.io/base",
    f"{'a' * 51}.azurecr.io/base",
    "-contoso.azurecr.io/base",
    "contoso-.azurecr.io/base",
    "con.toso.azurecr.io/base",
    "con_toso.azurecr.io/base",
    "Contoso.azurecr.io/base",
    "contoso.AZURECR.io/base",
    "contoso.azurecr.de/base",
    "contoso\u00adx.azurecr.io/base",
    "cont\u043eso.azurecr.io/base",
    "contoso\uff0eazurecr.io/base",
    "contoso.azurecr.io\u2215base",
    "contoso.azurecr.io/../base",
    "contoso.azurecr.io/base/..",
    "contoso.azurecr.io/base/./x",
    "contoso.azurecr.io//base",
    "contoso.azurecr.io/base/",
    "contoso.azurecr.io/Base",
    "contoso.azurecr.io/base%2f..%2fx",
    "contoso.azurecr.io/base?x=1",
    "contoso.azurecr.io/base#x",
    "contoso.azurecr.io/base x",
    "contoso.azurecr.io/base\\x",
    "contoso.azurecr.io/base\n",
    "contoso.azurecr.io/base:tag\n",
    "contoso.azurecr.io/base\x00",
    "contoso.azurecr.io/\u212aernel",
    "contoso.azurecr.io/base:",
    "contoso.azurecr.io/base:.tag",
    "contoso.azurecr.io/base:a:b",
    "contoso.azurecr.io/base:" + "t" * 129,
    "contoso.azurecr.io/base@",
    "contoso.azurecr.io/base@sha256:" + "0A" * 32,
    "contoso.azurecr.io/base@sha256:" + "0a" * 31,
    "contoso.azurecr.io/base@sha512:" + "0a" * 32,
    f"contoso.azurecr.io/base@{DIGEST}:tag",
    "contoso.azurecr.io/" + "a" * 290,
    "contoso.azurecr.io/" + "a/" * 100_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:40]))
def test_a_hostile_reference_is_none_and_allowed_by_no_settings(text):
    everything = ImageSettings(registries=(RegistrySetting(server="contoso.azurecr.io", repositories=("*",)),))

    assert isinstance(parse_image(text), str)
    refused = allowed_image(everything, text)
    assert isinstance(refused, Problem)
    assert (refused.code, refused.target) == (ErrorCode.IMAGE_NOT_ALLOWED, "image")
    assert refused.message.isprintable()
    assert len(refused.message) < 400


pieces = st.sampled_from(
    ["contoso", ".azurecr.io", ".azurecr.us", "/", ":", "@", "-", ".", "..", "_", "base", "T", "%2f", DIGEST, "\n", "é"]
)


@given(st.text(max_size=350) | st.lists(pieces, max_size=9).map("".join))
def test_reading_never_fails_and_what_it_accepts_has_a_registry_for_its_server(text):
    image = parse_image(text)

    if isinstance(image, Image):
        assert SERVER.fullmatch(image.server)
        assert text.isascii()
        assert text.startswith(f"{image.server}/{image.repository}")
        assert ".." not in image.server + image.repository
        assert "//" not in text


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("contoso.azurecr.io/base", Image(server="contoso.azurecr.io", repository="base")),
        ("a-b-1.azurecr.us/team/a_b:V1.0", Image(server="a-b-1.azurecr.us", repository="team/a_b", tag="V1.0")),
        (f"contoso.azurecr.cn/a/b@{DIGEST}", Image(server="contoso.azurecr.cn", repository="a/b", digest=DIGEST)),
        (
            f"contoso.azurecr.io/a:1@{DIGEST}",
            Image(server="contoso.azurecr.io", repository="a", tag="1", digest=DIGEST),
        ),
    ],
)
def test_a_good_reference_is_taken_apart(text, image):
    assert parse_image(text) == image


@pytest.mark.parametrize(
    ("repository", "is_allowed"),
    [("base", True), ("base/x", False), ("team/a", True), ("team/a/b", True), ("team", False), ("teamx/a", False)],
)
def test_a_repository_is_allowed_by_its_name_or_by_whole_parts_of_its_path(repository, is_allowed):
    found = allowed_image(ImageSettings(registries=(TEAM,)), f"contoso.azurecr.io/{repository}:1")

    assert isinstance(found, AllowedImage) is is_allowed
    if isinstance(found, AllowedImage):
        assert (found.server, found.identity) == ("contoso.azurecr.io", "/an/identity")


def test_another_registry_is_not_allowed_whatever_its_repository():
    assert isinstance(allowed_image(ImageSettings(registries=(TEAM,)), "another.azurecr.io/base"), Problem)


def test_a_preset_is_taken_by_name_by_reference_and_by_default_and_needs_no_digest():
    images = ImageSettings(require_digest=True)

    for wanted in (None, "gpu-quickstart", PRESET_IMAGE):
        assert allowed_image(images, wanted) == AllowedImage(reference=PRESET_IMAGE)
    assert PRESETS["gpu-quickstart"] == PRESET_IMAGE


@pytest.mark.parametrize("allowed", [False, (), ("unknown",)])
def test_presets_that_the_settings_leave_out_are_refused(allowed):
    images = ImageSettings(allow_preset=allowed, registries=(TEAM,))

    for wanted in (None, "gpu-quickstart", PRESET_IMAGE):
        refused = allowed_image(images, wanted)
        assert isinstance(refused, Problem)
        assert "Allowed: contoso.azurecr.io/base, contoso.azurecr.io/team/*." in refused.message


def test_a_digest_is_asked_of_images_of_registries_where_the_settings_say_so():
    images = ImageSettings(registries=(TEAM,), require_digest=True)
    refused = allowed_image(images, "contoso.azurecr.io/base:1")

    assert isinstance(refused, Problem)
    assert "without a digest" in refused.message
    assert isinstance(allowed_image(images, f"contoso.azurecr.io/base:1@{DIGEST}"), AllowedImage)


def test_a_refusal_names_some_of_many_repositories_and_how_many_more_there_are():
    many = RegistrySetting(server="contoso.azurecr.io", repositories=tuple(f"r{index}" for index in range(50)))
    refused = allowed_image(ImageSettings(registries=(many,)), "nothing")

    assert isinstance(refused, Problem)
    assert refused.message.endswith("and 39 more.")


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("*", True),
        ("a/*", True),
        ("a/b", True),
        ("/*", False),
        ("", False),
        ("a*", False),
        ("*/a", False),
        ("a/*/b", False),
        ("a/**", False),
        ("a/*/*", False),
        ("../*", False),
        ("A", False),
        ("a\n", False),
    ],
)
def test_a_repository_pattern_ends_in_whole_parts_or_is_a_star(text, is_one):
    assert is_repository_pattern(text) is is_one
