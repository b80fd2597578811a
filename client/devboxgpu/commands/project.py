"""`devboxgpu project list|show|set|usage|activity|replay|sweep`."""

from __future__ import annotations

from typing import Any, TextIO

import click

from devboxgpu.commands.completing import complete_project
from devboxgpu.commands.options import configured, endpoint_options, output_options
from devboxgpu.commands.project_activity import project_activity
from devboxgpu.commands.project_sweep import project_sweep
from devboxgpu.commands.replay import replay
from devboxgpu.commands.setting_options import setting_options
from devboxgpu.commands.usage import project_usage


@click.group(short_help="See projects and their settings; administrators change them.")
def project() -> None:
    """See projects, their use and settings; administrators change the settings, and see usage and activity of all.

    NAME is a Dev Center project; without it the configured one is meant (DEVBOXGPU_PROJECT).
    """


project.add_command(project_usage)
project.add_command(project_activity)
project.add_command(replay)
project.add_command(project_sweep)


@project.command("list", short_help="List your projects.")
@output_options
@endpoint_options
def list_projects(*, output: str, query: str | None, endpoint: str | None, debug: bool) -> None:
    """List your projects: what of each is in use, by all and by you, and what this month has cost."""
    from devboxgpu.columns import PROJECT_COLUMNS
    from devboxgpu.data_output import show

    api = configured(endpoint=endpoint, project=None, debug=debug, project_needed=False).control_plane()
    show(api.list_projects(), output, query, columns=PROJECT_COLUMNS, empty="you are in no project that has GPUs")


@project.command("show", short_help="Show a project and the settings that hold.")
@click.argument("name", required=False, shell_complete=complete_project)
@output_options
@endpoint_options
def show_project(*, name: str | None, output: str, query: str | None, endpoint: str | None, debug: bool) -> None:
    """Show a project and the settings that hold, where each comes from, and what a policy says about it."""
    from devboxgpu.columns import PROJECT_COLUMNS
    from devboxgpu.data_output import show
    from devboxgpu.settings_view import SETTING_COLUMNS, setting_rows

    api = configured(endpoint=endpoint, project=name, debug=debug).control_plane()
    shown, effective = api.get_project(), api.get_effective_settings()
    if output == "json" or query is not None:
        show({"project": shown, **effective}, output, query)
        return
    if output == "table":
        show([shown], output, None, columns=PROJECT_COLUMNS)
        click.echo()
    show(setting_rows(effective), output, None, columns=SETTING_COLUMNS)


@project.command("set", short_help="Change a project's settings.")
@click.argument("name", required=False, shell_complete=complete_project)
@setting_options()
@click.option(
    "--running",
    type=click.Choice(["keep", "stop"]),
    help="With --disable: whether live sessions go on or are stopped. Default: keep.",
)
@click.option(
    "--file",
    metavar="FILE",
    type=click.File(encoding="utf-8"),
    help="A JSON merge patch of the settings, '-' for standard input; options go over it.",
)
@click.option("--dry-run", is_flag=True, help="Say what would change, and write nothing.")
@output_options
@endpoint_options
def set_project(
    *,
    name: str | None,
    running: str | None,
    file: TextIO | None,
    dry_run: bool,
    output: str,
    query: str | None,
    endpoint: str | None,
    debug: bool,
    **options: Any,
) -> None:
    """Change a project's settings, as its administrator; says what changed, from what to what.

    \b
        devboxgpu project set --max-concurrent 8 --gpu-types T4,A100 --fallback A100 --idle-timeout 30m

    What is not named stays as it is. A DURATION is 90s, 30m, 2h or 1h30m; a bare number is minutes.
    """  # noqa: D301 - the backspace is click's mark for lines to keep
    from devboxgpu.commands.settings_change import Asked, change_settings, say_changes
    from devboxgpu.commands.settings_patch import read_patch
    from devboxgpu.data_output import show

    asked = Asked(options=options, file_patch=read_patch(file) if file else {}, running=running, dry_run=dry_run)
    asked.check()
    api = configured(endpoint=endpoint, project=name, debug=debug).control_plane()
    changed = change_settings(api, asked)
    if output == "table" and query is None:
        say_changes(api.project, asked, changed)
    else:
        show(changed.settings, output, query)
