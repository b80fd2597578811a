"""What `shell` and `run` have in common: their options read, then only a decision said, or a shell opened."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from devboxgpu.commands.options import asks_only, configured, session_request


def carry_out(
    *,
    arguments: Sequence[str],
    on_terminal: bool,
    dry_run: bool,
    output: str | None,
    query: str | None,
    endpoint: str | None,
    project: str | None,
    debug: bool,
    detach: bool = False,
    sync: str | None,
    sync_back: tuple[str, ...],
    **wishes: Any,
) -> int:
    """Do what the options ask for; the exit code. `wishes` are what `session_request` takes."""
    only_asks = asks_only(dry_run=dry_run, output=output, query=query)
    request = session_request(**wishes)
    if sync_back and sync is None:
        raise click.UsageError("--sync-back says what of a folder comes back: name the folder with --sync")
    if detach and sync is not None:
        raise click.UsageError(
            "--sync brings a folder back at the end, when nobody is there with --detach: take it along with "
            "'devboxgpu cp', or have the program or ~/.devboxgpu/on-stop save what it makes"
        )
    configuration = configured(endpoint=endpoint, project=project, debug=debug)
    request = configuration.with_wishes(request)
    if only_asks:
        from devboxgpu.commands.forecast import say_decision

        usual = configuration.values.text("output")
        as_data = output or (usual if usual != "table" else None)  # for people, the sentence is the table
        return say_decision(configuration, request, output=as_data, query=query)

    from devboxgpu.commands.attached import run_attached

    return run_attached(
        configuration,
        request=request,
        arguments=arguments,
        on_terminal=on_terminal,
        detach=detach,
        sync=sync,
        sync_back=sync_back,
    )
