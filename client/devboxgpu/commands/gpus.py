"""`devboxgpu gpus`."""

from __future__ import annotations

import click

from devboxgpu.commands.options import configured, connection_options, output_options


@click.command(short_help="GPU types, prices, what is free.")
@output_options
@connection_options
def gpus(*, output: str, query: str | None, endpoint: str | None, project: str | None, debug: bool) -> None:
    """The GPU types that the project offers: regions, price an hour, how many are free now and for you.

    IN LINE: how many sessions wait for the type. WAIT: how long yours would, 'none' where one can start at once. A
    region with a shortage has lately had no GPU to give. A fallback is given where no earlier type can be had. A price
    is 'bundled' where the list could not be had lately, and a table that was brought along stands in.
    """
    from devboxgpu.columns import OFFER_COLUMNS
    from devboxgpu.data_output import show

    api = configured(endpoint=endpoint, project=project, debug=debug).control_plane()
    show(api.list_offers(), output, query, columns=OFFER_COLUMNS, empty="the project offers no GPU type")
