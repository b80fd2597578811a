"""`devboxgpu install` and `devboxgpu uninstall`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from devboxgpu.install.catalogue import Wishes
    from devboxgpu.install.machine import Machine
    from devboxgpu.install.steps import Part

Decorated = TypeVar("Decorated", bound=Callable[..., object])
PARTS = ("terminal", "vscode", "vscode-settings", "completion", "config")


def _choices(function: Decorated) -> Decorated:
    """What `install` and `uninstall` have in common."""
    for option in (
        click.option("--dry-run", is_flag=True, help="Show every change with its content, and change nothing."),
        click.option("--yes", "-y", is_flag=True, help="Do not ask."),
        click.option(
            "--machine", "for_everybody", is_flag=True, help="For everybody on this machine; as its administrator."
        ),
        click.option(
            "--only",
            metavar="LIST",
            help=f"Only these, separated by commas: {', '.join(PARTS)}. Default: what is usual.",
        ),
    ):
        function = option(function)
    return function


@click.command(short_help="Put devboxgpu into your terminals and editors.")
@_choices
@click.option("--completion", "with_completion", is_flag=True, help="With shell completion, where it is not usual.")
@click.option("--gpu-types", metavar="LIST", help="A profile for each, the project's own first. Default: asks.")
@click.option("--project", metavar="NAME", help="Dev Center project (DEVBOXGPU_PROJECT); with --machine, everybody's.")
@click.option("--tenant", metavar="ID", help="With --machine: the Entra tenant to sign in to.")
@click.option("--client-id", metavar="ID", help="With --machine: this command's app registration in Entra.")
@click.option("--print", "shown", type=click.Choice(["visual-studio"]), help="Show values to paste; installs nothing.")
@click.option("--endpoint", metavar="URL", help="The control plane (DEVBOXGPU_ENDPOINT); with --machine, everybody's.")
def install(**options: Any) -> int:
    """Put devboxgpu into Windows Terminal, VS Code and your shell; says what it will change, and asks.

    \b
        devboxgpu install --dry-run
        devboxgpu install --only terminal,vscode --yes
        devboxgpu install --machine --yes --endpoint https://gpu.contoso.com/api --project ml-research

    Usual: Windows Terminal and the VS Code extension on Windows; Windows Terminal and completion in WSL; completion and
    the VS Code extension on Linux and macOS. A second run changes only what is not as it should be.
    'devboxgpu uninstall' takes all of it away.
    """  # noqa: D301 - the backspace is click's mark for lines to keep
    from devboxgpu.install import asking, performing
    from devboxgpu.install.this_machine import this_machine

    machine = this_machine()
    if options["shown"]:
        click.echo("\n".join(asking.visual_studio(machine)))
        return 0
    wishes = _wishes(machine, options)
    return performing.install(machine, wishes, dry_run=options["dry_run"], yes=options["yes"])


@click.command(short_help="Take away all that install has put there.")
@_choices
def uninstall(**options: Any) -> int:
    """Take away all that 'devboxgpu install' has put on this machine; says what goes, and asks.

    What you had edited yourself is kept as a copy, and said. The command itself stays: your package manager removes it.
    """
    from devboxgpu.commands.completion import script_of
    from devboxgpu.install import performing
    from devboxgpu.install.catalogue import Wishes
    from devboxgpu.install.this_machine import this_machine

    wishes = Wishes(
        parts=_parts(options["only"]),
        for_everybody=options["for_everybody"],
        completion_script=script_of,
    )
    return performing.uninstall(this_machine(), wishes, dry_run=options["dry_run"], yes=options["yes"])


def _parts(only: str | None) -> tuple[Part, ...]:
    from devboxgpu.install.steps import Part

    if only is None:
        return ()
    named = [word.strip() for word in only.split(",") if word.strip()]
    if not named or (unknown := [word for word in named if word not in PARTS]):
        wrong = f"unknown: {', '.join(unknown)}. " if named else ""
        raise click.BadParameter(f"{wrong}Give some of {', '.join(PARTS)}", param_hint="--only")
    return tuple(dict.fromkeys(Part(word) for word in named))


def _wishes(machine: Machine, options: dict[str, Any]) -> Wishes:
    from devboxgpu.commands.completion import script_of
    from devboxgpu.install.catalogue import Wishes, parts_of

    wishes = Wishes(
        parts=_parts(options["only"]),
        with_completion=options["with_completion"],
        for_everybody=options["for_everybody"],
        values=_values(options),
        completion_script=script_of,
    )
    return replace(wishes, gpu_types=_gpu_types(machine, options, parts_of(machine, wishes)))


def _values(options: dict[str, Any]) -> dict[str, str]:
    """What goes into the machine's configuration."""
    if not options["for_everybody"]:
        if given := [name for name in ("tenant", "client_id") if options[name]]:
            named = " and ".join(f"--{name.replace('_', '-')}" for name in given)
            raise click.UsageError(f"{named} is for the machine's configuration: add --machine, or use 'config set'")
        return {}
    values = {
        "endpoint": options["endpoint"],
        "project": options["project"],
        "tenant_id": options["tenant"],
        "client_id": options["client_id"],
    }
    return {name: value for name, value in values.items() if value}


def _gpu_types(machine: Machine, options: dict[str, Any], parts: tuple[Part, ...]) -> tuple[str, ...] | None:
    """The given ones; else, for a person's own terminal, what the project offers."""
    from devboxgpu.install.asking import named_gpu_types, offered_gpu_types

    if options["gpu_types"] is not None:
        return named_gpu_types(options["gpu_types"])
    if options["for_everybody"] or machine.windows is None or "terminal" not in parts:
        return None
    return offered_gpu_types(endpoint=options["endpoint"], project=options["project"])
