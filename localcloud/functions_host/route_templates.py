"""ASP.NET route templates: `things/{id:int}`, `greet/{name?}`, `page/{size=10}`, `tree/{*rest}`, `items/{id}:stop`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from localcloud.functions_host.route_constraints import Constraint, UnknownConstraint, constraint_of

_PARAMETER = re.compile(r"(?P<stars>\*{0,2})(?P<name>[^*/{}?=:]+)(?P<rest>.*)", re.DOTALL)


class BadTemplate(ValueError):
    """A route template cannot be read; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """`{name}` in a template, with what may follow the name."""

    name: str
    constraints: tuple[Constraint, ...] = ()
    default: str | None = None
    is_optional: bool = False
    is_catch_all: bool = False


Part = str | Parameter
"""A literal, or a parameter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTemplate:
    """A template that was read: for each segment its parts, and a pattern that the segment's text has to match."""

    text: str
    segments: tuple[tuple[Part, ...], ...]
    patterns: tuple[re.Pattern[str], ...]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    def match(self, path: str) -> dict[str, str] | None:
        """The route's values for a decoded path without its leading slash, or None where it does not fit."""
        values: dict[str, str] = {}
        rest: str | None = path
        for parts, pattern in zip(self.segments, self.patterns, strict=True):
            first = parts[0]
            if isinstance(first, Parameter) and first.is_catch_all:
                if rest:
                    values[f"p{len(self.parameters) - 1}"] = rest
                rest = None
                break
            if not rest:  # the path has ended, or ended in its one trailing slash
                if not _may_be_absent(parts):
                    return None
                continue
            segment, slash, after = rest.partition("/")
            found = pattern.fullmatch(segment)
            if found is None:
                return None
            values.update({name: text for name, text in found.groupdict().items() if text})
            rest = after if slash else None
        if rest:
            return None
        return self._checked(values)

    def _checked(self, found: dict[str, str]) -> dict[str, str] | None:
        values: dict[str, str] = {}
        for group, parameter in self.parameters.items():
            value = found.get(group, parameter.default)
            if value is None:
                continue
            if not all(constraint(value) for constraint in parameter.constraints):
                return None
            values[parameter.name] = value
        return values


def parse_template(text: str) -> RouteTemplate:
    """Read a template; raises BadTemplate."""
    groups: dict[str, Parameter] = {}
    segments: list[tuple[Part, ...]] = []
    patterns: list[re.Pattern[str]] = []
    for segment in _split_outside_braces(text.removeprefix("~").removeprefix("/").removesuffix("/")):
        parts = _parts(text, segment)
        if segments and any(isinstance(part, Parameter) and part.is_catch_all for part in segments[-1]):
            raise BadTemplate(f"route '{text}': a catch-all parameter must come last")
        for part in parts:
            if isinstance(part, Parameter):
                if any(part.name.lower() == known.name.lower() for known in groups.values()):
                    raise BadTemplate(f"route '{text}' has the parameter {part.name} twice")
                groups[f"p{len(groups)}"] = part
        segments.append(parts)
        patterns.append(_pattern(parts, groups))
    return RouteTemplate(text=text, segments=tuple(segments), patterns=tuple(patterns), parameters=groups)


def _may_be_absent(parts: tuple[Part, ...]) -> bool:
    only = parts[0]
    return len(parts) == 1 and isinstance(only, Parameter) and (only.is_optional or only.default is not None)


def _split_outside_braces(text: str) -> list[str]:
    segments, depth, begin = [], 0, 0
    for position, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if character == "/" and depth == 0:
            segments.append(text[begin:position])
            begin = position + 1
    return [*segments, text[begin:]] if text else []


def _parts(template: str, segment: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    rest = segment
    while rest:
        begin = _opening_brace(rest)
        if begin is None:
            parts.append(_literal(template, rest))
            break
        if begin:
            parts.append(_literal(template, rest[:begin]))
        end = _closing_brace(template, rest, begin)
        if parts and isinstance(parts[-1], Parameter):
            raise BadTemplate(f"route '{template}': two parameters need a text between them")
        parts.append(_parameter(template, rest[begin + 1 : end]))
        rest = rest[end + 1 :]
    if not parts:
        raise BadTemplate(f"route '{template}' has an empty segment; write it without a slash at its beginning")
    if len(parts) > 1 and any(isinstance(part, Parameter) and part.is_catch_all for part in parts):
        raise BadTemplate(f"route '{template}': a catch-all parameter must have a segment to itself")
    return tuple(parts)


def _literal(template: str, text: str) -> str:
    plain = text.replace("{{", "\0").replace("}}", "\1")
    if "{" in plain or "}" in plain or "?" in plain:
        raise BadTemplate(f"route '{template}': '{text}' holds a brace or a question mark that stands alone")
    return plain.replace("\0", "{").replace("\1", "}")


def _opening_brace(text: str) -> int | None:
    position = 0
    while (position := text.find("{", position)) >= 0:
        if text[position : position + 2] != "{{":
            return position
        position += 2
    return None


def _closing_brace(template: str, text: str, begin: int) -> int:
    position = begin + 1
    while (position := text.find("}", position)) >= 0:
        if text[position : position + 2] != "}}":
            return position
        position += 2
    raise BadTemplate(f"route '{template}' has an opening brace without its closing one")


def _parameter(template: str, inside: str) -> Parameter:
    match = _PARAMETER.fullmatch(inside.replace("{{", "{").replace("}}", "}"))
    if match is None:
        raise BadTemplate(f"route '{template}': '{{{inside}}}' is not a parameter")
    constraints, default, is_optional = _after_name(match["rest"])
    try:
        checks = tuple(constraint_of(text) for text in constraints)
    except UnknownConstraint as error:
        raise BadTemplate(f"route '{template}': {error}") from error
    if is_optional and (match["stars"] or default is not None):
        raise BadTemplate(f"route '{template}': {match['name']} cannot be optional as well")
    return Parameter(
        name=match["name"],
        constraints=checks,
        default=default,
        is_optional=is_optional,
        is_catch_all=bool(match["stars"]),
    )


def _after_name(rest: str) -> tuple[list[str], str | None, bool]:
    """Split `:int:range(1,5)=3` into constraints and default, minding parentheses; a final `?` means optional."""
    is_optional = rest.endswith("?")
    constraints, default, depth, begin = [], None, 0, 0
    text = rest.removesuffix("?")
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0 and character in ":=" and position:
            constraints.append(text[begin + 1 : position])
            begin = position
        if depth == 0 and character == "=":
            return [c for c in constraints if c], text[position + 1 :], is_optional
    if text:
        constraints.append(text[begin + 1 :])
    return [constraint for constraint in constraints if constraint], default, is_optional


def _pattern(parts: tuple[Part, ...], groups: Mapping[str, Parameter]) -> re.Pattern[str]:
    group_of = {parameter.name: group for group, parameter in groups.items()}
    last = parts[-1]
    has_extension = parts[-2:-1] == (".",) and isinstance(last, Parameter) and last.is_optional
    # Of several parameters in one segment the first takes all it can, as matching from the right does;
    # before an extension that may be absent it leaves the last dot to that.
    source = "".join(
        f"(?P<{group_of[part.name]}>.+{'?' if has_extension else ''})"
        if isinstance(part, Parameter)
        else re.escape(part)
        for part in (parts[:-2] if has_extension else parts)
    )
    if has_extension and isinstance(last, Parameter):
        source += rf"(?:\.(?P<{group_of[last.name]}>[^.]+))?"
    return re.compile(source, re.IGNORECASE | re.DOTALL)
