"""The options that verbs share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import click

from devboxgpu.commands.completing import complete_gpu, complete_project, complete_session
from devboxgpu.commands.durations import Duration

if TYPE_CHECKING:
    from devboxgpu.configuration import Configuration

Decorated = TypeVar("Decorated", bound=Callable[..., object])


_debug = click.option("--debug", is_flag=True, help="Say on standard error what is called and answered.")
_project = click.option(
    "--project", metavar="NAME", shell_complete=complete_project, help="Dev Center project (DEVBOXGPU_PROJECT)."
)
_endpoint = click.option("--endpoint", metavar="URL", help="The control plane's address (DEVBOXGPU_ENDPOINT).")


def endpoint_options(function: Decorated) -> Decorated:
    """--endpoint, --debug: what every verb that talks to the control plane takes."""
    return _endpoint(_debug(function))


def connection_options(function: Decorated) -> Decorated:
    """--endpoint, --project, --debug: what every verb takes that works in a project."""
    return _endpoint(_project(_debug(function)))


def output_options(function: Decorated) -> Decorated:
    """-o and --query: what every verb that shows data takes."""
    return _output(function, ["table", "json", "tsv"])


def output_options_with_csv(function: Decorated) -> Decorated:
    """The same for verbs whose data the control plane gives as CSV too."""
    return _output(function, ["table", "json", "tsv", "csv"])


def _output(function: Decorated, formats: list[str]) -> Decorated:
    for option in (
        click.option("--query", metavar="JMESPATH", help="Show only this part of the data (https://jmespath.org)."),
        click.option(
            "-o",
            "--output",
            type=click.Choice(formats),
            default=_usual_output,
            show_default="table, or what is configured",
            help="How data is written to standard output.",
        ),
    ):
        function = option(function)
    return function


def _usual_output() -> str:
    from devboxgpu.configuration import configured_output

    if click.get_current_context().resilient_parsing:
        return "table"  # a shell completes the line: nothing is to be shown, nor to fail
    return configured_output()


def session_options(function: Decorated) -> Decorated:
    """What `shell` and `run` may ask of a session, and how long for."""
    for option in (
        click.option(
            "--sync-back", metavar="PATTERN", multiple=True, help="With --sync: bring only this back; repeatable."
        ),
        click.option(
            "--sync",
            metavar="DIR",
            type=click.Path(exists=True, file_okay=False),
            help="Take this folder along, start in it, and bring back what is new in it.",
        ),
        click.option("--query", metavar="JMESPATH", help="With --dry-run: show only this part of the decision."),
        click.option(
            "-o", "--output", type=click.Choice(["table", "json", "tsv"]), help="With --dry-run: the decision as data."
        ),
        click.option("--dry-run", is_flag=True, help="Only say what would be decided now, and open nothing."),
        click.option(
            "--wait-timeout", metavar="DURATION", type=Duration(), help="Wait at most so long: 90s, 30m, 1h30m."
        ),
        click.option(
            "--wait/--no-wait",
            default=None,
            help="Wait in line where no GPU is free, or be refused. Default: wait at a terminal.",
        ),
        click.option(
            "--session",
            metavar="ID",
            shell_complete=complete_session,
            help="Join this live session of yours, where the project allows it.",
        ),
        click.option("--label", "labels", metavar="KEY=VALUE", multiple=True, help="Label of the session; repeatable."),
        click.option("--name", metavar="NAME", help="Name of the session, for people."),
        click.option("--image", metavar="IMAGE", help="Container image. Default: the project's."),
        click.option("--region", metavar="REGION", help="Azure region. Default: the project's order of regions."),
        click.option(
            "--gpu",
            metavar="TYPE",
            shell_complete=complete_gpu,
            help="GPU type, such as T4 or A100. Default: the project's.",
        ),
    ):
        function = option(function)
    return function


def log_to_errors() -> None:
    """What --debug does."""
    import logging

    handler = logging.StreamHandler(sys.stderr)
    # A raw terminal does not go to the beginning of a line by itself.
    handler.terminator = "\r\n" if sys.stderr.isatty() else "\n"
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
    logging.getLogger("devboxgpu").addHandler(handler)
    logging.getLogger("devboxgpu").setLevel(logging.DEBUG)


def configured(*, endpoint: str | None, project: str | None, debug: bool, project_needed: bool = True) -> Configuration:
    """The configuration that holds for a verb; switches the log on for --debug."""
    from devboxgpu.configuration import load

    if debug:
        log_to_errors()
    configuration = load(endpoint=endpoint, project=project, project_needed=project_needed)
    if sys.stdin.isatty() and sys.stderr.isatty():
        from devboxgpu.commands.sign_in import sign_in_first

        sign_in_first(configuration)
    return configuration


def asks_only(*, dry_run: bool, output: str | None, query: str | None) -> bool:
    """Whether nothing is to be opened; what only --dry-run can use is refused without it."""
    if not dry_run and (output is not None or query is not None):
        raise click.UsageError("-o and --query show the decision of --dry-run: add --dry-run, or leave them out")
    return dry_run


def session_request(
    *,
    gpu: str | None,
    region: str | None,
    image: str | None,
    name: str | None,
    labels: tuple[str, ...],
    session: str | None,
    wait: bool | None,
    wait_timeout: timedelta | None,
) -> dict[str, object]:
    """The body of OpenShell; absent wishes are left to the project's settings."""
    import socket

    pairs = {}
    for label in labels:
        key, separator, value = label.partition("=")
        if not key or not separator:
            raise click.BadParameter(f"'{label}' is not KEY=VALUE", param_hint="--label")
        pairs[key] = value
    wishes = {
        "gpuType": gpu,
        "region": region,
        "image": image,
        "sessionName": name,
        "labels": pairs or None,
        "session": session,
        "wait": _waits(session, wait, wait_timeout) or None,
        "waitTimeoutSeconds": int(wait_timeout.total_seconds()) if wait_timeout is not None else None,
        "origin": {"devBox": socket.gethostname()},
    }
    return {key: value for key, value in wishes.items() if value is not None}


def _waits(session: str | None, wait: bool | None, wait_timeout: timedelta | None) -> bool:
    """Whether to wait in line; where nothing is said, whether a person looks on."""
    if session is not None:
        if wait or wait_timeout is not None:
            raise click.UsageError("--session joins a session that has its GPU: leave --wait and --wait-timeout out")
        return False
    if wait_timeout is not None:
        if wait is False:
            raise click.UsageError("--wait-timeout says how long to wait, --no-wait not to: leave one of them out")
        return True
    return sys.stderr.isatty() if wait is None else wait
