"""Who may do what: the matrix of every operation by every kind of caller, made from api/operations.py.

`python -m scripts.access_matrix` shows it, `--write` puts it into docs/security.md. tests/control_plane/
test_access_matrix.py tries each cell against the real API; tests/docs holds the page against this table.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path

from api.operations import OPERATIONS, Operation
from shared.domain.access import Who

PAGE = Path(__file__).resolve().parent.parent / "docs" / "security.md"
BEGIN, END = "<!-- matrix: begin -->", "<!-- matrix: end -->"


class Kind(StrEnum):
    """A caller in relation to the project of a member, and to what belongs to that member."""

    ANONYMOUS = "nobody signed in"
    OTHER_TENANT = "another tenant"
    EVENT_SENDER = "event sender"
    NO_DEV_BOX = "no Dev Box"
    OTHER_ADMIN = "admin elsewhere"
    OTHER_MEMBER = "other member"
    OWNER = "the member"
    ADMIN = "project admin"
    GPU_ADMIN = "`Gpu.Admin`"
    OPERATOR = "`Gpu.Operator`"


class Cell(StrEnum):
    """What a caller gets."""

    YES = "yes"
    OWN = "own"
    UNAUTHENTICATED = "401"
    FORBIDDEN = "403"
    NOT_FOUND = "404"


NOT_SIGNED_IN = (Kind.ANONYMOUS, Kind.OTHER_TENANT, Kind.EVENT_SENDER)
ADMINS = (Kind.ADMIN, Kind.GPU_ADMIN, Kind.OPERATOR)
MEMBERS = (Kind.OWNER, Kind.OTHER_MEMBER)
SHOWS_OWN_ONLY = frozenset({"ListSessions", "GetUsage"})
"""What answers every member, with the member's own rows alone."""


def cell(operation: Operation, kind: Kind) -> Cell:
    """Return what this caller gets who asks for what belongs to a member of a project."""
    if operation.who is Who.ANYONE:
        return Cell.YES
    if kind in NOT_SIGNED_IN:
        return Cell.UNAUTHENTICATED
    if "{project}" not in operation.route and operation.who is not Who.OPERATOR:
        return Cell.YES if kind in (Kind.GPU_ADMIN, Kind.OPERATOR) else Cell.OWN
    if kind in _ALLOWED[operation.who]:
        return Cell.YES
    if operation.who is Who.MEMBER and kind in MEMBERS:
        return Cell.OWN if operation.name in SHOWS_OWN_ONLY else Cell.YES
    return Cell.FORBIDDEN if operation.who is Who.ADMIN and kind in MEMBERS else Cell.NOT_FOUND


_ALLOWED: dict[Who, tuple[Kind, ...]] = {
    Who.ANYONE_SIGNED_IN: (Kind.OWNER, *ADMINS),
    Who.SELF: (Kind.OWNER,),
    Who.SELF_OR_ADMIN: (Kind.OWNER, *ADMINS),
    Who.MEMBER: ADMINS,
    Who.ADMIN: ADMINS,
    Who.OPERATOR: (Kind.OPERATOR,),
}


def own_name_cell(kind: Kind) -> Cell:
    """Return what this caller gets who opens a shell in the project in the caller's own name."""
    if kind in NOT_SIGNED_IN:
        return Cell.UNAUTHENTICATED
    return Cell.YES if kind in (*MEMBERS, Kind.ADMIN) else Cell.FORBIDDEN


def matrix() -> str:
    """Return the matrix as a Markdown table."""
    rows = [["operation", *Kind], ["---"] * (len(Kind) + 1)]
    rows += [[f"`{operation.name}`", *(cell(operation, kind) for kind in Kind)] for operation in OPERATIONS]
    rows.append(["`OpenShell` in one's own name", *map(own_name_cell, Kind)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def page_with(table: str, page: str) -> str:
    """Return the page with this table between its marks; raise ValueError where they are missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks '{BEGIN}' or '{END}'")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def main() -> int:
    if "--write" in sys.argv:
        PAGE.write_text(page_with(matrix(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(matrix())
    return 0


if __name__ == "__main__":
    sys.exit(main())
