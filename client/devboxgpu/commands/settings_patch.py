"""The merge patch (RFC 7396) that `project set` sends: a file's, and over it the options'.

A patch replaces lists whole, so whatever keeps a part of a list is worked out from the settings as they were read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import click

from devboxgpu.commands.setting_options import PLAIN
from devboxgpu.wording import printable

Json = Mapping[str, Any]


def read_patch(file: TextIO) -> Json:
    """The patch in a file; a usage error where it is not a JSON object."""
    try:
        patch = json.load(file)
    except ValueError as error:
        raise click.BadParameter(f"{file.name} is not JSON: {error}", param_hint="--file") from None
    if not isinstance(patch, dict):
        raise click.BadParameter(f"{file.name} is not a JSON object of settings", param_hint="--file")
    return patch


def patch_of(options: Json, *, file_patch: Json, settings: Json) -> Json:
    """What the options ask for, over what the file does. `settings` are the project's own, as read."""
    base = combined(settings, file_patch)
    wanted: dict[str, Any] = {}
    for one in PLAIN:
        if (value := options[one.parameter]) is not None:
            wanted = combined(wanted, nested(one.setting, one.wire(value)))
    if options["gpu_types"] is not None or options["gpu_caps"] or options["fallback"] is not None:
        wanted["gpuTypes"] = _gpu_types(
            options["gpu_types"] if options["gpu_types"] is not None else _list_at(base, "gpuTypes"),
            caps=options["gpu_caps"],
            fallback=options["fallback"],
        )
    if options["regions"] is not None:
        wanted["regions"] = _regions(options["regions"], _list_at(base, "regions"))
    if options["repositories"]:
        present = _list_at(base.get("images") or {}, "registries")
        wanted = combined(wanted, nested("images.registries", _registries(present, options["repositories"])))
    return combined(file_patch, combined(wanted, _budget(options["budget"], options["hard_stop"], base.get("budget"))))


def combined(patch: Json, further: Json) -> dict[str, Any]:
    """One patch that does what both do, one after the other: a null stays, because it takes a setting away."""
    result = dict(patch)
    for name, value in further.items():
        before = result.get(name)
        result[name] = combined(before if isinstance(before, dict) else {}, value) if isinstance(value, dict) else value
    return result


def nested(setting: str, value: object) -> dict[str, Any]:
    """`a.b` as an object in an object."""
    name, _, rest = setting.partition(".")
    return {name: nested(rest, value) if rest else value}


def _list_at(settings: Json, name: str) -> list[dict[str, Any]]:
    return [dict(item) for item in settings.get(name) or []]


def _gpu_types(
    entries: Sequence[Json], *, caps: Sequence[Json], fallback: Sequence[str] | None
) -> list[dict[str, Any]]:
    by_type = {entry["type"]: dict(entry) for entry in entries}
    for gpu_type in (*(cap["type"] for cap in caps), *(fallback or ())):
        if gpu_type not in by_type:
            known = printable(",".join(by_type))
            raise click.UsageError(f"{gpu_type} is not among the project's GPU types ({known}): add it by --gpu-types")
    for cap in caps:
        by_type[cap["type"]] |= cap
    if fallback is not None:
        for gpu_type, entry in by_type.items():
            entry["fallback"] = gpu_type in fallback
    return list(by_type.values())


def _regions(names: Sequence[str], present: Sequence[Json]) -> list[dict[str, Any]]:
    """A region that is there already keeps whatever else is said of it."""
    known = {region["name"]: region for region in present}
    return [{**known.get(name, {}), "name": name, "order": order} for order, name in enumerate(names, start=1)]


def _registries(present: Sequence[dict[str, Any]], allowed: Sequence[Json]) -> list[dict[str, Any]]:
    by_server = {registry["server"]: registry for registry in present}
    for one in allowed:
        registry = by_server.setdefault(one["server"], {"server": one["server"]})
        registry["repositories"] = list(dict.fromkeys([*registry.get("repositories", []), one["repository"]]))
        if "identity" in one:
            registry["identity"] = one["identity"]
    return list(by_server.values())


def _budget(budget: Json | None, hard_stop: bool | None, present: Json | None) -> Json:
    """The part about the budget; `budget` empty takes it away."""
    if hard_stop is not None and not (budget or (budget is None and present)):
        raise click.UsageError("--hard-stop is about a budget and there is none: give --budget AMOUNT too")
    if budget is None:
        return {}
    return {"budget": budget or None}
