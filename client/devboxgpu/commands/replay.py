"""`devboxgpu project replay`: what other settings would have made of what was asked."""

from __future__ import annotations

from typing import Any, TextIO

import click

from devboxgpu.commands.completing import complete_project
from devboxgpu.commands.options import configured, endpoint_options, output_options
from devboxgpu.commands.setting_options import setting_options

ALIASES = {"--max-concurrent": "--cap", "--max-per-user": "--per-user", "--idle-timeout": "--idle"}
"""Short names for the options that are tried most."""


@click.command(short_help="Try settings on what has been asked.")
@click.argument("name", required=False, shell_complete=complete_project)
@click.option(
    "--days",
    metavar="N",
    type=click.IntRange(1, 90),
    default=30,
    show_default=True,
    help="How many days of recorded demand are replayed.",
)
@setting_options(ALIASES)
@click.option(
    "--file",
    metavar="FILE",
    type=click.File(encoding="utf-8"),
    help="A JSON merge patch of the settings, '-' for standard input; options go over it.",
)
@output_options
@endpoint_options
def replay(
    *,
    name: str | None,
    days: int,
    file: TextIO | None,
    output: str,
    query: str | None,
    endpoint: str | None,
    debug: bool,
    **options: Any,
) -> None:
    """Try settings on what has been asked, as a project's administrator; nothing is changed.

    \b
        devboxgpu project replay --cap 4 --idle 20m --days 30

    Shows what really happened, what the present settings and what these would have made of it: waits, refusals, stops
    and money. The last two are from the same program, so compare those. What is not known is said to be so.
    """  # noqa: D301 - the backspace is click's mark for lines to keep
    from devboxgpu.commands.settings_patch import patch_of, read_patch
    from devboxgpu.data_output import show, tell
    from devboxgpu.notices import Notices
    from devboxgpu.replay_view import REPLAY_COLUMNS, caveats, replay_rows, summary

    file_patch = read_patch(file) if file else {}
    api = configured(endpoint=endpoint, project=name, debug=debug).control_plane()
    patch = patch_of(options, file_patch=file_patch, settings=api.get_settings().value)
    report = api.replay_policy(patch, days=days)
    if query is not None or output == "json":
        show(report, output, query)
        return
    show(replay_rows(report), output, None, columns=REPLAY_COLUMNS)
    if output == "table":
        click.echo()
        tell(summary(report))
        for line in caveats(report):
            Notices().say(line)
