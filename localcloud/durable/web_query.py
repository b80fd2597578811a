"""Query strings of the engine's HTTP: names ignore case, and a value that says nothing counts as absent."""

import base64
import binascii
from urllib.parse import parse_qsl

from localcloud.durable.decisions import Status
from localcloud.durable.rows import InstanceQuery
from localcloud.durable.texts import parse_instant

_PAGE = 100
_STATUSES = {status.lower(): status for status in Status}


class QueryError(ValueError):
    """A parameter that cannot be read."""


class WebQuery:
    """The parameters of a request."""

    def __init__(self, raw: str) -> None:
        self._values = {name.lower(): value for name, value in parse_qsl(raw, keep_blank_values=True)}

    def text(self, name: str) -> str | None:
        return self._values.get(name.lower()) or None

    def reason(self) -> str | None:
        """The reason of an operation, which may be empty; None where there is none."""
        return self._values.get("reason")

    def flag(self, name: str, *, default: bool) -> bool:
        """Only true and false are understood, in any case of letters."""
        return {"true": True, "false": False}.get(self._values.get(name.lower(), "").lower(), default)

    def seconds(self, name: str, default: float) -> float:
        """Raises QueryError where the value is no number."""
        try:
            return float(self.text(name) or default)
        except ValueError as error:
            raise QueryError(f"{name} is {self.text(name)!r}; it must be a number of seconds") from error

    def instances(self) -> InstanceQuery:
        """The filter of a list of instances; raises QueryError."""
        try:
            created_from, created_to = self.text("createdTimeFrom"), self.text("createdTimeTo")
            names = [name.strip().lower() for name in (self.text("runtimeStatus") or "").split(",")]
            return InstanceQuery(
                prefix=self.text("instanceIdPrefix") or "",
                statuses=tuple(_STATUSES[name] for name in names if name in _STATUSES),
                created_from=parse_instant(created_from) if created_from else None,
                created_to=parse_instant(created_to) if created_to else None,
                top=int(self.text("top") or _PAGE),
            )
        except ValueError as error:
            raise QueryError(str(error)) from error


def continuation_token(instance_id: str) -> str:
    """Stands for the last instance of a page."""
    return base64.urlsafe_b64encode(instance_id.encode("utf-8")).decode("ascii")


def last_of_page(token: str) -> str:
    """The instance that a token stands for; raises QueryError."""
    try:
        return base64.urlsafe_b64decode(token.encode("ascii")).decode("utf-8")
    except (binascii.Error, UnicodeError) as error:
        raise QueryError("the continuation token is not one of this host's") from error
