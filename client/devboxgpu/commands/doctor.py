"""`devboxgpu doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from devboxgpu.commands.options import connection_options, log_to_errors, output_options

if TYPE_CHECKING:
    from devboxgpu.doctor.findings import Finding

LIMIT_S = 15.0
LONGEST_LIMIT_S = 120.0


@click.command(short_help="Find out what stands between you and a GPU.")
@click.option("--paste", is_flag=True, help="Only the block to paste into a message or an issue.")
@click.option(
    "--timeout",
    "limit_s",
    metavar="SECONDS",
    type=click.FloatRange(0.1, LONGEST_LIMIT_S),
    default=LIMIT_S,
    show_default=True,
    help="What has not been found out by then is unknown.",
)
@output_options
@connection_options
def doctor(
    *,
    paste: bool,
    limit_s: float,
    output: str,
    query: str | None,
    endpoint: str | None,
    project: str | None,
    debug: bool,
) -> int:
    """Look at this machine, the network, the sign-in, the project and the way into a session, and say what to do.

    Each look ends within seconds, whatever is broken; nothing is changed, opened or asked. What it shows names neither
    you nor your machine and holds no token, so it can be sent to whoever helps. The exit code is 1 where something has
    failed, else 0; what could not be found out is 'unknown', which is no failure.
    """
    from devboxgpu.data_output import show
    from devboxgpu.doctor.examination import examine
    from devboxgpu.doctor.findings import Status
    from devboxgpu.doctor.report import as_data

    if debug:
        log_to_errors()
    findings = examine(endpoint=endpoint, project=project, limit_s=limit_s)
    if output != "table" or query is not None:
        show(as_data(findings), output, query)
    else:
        _tell(findings, paste=paste)
    return int(any(finding.status is Status.FAILED for finding in findings))


def _tell(findings: list[Finding], *, paste: bool) -> None:
    import shutil
    import sys
    from datetime import UTC, datetime

    from devboxgpu.abilities import abilities_of
    from devboxgpu.data_output import tell
    from devboxgpu.doctor.report import lines, paste_block, summary
    from devboxgpu.wording import moment

    if not paste:
        able = abilities_of(sys.stdout)
        width = shutil.get_terminal_size().columns if able.is_terminal else 120
        for line in lines(findings, width=width, colour=able.colour, utf8=able.utf8):
            click.echo(line)
        click.echo()
        tell(summary(findings))
        click.echo("\nTo ask for help, paste this:")
    click.echo(paste_block(findings, moment(datetime.now(UTC))))
