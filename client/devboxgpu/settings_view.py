"""A project's settings as a person reads them: one line each, where it comes from, what a change does to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from devboxgpu.data_output import Column
from devboxgpu.wire import Json, items_of, mapping_of, text_of

NOTHING = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    setting: str
    before: str
    after: str


def setting_rows(effective: Json) -> list[Json]:
    """The settings that hold, each with its source and what a policy says about it."""
    settings, sources = mapping_of(effective, "settings") or {}, mapping_of(effective, "sources") or {}
    return [
        {
            "setting": name,
            "value": _shown(name, value),
            "source": _source(name, sources),
            "lock": lock_on(name, effective),
        }
        for name, value in _flat(settings)
    ]


def changes(before: Json, after: Json) -> list[Change]:
    """What reads differently afterwards."""
    old = {name: _shown(name, value) for name, value in _flat(before)}
    new = {name: _shown(name, value) for name, value in _flat(after)}
    return [
        Change(setting=name, before=old.get(name, NOTHING), after=new.get(name, NOTHING))
        for name in dict.fromkeys([*old, *new])
        if old.get(name, NOTHING) != new.get(name, NOTHING)
    ]


def lock_on(name: str, effective: Json) -> str | None:
    """What a policy says about this setting, a part of it, or what it is a part of."""
    found = (lock for lock in items_of(effective, "locks") if _overlap(name, text_of(lock, "setting") or ""))
    return "; ".join(text_of(lock, "message") or "locked by a policy" for lock in found) or None


def value_at(settings: Json, name: str) -> object:
    """The value of a setting by its name with dots; None where it is absent."""
    above, _, last = name.rpartition(".")
    holder = value_at(settings, above) if above else settings
    return holder.get(last) if isinstance(holder, Mapping) else None


def _overlap(name: str, other: str) -> bool:
    return name == other or other.startswith((f"{name}.", f"{name}[")) or name.startswith(f"{other}.")


def _source(name: str, sources: Json) -> str:
    """Where the value comes from: said of the setting itself, or of what it is a part of."""
    while name:
        if source := text_of(sources, name):
            return source
        name = name.rpartition(".")[0]
    return "unknown"


def _flat(settings: Json, above: str = "") -> Iterator[tuple[str, object]]:
    """Every setting under its name with dots; a list is one setting."""
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{name}.")
        elif value is not None:
            yield above + name, value


def _shown(name: str, value: object) -> str:
    records = [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
    match name, value:
        case "gpuTypes", list():
            return ", ".join(_gpu_type(entry) for entry in records) or NOTHING
        case "regions", list():
            return ", ".join(_region(entry) for entry in sorted(records, key=_order)) or NOTHING
        case "images.registries", list():
            return ", ".join(_registry(entry) for entry in records) or NOTHING
        case _:
            return _plain(value)


def _plain(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}"
        case list():
            return ", ".join(_plain(item) for item in value) or NOTHING
        case Mapping() if not value:
            return NOTHING
        case _:
            return str(value)


def _gpu_type(entry: Json) -> str:
    cap = entry.get("maxConcurrent")
    text = f"{entry.get('type')}" if cap is None else f"{entry.get('type')}={cap}"
    return f"{text} (fallback)" if entry.get("fallback") else text


def _order(entry: Json) -> float:
    order = entry.get("order")
    return order if isinstance(order, int | float) else 0


def _region(entry: Json) -> str:
    environment = entry.get("environmentId")
    return f"{entry.get('name')} ({environment})" if environment else str(entry.get("name"))


def _registry(entry: Json) -> str:
    repositories = entry.get("repositories")
    paths = [f"{entry.get('server')}/{name}" for name in repositories] if isinstance(repositories, list) else []
    identity = entry.get("identity")
    return " ".join([*paths, f"(pulled by {identity})"] if identity else paths) or str(entry.get("server"))


SETTING_COLUMNS = (
    Column("SETTING", lambda row: row.get("setting")),
    Column("VALUE", lambda row: row.get("value")),
    Column("FROM", lambda row: row.get("source")),
    Column("POLICY", lambda row: row.get("lock")),
)
