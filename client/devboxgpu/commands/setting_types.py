"""How values of settings are written on a command line."""

from __future__ import annotations

import re
from collections.abc import Mapping

import click

Entry = Mapping[str, object]
AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]{3})?")
NONE = "none"


class Names(click.ParamType[tuple[str, ...]]):
    """`a,b,c`; `none` for no name at all, where that may be said."""

    name = "names"

    def __init__(self, *, may_be_none: bool = False) -> None:
        self._may_be_none = may_be_none

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if self._may_be_none and value == NONE:
            return ()
        names = tuple(name.strip() for name in str(value).split(","))
        if not all(names):
            self.fail(f"'{value}' has an empty name in it: write a,b,c", param, ctx)
        return names


class GpuCap(click.ParamType[Entry]):
    """`A100=1`: a GPU type and how many of it at once; or the bare type, where a cap need not be said."""

    name = "gpu"

    def __init__(self, *, cap_needed: bool = True) -> None:
        self._cap_needed = cap_needed

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Entry:
        gpu_type, equals, cap = (part.strip() for part in str(value).partition("="))
        if not gpu_type or (not equals and self._cap_needed) or (equals and not cap.isdecimal()):
            self.fail(f"'{value}' is not TYPE=NUMBER, such as A100=1", param, ctx)
        return {"type": gpu_type, "maxConcurrent": int(cap)} if equals else {"type": gpu_type}


class GpuTypes(click.ParamType[list[Entry]]):
    """`T4,A100` or, with caps, `T4=3,A100=1`."""

    name = "gpus"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> list[Entry]:
        return [GpuCap(cap_needed=False).convert(part, param, ctx) for part in str(value).split(",")]


class Repository(click.ParamType[Entry]):
    """`SERVER/REPOSITORY` or `SERVER/REPOSITORY=IDENTITY`."""

    name = "repository"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Entry:
        place, equals, identity = str(value).strip().partition("=")
        server, slash, repository = place.partition("/")
        if not server or not slash or not repository or (equals and not identity):
            self.fail(f"'{value}' is not SERVER/REPOSITORY[=IDENTITY], such as team.azurecr.io/train/*", param, ctx)
        return {"server": server, "repository": repository} | ({"identity": identity} if equals else {})


class Budget(click.ParamType[Entry]):
    """`500`, `500EUR` or `"500 EUR"` a month; `none` takes the budget away and reads as an empty one."""

    name = "budget"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Entry:
        text = str(value).strip()
        if text == NONE:
            return {}
        found = AMOUNT.fullmatch(text)
        if found is None:
            self.fail(f"'{value}' is no amount: write 500, 500EUR, or none", param, ctx)
        amount, currency = found.groups()
        return {"monthlyAmount": amount} | ({"currency": currency.upper()} if currency else {})
