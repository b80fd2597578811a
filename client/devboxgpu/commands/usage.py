"""`devboxgpu usage` and `devboxgpu project usage`."""

from __future__ import annotations

from typing import Any

import click

from devboxgpu.commands.completing import complete_project
from devboxgpu.commands.options import configured, connection_options, endpoint_options, output_options_with_csv
from devboxgpu.commands.usage_options import chart_option, filter_options, usage_options, usage_query


@click.command(short_help="What you have used, and what it cost.")
@usage_options
@chart_option
@output_options_with_csv
@connection_options
def usage(
    *,
    chart: bool | None,
    output: str,
    query: str | None,
    endpoint: str | None,
    project: str | None,
    debug: bool,
    **options: Any,
) -> None:
    """What you have used in the project and what it cost, up to now: this month's days where nothing is said.

    Days are UTC's. Costs are estimates from list prices; 'so far' marks those of sessions that have not ended. What has
    no known price is said as 'unpriced', never as free.
    """
    from devboxgpu.usage_view import show_usage

    asked = {**usage_query(options), "user": "me"}
    api = configured(endpoint=endpoint, project=project, debug=debug).control_plane()
    show_usage(api, asked, output=output, query=query, chart=chart)


@click.command("usage", short_help="What a project has used, and what it cost.")
@click.argument("name", required=False, shell_complete=complete_project)
@usage_options
@filter_options
@click.option(
    "--reconcile", is_flag=True, help="Hold each session's estimate against what Azure has billed (hours late)."
)
@chart_option
@output_options_with_csv
@endpoint_options
def project_usage(
    *,
    name: str | None,
    reconcile: bool,
    chart: bool | None,
    output: str,
    query: str | None,
    endpoint: str | None,
    debug: bool,
    **options: Any,
) -> None:
    """What a project has used and what it cost, as its administrator; of its members, each sees their own.

    \b
        devboxgpu project usage --month 2026-11 --group-by user,gpuType
        devboxgpu project usage --from 2026-10-01 --to 2026-12-31 --by month -o csv > quarter.csv
        devboxgpu project usage --group-by label:team --by total
    """  # noqa: D301 - the backspace is click's mark for lines to keep
    from devboxgpu.reconciliation_view import show_reconciliation
    from devboxgpu.usage_view import show_usage

    asked = usage_query(options)
    if not reconcile:
        api = configured(endpoint=endpoint, project=name, debug=debug).control_plane()
        show_usage(api, asked, output=output, query=query, chart=chart)
        return
    if output == "csv" or chart is not None or set(asked) - {"from", "to"}:
        raise click.UsageError("--reconcile takes --from, --to and --month alone, and gives no chart and no csv")
    show_reconciliation(
        configured(endpoint=endpoint, project=name, debug=debug).control_plane(), asked, output=output, query=query
    )
