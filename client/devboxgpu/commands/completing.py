"""What a shell may complete from what the control plane knows: quickly or not at all, and never a word of error."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from devboxgpu.api import ControlPlane

PATIENCE_S = 1.5
SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""The shells' own scripts put a value on the line as it is: nothing that a shell would read as more than a word."""

Rows = Iterable[Mapping[str, Any]]


def complete_session(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The live sessions that the person may see."""
    rows = _asked(ctx, lambda api: api.list_sessions({}))
    return _items(((row.get("id"), [row.get("state"), row.get("gpuType")]) for row in rows), incomplete)


def complete_gpu(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The GPU types that the project offers."""
    rows = _asked(ctx, lambda api: api.list_offers())
    return _items(((row.get("gpuType"), [f"{row.get('freeNow', '?')} free now"]) for row in rows), incomplete)


def complete_project(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    rows = _asked(ctx, lambda api: api.list_projects())
    return _items(((row.get("id"), [row.get("role")]) for row in rows), incomplete)


def complete_key(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from devboxgpu.config_keys import KEYS

    return _items(((key.name, [key.meaning]) for key in KEYS.values()), incomplete)


def complete_value(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What the key that was named may be."""
    from devboxgpu.config_keys import OUTPUTS, SIGN_INS

    match ctx.params.get("key"):
        case "output":
            return _items(((word, []) for word in OUTPUTS), incomplete)
        case "sign_in":
            return _items(((word, []) for word in SIGN_INS), incomplete)
        case "gpu":
            return complete_gpu(ctx, _param, incomplete)
        case "project":
            return complete_project(ctx, _param, incomplete)
        case _:
            return []


def _items(found: Iterable[tuple[Any, list[Any]]], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from devboxgpu.wording import printable

    return [
        CompletionItem(value, help=printable(" ".join(str(part) for part in help_parts if part)) or None)
        for value, help_parts in found
        if isinstance(value, str) and SAFE.fullmatch(value) and value.lower().startswith(incomplete.lower())
    ]


def _asked(ctx: click.Context, ask: Callable[[ControlPlane], Rows]) -> list[Mapping[str, Any]]:
    """What the control plane answers within PATIENCE_S; nothing where it does not, whatever the reason."""
    answer: list[Mapping[str, Any]] = []

    def work() -> None:
        from devboxgpu.configuration import load

        try:
            configuration = load(
                endpoint=ctx.params.get("endpoint"), project=ctx.params.get("project"), project_needed=False
            )
            answer.extend(ask(configuration.control_plane()))
        except Exception:  # noqa: S110 - whoever presses Tab wants no report
            pass

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    return list(answer)
