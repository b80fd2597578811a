"""What an installation asks elsewhere: the project's GPU types, the completion scripts; and words to paste."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from devboxgpu.errors import DevBoxGpuError
from devboxgpu.install.machine import Machine
from devboxgpu.install.windows_terminal import GPU_TYPE, PROFILE
from devboxgpu.notices import Notices
from devboxgpu.wire import Json, text_of


class NoGpuTypeError(DevBoxGpuError):
    """What was given as a GPU type is none."""


def named_gpu_types(listed: str) -> tuple[str, ...]:
    """Those in `T4,A100`. Raises NoGpuTypeError."""
    named = tuple(dict.fromkeys(word.strip() for word in listed.split(",") if word.strip()))
    if not named or (wrong := [word for word in named if not GPU_TYPE.fullmatch(word)]):
        raise NoGpuTypeError(
            f"--gpu-types takes names such as T4,A100, and not {', '.join(wrong) if named else 'nothing'}"
        )
    return named


def offered_gpu_types(*, endpoint: str | None, project: str | None) -> tuple[str, ...] | None:
    """What the project offers to this person, its own first; None where that cannot be had now.

    Signs in only as far as nobody has to be asked.
    """
    from devboxgpu.configuration import load

    environ = {**os.environ, "DEVBOXGPU_SIGN_IN": "silent"}
    try:
        offers = load(endpoint=endpoint, project=project, environ=environ).control_plane().list_offers()
    except DevBoxGpuError as error:
        Notices().say(
            f"the project's GPU types are not known now ({error}): its own gets a profile, others keep theirs"
        )
        return None
    return own_first(offers)


def own_first(offers: Sequence[Json]) -> tuple[str, ...]:
    """The offered types, the project's own before the others; an empty name where it is not said which that is."""
    named = {text_of(offer, "gpuType") or "": bool(offer.get("default")) for offer in offers}
    own = next((name for name, is_own in named.items() if is_own), "")
    return (own, *(name for name in named if name != own and GPU_TYPE.fullmatch(name)))


def visual_studio(machine: Machine) -> list[str]:
    """The three values for Visual Studio's Tools > Options > Environment > Terminal."""
    program, *words = machine.command
    return [
        "In Visual Studio: Tools > Options > Environment > Terminal > Add",
        f"Name:            {PROFILE}",
        f"Shell location:  {program}",
        f"Arguments:       {subprocess.list2cmdline([*words, 'shell'])}",
    ]
