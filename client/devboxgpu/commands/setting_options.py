"""The options of `project set` and `project replay`, each with the setting that it is about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

import click

from devboxgpu.commands.durations import Duration, minutes_of
from devboxgpu.commands.setting_types import Budget, GpuCap, GpuTypes, Names, Repository

Decorated = TypeVar("Decorated", bound=Callable[..., object])
MODE = "serverlessGpuSessionsSettings.serverlessGpuSessionsMode"
DISABLED = "Disabled"


def _mode(enabled: bool) -> str:
    return "AutoDeploy" if enabled else DISABLED


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """An option that is the value of one setting. `wire` makes that value of what was read."""

    option: str
    setting: str
    help: str
    type: click.ParamType[Any] | None = None
    metavar: str | None = None
    wire: Callable[[Any], object] = lambda value: value

    @property
    def parameter(self) -> str:
        return self.option.partition("/")[0].removeprefix("--").replace("-", "_")


def _number(option: str, setting: str, text: str) -> Plain:
    return Plain(option=option, setting=setting, help=text, type=click.INT, metavar="N")


def _lasting(option: str, setting: str, text: str, *, may_be_zero: bool = False) -> Plain:
    lasts = Duration(may_be_zero=may_be_zero)
    return Plain(option=option, setting=setting, help=text, type=lasts, metavar="DURATION", wire=minutes_of)


def _flag(option: str, setting: str, text: str) -> Plain:
    return Plain(option=option, setting=setting, help=text)


def _one_of(option: str, setting: str, text: str, choices: tuple[str, ...]) -> Plain:
    return Plain(option=option, setting=setting, help=text, type=click.Choice(choices))


_PER_PROJECT = "serverlessGpuSessionsSettings.maxConcurrentSessionsPerProject"
_SHARINGS = ("dedicated", "shared", "dedicatedThenShared")
PLAIN = (
    Plain(option="--enable/--disable", setting=MODE, help="Whether the project has GPU sessions.", wire=_mode),
    _number("--max-concurrent", _PER_PROJECT, "GPUs of the project at once."),
    _number("--max-per-user", "maxConcurrentSessionsPerUser", "GPUs of one person at once."),
    _lasting("--idle-timeout", "idle.timeoutMinutes", "A session that is idle for so long is stopped."),
    _lasting("--idle-grace", "idle.graceMinutes", "So long it goes on when its shells are lost.", may_be_zero=True),
    _lasting("--max-lifetime", "maxLifetimeMinutes", "The longest life of a session."),
    _lasting(
        "--extend-limit", "extendLimitMinutes", "How much longer 'sessions extend' may make it.", may_be_zero=True
    ),
    _one_of("--sharing", "shellSharing", "Whether a person's shells share a session.", _SHARINGS),
    _flag("--line/--no-line", "line.enabled", "Whether one may wait for a GPU."),
    _number("--line-length", "line.maxLength", "How many may wait."),
    _lasting("--line-timeout", "line.timeoutMinutes", "How long one may wait."),
    _one_of("--fairness", "line.fairness", "Who comes next.", ("fifo", "fairShare")),
    Plain(option="--default-image", setting="images.default", help="Image where none is named.", metavar="IMAGE"),
    _flag("--require-digest/--no-require-digest", "images.requireDigest", "Whether images must be named by digest."),
    _flag(
        "--require-vnet/--no-require-vnet", "requireVirtualNetwork", "Whether sessions must be in a virtual network."
    ),
    _flag("--hard-stop/--no-hard-stop", "budget.hardStop", "Whether sessions stop when the budget is used up."),
)
COMPOSED = (
    click.option(
        "--gpu-types",
        metavar="TYPES",
        type=GpuTypes(),
        help="The GPU types, the default first: T4,A100, or with caps T4=3,A100=1. Replaces the list.",
    ),
    click.option(
        "--gpu-cap",
        "gpu_caps",
        metavar="TYPE=N",
        type=GpuCap(),
        multiple=True,
        help="At most N of this GPU type at once, the rest of the list as it is; repeatable.",
    ),
    click.option(
        "--fallback",
        metavar="TYPES",
        type=Names(may_be_none=True),
        help="The types that are given where an earlier one cannot be had, such as A100; 'none' for none.",
    ),
    click.option(
        "--regions",
        metavar="REGIONS",
        type=Names(),
        help="The regions a,b,c in the order of trying. Replaces the list.",
    ),
    click.option(
        "--allow-registry",
        "repositories",
        metavar="SERVER/REPOSITORY[=IDENTITY]",
        type=Repository(),
        multiple=True,
        help="Allow these images too, pulled by this identity; a final '/*' is all below. Repeatable.",
    ),
    click.option(
        "--budget",
        metavar="AMOUNT",
        type=Budget(),
        help="A month's budget, such as 500 or 500EUR; 'none' takes it away.",
    ),
)


def setting_options(aliases: Mapping[str, str] = MappingProxyType({})) -> Callable[[Decorated], Decorated]:
    """An option for every setting that has one; all absent by default. `aliases`: second names of some of them."""

    def decorate(function: Decorated) -> Decorated:
        for option in (*reversed(COMPOSED), *(_option(one, aliases) for one in reversed(PLAIN))):
            function = option(function)
        return function

    return decorate


def _option(one: Plain, aliases: Mapping[str, str]) -> Callable[[Decorated], Decorated]:
    names = (one.option, *([aliases[one.option]] if one.option in aliases else []))
    return click.option(*names, one.parameter, type=one.type, metavar=one.metavar, default=None, help=one.help)
