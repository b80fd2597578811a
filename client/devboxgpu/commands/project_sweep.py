"""`devboxgpu project sweep`."""

from __future__ import annotations

import click

from devboxgpu.commands.completing import complete_project
from devboxgpu.commands.options import configured, endpoint_options, output_options


@click.command("sweep", short_help="Compare rows, apps and drivers now, and repair.")
@click.argument("name", required=False, shell_complete=complete_project)
@click.option("--dry-run", is_flag=True, help="Only say what is found, and touch nothing.")
@output_options
@endpoint_options
def project_sweep(
    *, name: str | None, dry_run: bool, output: str, query: str | None, endpoint: str | None, debug: bool
) -> None:
    """Compare what a project's rows, Azure and the engine say now, and repair what differs, as the operator.

    The same happens by itself every few minutes. An app that nobody owns is deleted only when a second look finds it
    still so: sweep again after the time that the operator has set for it.

    Exit code 1: something could not be asked, so nothing is known of it.
    """
    from devboxgpu.columns import FINDING_COLUMNS
    from devboxgpu.data_output import show
    from devboxgpu.wire import count_of, items_of, texts_of

    api = configured(endpoint=endpoint, project=name, debug=debug).control_plane()
    told = api.sweep_project(dry_run=dry_run)
    unknown = texts_of(told, "unknown")
    if output == "json" or query is not None:
        show(told, output, query)
    else:
        looked_at = f"{count_of(told, 'sessions') or 0} sessions and {count_of(told, 'apps') or 0} apps"
        nothing = (
            f"nothing was found wrong, as far as is known: {looked_at} seen"
            if unknown
            else f"{looked_at} seen, nothing is wrong"
        )
        show(items_of(told, "found"), output, None, columns=FINDING_COLUMNS, empty=nothing)
    for what in unknown:
        click.echo(f"devboxgpu: not known: {what}", err=True)
    if unknown:
        click.get_current_context().exit(1)
