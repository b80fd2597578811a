"""`devboxgpu whoami`."""

from __future__ import annotations

import click

from devboxgpu.commands.options import configured, connection_options, output_options


@click.command(short_help="Who you are to the control plane.")
@output_options
@connection_options
def whoami(*, output: str, query: str | None, endpoint: str | None, project: str | None, debug: bool) -> None:
    """Who your token says you are, where it comes from, and where it is sent. The token itself is never shown."""
    from datetime import UTC, datetime

    from devboxgpu.data_output import show
    from devboxgpu.tokens import claims_of

    configuration = configured(endpoint=endpoint, project=project, debug=debug)
    claims = claims_of(configuration.tokens.token())
    expires = claims.get("exp")
    show(
        {
            "user": claims.get("preferred_username"),
            "name": claims.get("name"),
            "objectId": claims.get("oid"),
            "tenantId": claims.get("tid"),
            "roles": claims.get("roles") or [],
            "tokenFrom": configuration.tokens.origin,
            "tokenExpiresAt": (
                datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                if isinstance(expires, int)
                else None
            ),
            "project": configuration.project,
            "endpoint": configuration.endpoint,
        },
        output,
        query,
    )
