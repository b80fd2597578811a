"""Who is calling, and what that lets them do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from shared.domain.names import UserId


class AppRole(StrEnum):
    """Roles of the app registration, given to people by the tenant's administrator; they hold in every project."""

    OPERATOR = "Gpu.Operator"
    ADMIN = "Gpu.Admin"


class Who(StrEnum):
    """What an operation asks of its caller, in relation to the project and the user in the path."""

    ANYONE = "anyone"
    ANYONE_SIGNED_IN = "anyone signed in; what is not theirs does not exist"
    SELF = "self"
    SELF_OR_ADMIN = "self or admin"
    MEMBER = "member"
    ADMIN = "admin"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A signed-in user: the Entra object id is the identity, never a name or a mail address."""

    user: UserId
    tenant: str
    name: str
    roles: frozenset[str]

    @property
    def is_operator(self) -> bool:
        return AppRole.OPERATOR in self.roles

    @property
    def administers_everywhere(self) -> bool:
        """Tell whether an app role makes the caller an administrator of every project."""
        return self.is_operator or AppRole.ADMIN in self.roles


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the caller is to the project and the user in the path."""

    is_self: bool
    is_administrator: bool
    is_member: bool
    is_operator: bool = False


def may(who: Who, standing: Standing) -> bool:
    """Tell whether the operation may be carried out. Deny by default."""
    match who:
        case Who.ANYONE | Who.ANYONE_SIGNED_IN:
            return True
        case Who.SELF:
            return standing.is_self
        case Who.SELF_OR_ADMIN:
            return standing.is_self or standing.is_administrator
        case Who.MEMBER:
            return standing.is_member or standing.is_administrator
        case Who.ADMIN:
            return standing.is_administrator
        case Who.OPERATOR:
            return standing.is_operator
