"""`devboxgpu project activity`."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import click

from devboxgpu.commands.completing import complete_project
from devboxgpu.commands.durations import Duration
from devboxgpu.commands.options import configured, endpoint_options, output_options
from devboxgpu.commands.usage_options import Day, said

USUAL_LIMIT = 50


class Since(click.ParamType[timedelta | date]):
    """A duration back from now, or a UTC day: 2h, 90m, 2026-11-21. A bare number is minutes."""

    name = "since"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta | date:
        try:
            return Duration().convert(value, param, ctx)
        except click.BadParameter:
            if str(value).count("-") != 2:
                self.fail(f"'{value}' is neither a duration, such as 2h, nor a day, such as 2026-11-21", param, ctx)
        return Day().convert(value, param, ctx)


@click.command("activity", short_help="Who changed what and when.")
@click.argument("name", required=False, shell_complete=complete_project)
@click.option("--since", metavar="2h|DATE", type=Since(), help="From when on. Default: the last 7 days.")
@click.option("--type", "kind", metavar="LIST", help="Only of these types, such as Session.Ended,Project.CapReached.")
@click.option("--actor", metavar="ID", help="Only by this user's object id, 'me', or 'control-plane'.")
@click.option("--session", metavar="ID", help="Only about this session.")
@click.option(
    "--limit", metavar="N", type=click.IntRange(1, 100_000), default=USUAL_LIMIT, show_default=True, help="At most."
)
@click.option("--verify", is_flag=True, help="Say what was altered, removed or added after it was sealed; then exit 1.")
@click.option("--expect", metavar="N:HASH", help="With --verify: a seal as an earlier --verify has told it.")
@click.option("--platform", is_flag=True, help="Refused attempts that belong to no project, as operator.")
@output_options
@endpoint_options
def project_activity(
    *,
    name: str | None,
    since: timedelta | date | None,
    kind: str | None,
    actor: str | None,
    session: str | None,
    limit: int,
    verify: bool,
    expect: str | None,
    platform: bool,
    output: str,
    query: str | None,
    endpoint: str | None,
    debug: bool,
) -> None:
    """Who changed what in a project and when, newest first, from its audit, as its administrator.

    With --verify its entries are held against the seals that the control plane made of them, from --since on.

    \b
        devboxgpu project activity --since 2h --type Session.Ended,Session.Stopping
        devboxgpu project activity --since 2026-11-01 --verify
    """  # noqa: D301 - the backspace is click's mark for lines to keep
    from devboxgpu.columns import ACTIVITY_COLUMNS
    from devboxgpu.data_output import show
    from devboxgpu.verification_view import show_verification

    api = configured(endpoint=endpoint, project=name, debug=debug, project_needed=not platform).control_plane()
    if verify:
        if kind or actor or session:
            raise click.UsageError("--verify looks at every entry: leave --type, --actor and --session out")
        days = {"from": _day(since), "expect": expect}
        told = api.verify_activity({key: value for key, value in days.items() if value}, platform=platform)
        raise click.exceptions.Exit(show_verification(told, output, query))
    if expect:
        raise click.UsageError("--expect goes with --verify")
    asked = {"from": _instant(since), "type": kind, "actor": actor, "session": session}
    asked["maxpagesize"] = str(min(limit, 1000))
    filters = {key: said(key, value) for key, value in asked.items() if value is not None}
    found = api.list_activity(filters, limit=limit, platform=platform)
    show(found, output, query, columns=ACTIVITY_COLUMNS, empty="nothing has happened that fits")


def _day(since: timedelta | date | None) -> str | None:
    """The UTC day that an instant lies in: seals are verified by days."""
    return (datetime.now(UTC) - since).date().isoformat() if isinstance(since, timedelta) else _instant(since)


def _instant(since: timedelta | date | None) -> str | None:
    if isinstance(since, timedelta):
        return (datetime.now(UTC) - since).strftime("%Y-%m-%dT%H:%M:%SZ")
    return since.isoformat() if since is not None else None
