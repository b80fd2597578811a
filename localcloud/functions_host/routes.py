"""Which function answers a path and verb: the table of all routes, in the vendor's order of preference."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cmp_to_key

from localcloud.functions_host.functions import AppFunction
from localcloud.functions_host.route_templates import Parameter, Part, RouteTemplate, parse_template

_RESERVED = ("admin", "runtime")
_INDEXED_WORDS = 2


class RouteConflict(ValueError):
    """A function's route cannot be served; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A function's route, prefix included; no methods means all of them."""

    function: AppFunction
    template: RouteTemplate
    methods: frozenset[str]

    def takes(self, method: str) -> bool:
        return not self.methods or method in self.methods


def route_of(function: AppFunction, prefix: str) -> Route:
    """Read a function's route; raises BadTemplate, or RouteConflict for a reserved one.

    Reserved is what begins with a reserved word behind the prefix, be it only the beginning of a longer word.
    """
    text = str(function.trigger.settings.get("route") or "")
    text = text if text.strip() else function.name
    if text.strip("/").lower().startswith(_RESERVED):
        raise RouteConflict(
            f"route '{text}' begins as what the host keeps for itself ({', '.join(_RESERVED)}); give it another"
        )
    full = f"{prefix}/{text}" if prefix else text
    methods = function.trigger.settings.get("methods") or ()
    return Route(
        function=function,
        template=parse_template(full),
        methods=frozenset(str(method).upper() for method in methods),
    )


class RouteTable:
    """All routes, most specific first."""

    def __init__(self, routes: Iterable[Route] = ()) -> None:
        self.routes = sorted(routes, key=cmp_to_key(_compare))
        # Routes that begin with the same two literals stand together; those that do not begin so go with each of them.
        self._open = [route for route in self.routes if not _first_words(route)]
        self._by_first_words = {
            words: [route for route in self.routes if _first_words(route) in ((), words)]
            for words in {_first_words(route) for route in self.routes}
        }

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route for a decoded path (without its leading slash) and verb, with its values; None where there is none.

        A wrong verb is no match, as on the vendor's host: never 405.
        """
        words = tuple(path.lower().split("/", _INDEXED_WORDS)[:_INDEXED_WORDS])
        for route in self._by_first_words.get(words, self._open):
            if route.takes(method) and (values := route.template.match(path)) is not None:
                return route, values
        return None

    def conflict(self, new: Route) -> Route | None:
        """A route that answers the same paths and a common verb, which the vendor's host refuses."""
        shape = _shape(new.template)
        for route in self.routes:
            overlap = not route.methods or not new.methods or route.methods & new.methods
            if overlap and _shape(route.template) == shape:
                return route
        return None


def _first_words(route: Route) -> tuple[str, ...]:
    """The literals that the route begins with, as many as are indexed; none if it begins with fewer."""
    words = [parts[0].lower() for parts in route.template.segments[:_INDEXED_WORDS] if isinstance(parts[0], str)]
    is_plain = all(len(parts) == 1 for parts in route.template.segments[:_INDEXED_WORDS])
    return tuple(words) if is_plain and len(words) == _INDEXED_WORDS else ()


def _shape(template: RouteTemplate) -> str:
    return template.text.lower().strip("/")


def _compare(left: Route, right: Route) -> int:
    """Order by the first segment that differs: catch-all, literal, constrained, free; and the longer route first."""
    for ours, theirs in zip(left.template.segments, right.template.segments, strict=False):
        first, second = _rank(ours), _rank(theirs)
        if first != second:
            return -1 if first < second else 1
    return len(right.template.segments) - len(left.template.segments)


def _rank(parts: tuple[Part, ...]) -> tuple[int, int, str]:
    first = parts[0]
    if not isinstance(first, Parameter):
        return (1, 0, first.lower())
    if first.is_catch_all:
        return (0, 0, "")
    # A segment with a literal behind its parameter must be tried before one that takes everything.
    return (2, -len(first.constraints) - (len(parts) > 1), "")
