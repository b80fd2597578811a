"""A group of verbs whose modules are imported when one of them is used, and not before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from devboxgpu.verbs import Verb


class LazyGroup(click.Group):
    """Lists its verbs, in the table's order, by the table's words."""

    def __init__(self, *args: Any, verbs: Sequence[Verb], **options: Any) -> None:
        super().__init__(*args, **options)
        self._verbs = {verb.name: verb for verb in verbs}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [verb.name for verb in self._shown()]

    def _shown(self) -> list[Verb]:
        return [verb for verb in self._verbs.values() if not verb.is_hidden]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        verb = self._verbs.get(cmd_name)
        return load(verb) if verb is not None else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as unknown:
            # The base class knows only the verbs that were added to it, and would suggest none.
            raise click.exceptions.NoSuchCommand(
                unknown.command_name, possibilities=self.list_commands(ctx), ctx=ctx
            ) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(verb.name, verb.help) for verb in self._shown()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        matching = [verb for verb in self._shown() if verb.name.startswith(incomplete)]
        return [
            *(CompletionItem(verb.name, help=verb.help) for verb in matching),
            *click.Command.shell_complete(self, ctx, incomplete),
        ]


def load(verb: Verb) -> click.Command:
    from importlib import import_module

    command = getattr(import_module(verb.module), verb.attribute)
    assert isinstance(command, click.Command)
    return command
