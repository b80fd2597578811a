"""The options that verbs share."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from devboxgpu.configuration import Configuration

Decorated = TypeVar("Decorated", bound=Callable[..., object])


def connection_options(function: Decorated) -> Decorated:
    """--endpoint, --project, --debug: what every verb that talks to the control plane takes."""
    for option in (
        click.option("--debug", is_flag=True, help="Say on standard error what is called and answered."),
        click.option("--project", metavar="NAME", help="Dev Center project (DEVBOXGPU_PROJECT)."),
        click.option("--endpoint", metavar="URL", help="The control plane's address (DEVBOXGPU_ENDPOINT)."),
    ):
        function = option(function)
    return function


def output_options(function: Decorated) -> Decorated:
    """-o and --query: what every verb that shows data takes."""
    for option in (
        click.option("--query", metavar="JMESPATH", help="Show only this part of the data (https://jmespath.org)."),
        click.option(
            "-o",
            "--output",
            type=click.Choice(["table", "json", "tsv"]),
            default="table",
            show_default=True,
            help="How data is written to standard output.",
        ),
    ):
        function = option(function)
    return function


def session_options(function: Decorated) -> Decorated:
    """What `shell` and `run` may ask of a new session."""
    for option in (
        click.option("--label", "labels", metavar="KEY=VALUE", multiple=True, help="Label of the session; repeatable."),
        click.option("--name", metavar="NAME", help="Name of the session, for people."),
        click.option("--image", metavar="IMAGE", help="Container image. Default: the project's."),
        click.option("--region", metavar="REGION", help="Azure region. Default: the project's order of regions."),
        click.option("--gpu", metavar="TYPE", help="GPU type, such as T4 or A100. Default: the project's."),
    ):
        function = option(function)
    return function


def configured(*, endpoint: str | None, project: str | None, debug: bool) -> Configuration:
    """The configuration that holds for a verb; switches the log on for --debug."""
    from devboxgpu.configuration import load

    if debug:
        handler = logging.StreamHandler(sys.stderr)
        # A raw terminal does not go to the beginning of a line by itself.
        handler.terminator = "\r\n" if sys.stderr.isatty() else "\n"
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
        logging.getLogger("devboxgpu").addHandler(handler)
        logging.getLogger("devboxgpu").setLevel(logging.DEBUG)
    return load(endpoint=endpoint, project=project)


def session_request(
    *, gpu: str | None, region: str | None, image: str | None, name: str | None, labels: tuple[str, ...]
) -> dict[str, object]:
    """The body of OpenShell; absent wishes are left to the project's settings."""
    pairs = {}
    for label in labels:
        key, separator, value = label.partition("=")
        if not key or not separator:
            raise click.BadParameter(f"'{label}' is not KEY=VALUE", param_hint="--label")
        pairs[key] = value
    wishes = {"gpuType": gpu, "region": region, "image": image, "sessionName": name, "labels": pairs or None}
    return {key: value for key, value in wishes.items() if value is not None}
