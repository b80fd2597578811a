"""Images: how a reference is read, and which of them a project's settings allow. Nothing here fetches anything.

The grammar is narrower than a registry's own: a server is an Azure container registry by name, so that no reference
leads the platform to an address of the writer's choosing (reference/reliability.md 4.4).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from shared.domain.complaints import shown
from shared.domain.errors import ErrorCode, Problem
from shared.domain.settings import PRESET_IMAGE, ImageSettings, RegistrySetting

PRESETS = {"gpu-quickstart": PRESET_IMAGE}
LONGEST_REFERENCE = 300
MOST_TOLD = 12
SERVER_RULE = "a registry is NAME.azurecr.io (.cn, .us), NAME being 5 to 50 of a-z, 0-9 and '-'"
REPOSITORY_RULE = "a repository is lower-case words with '.', '_' or '-' within them, parted by '/'"
_SERVER = re.compile(r"[a-z0-9][a-z0-9-]{3,48}[a-z0-9]\.azurecr\.(?:io|cn|us)")
_WORD = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_WORD}(?:/{_WORD})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A reference taken apart."""

    server: str
    repository: str
    tag: str | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedImage:
    """An image that a session may run. `identity` pulls it from `server`; without one the platform's own does."""

    reference: str
    server: str | None = None
    identity: str | None = None


def parse_image(text: str) -> Image | str:
    """Return the image that this names in an Azure container registry, or why it names none."""
    if len(text) > LONGEST_REFERENCE:
        return f"an image has {LONGEST_REFERENCE} characters at most"
    named, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        return "after '@' comes a digest, sha256: and 64 of 0-9 and a-f"
    server, _, path = named.partition("/")
    if not is_server(server):
        return SERVER_RULE
    repository, colon, tag = path.partition(":")
    if not _REPOSITORY.fullmatch(repository):
        return REPOSITORY_RULE
    if colon and not _TAG.fullmatch(tag):
        return "a tag is up to 128 of A-Z, a-z, 0-9, '_', '.' and '-'"
    return Image(server=server, repository=repository, tag=tag or None, digest=digest or None)


def is_server(text: str) -> bool:
    return _SERVER.fullmatch(text) is not None


def is_repository_pattern(text: str) -> bool:
    """Tell whether this is a repository, one with a final `/*` (all below it), or `*` (all)."""
    return text == "*" or (len(text) <= LONGEST_REFERENCE and bool(_REPOSITORY.fullmatch(text.removesuffix("/*"))))


def allowed_presets(images: ImageSettings) -> dict[str, str]:
    """Return the presets that these settings allow: references by name."""
    if isinstance(images.allow_preset, bool):
        return PRESETS if images.allow_preset else {}
    return {name: PRESETS[name] for name in images.allow_preset if name in PRESETS}


def allowed_image(images: ImageSettings, wanted: str | None) -> AllowedImage | Problem:
    """Return the image that a session gets which wants this one (None: the project's default), or why it may not.

    A preset is the platform's choice and needs no digest, whatever the settings require of others.
    """
    name = images.default if wanted is None else wanted
    preset = PRESETS.get(name, name)
    if preset in allowed_presets(images).values():
        return AllowedImage(reference=preset)
    image = parse_image(name)
    if isinstance(image, str):
        return _not_allowed(images, name, f" ({image})" if preset not in PRESETS.values() else "")
    registry = next((entry for entry in images.registries if _holds(entry, image)), None)
    if registry is None:
        return _not_allowed(images, name, "")
    if images.require_digest and image.digest is None:
        return _not_allowed(images, name, " without a digest (…@sha256:…)")
    return AllowedImage(reference=name, server=image.server, identity=registry.identity)


def _holds(registry: RegistrySetting, image: Image) -> bool:
    return registry.server == image.server and any(
        _matches(pattern, image.repository) for pattern in registry.repositories
    )


def _matches(pattern: str, repository: str) -> bool:
    if pattern.endswith("*"):
        return repository.startswith(pattern[:-1])
    return repository == pattern


def _not_allowed(images: ImageSettings, name: str, why: str) -> Problem:
    presets = [f"{preset} ({reference})" for preset, reference in allowed_presets(images).items()]
    patterns = [f"{entry.server}/{pattern}" for entry in images.registries for pattern in entry.repositories]
    allowed = ", ".join([*presets, *patterns][:MOST_TOLD]) or "none"
    more = len(presets) + len(patterns) - MOST_TOLD
    return Problem(
        code=ErrorCode.IMAGE_NOT_ALLOWED,
        message=f"This project does not allow the image {shown(name)}{why}. Allowed: {allowed}"
        + (f" and {more} more." if more > 0 else "."),
        target="image",
    )
