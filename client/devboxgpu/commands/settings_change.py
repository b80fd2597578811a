"""A change of a project's settings from what was asked for to what is told: read, patched if still so, compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

from devboxgpu.api import ControlPlane
from devboxgpu.commands.setting_options import DISABLED, MODE
from devboxgpu.commands.settings_patch import patch_of
from devboxgpu.errors import RefusedError
from devboxgpu.notices import Notices
from devboxgpu.settings_view import Change, changes, lock_on, value_at
from devboxgpu.wire import Json
from devboxgpu.wording import printable

NOTHING_ASKED = (
    "nothing to set: say what is to change, such as --max-concurrent 8, or give --file settings.json; "
    "'devboxgpu project set --help' lists every option"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    options: Mapping[str, Any]
    """By parameter; None and () where not given."""
    file_patch: Json
    running: str | None
    dry_run: bool

    def check(self) -> None:
        """Raises a usage error where the words make no sense, whatever the settings are."""
        disables = self.options["enable"] is False or value_at(self.file_patch, MODE) == DISABLED
        if self.running is not None and (not disables or self.options["enable"]):
            raise click.UsageError(
                "--running says what becomes of live sessions on --disable: add that, or leave it out"
            )
        if not self.file_patch and all(value in (None, ()) for value in self.options.values()):
            raise click.UsageError(NOTHING_ASKED)

    @property
    def query(self) -> dict[str, str]:
        wishes = {"runningSessions": self.running, "dryRun": "true" if self.dry_run else None}
        return {name: wish for name, wish in wishes.items() if wish is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    settings: Json
    """As they are now, or would be after a dry run."""
    changes: list[Change]
    effective_before: Json


def change_settings(api: ControlPlane, asked: Asked) -> Changed:
    """Patches the settings, but only those that were read here. Raises RefusedError with every bad value."""
    before, effective = api.get_settings(), api.get_effective_settings()
    patch = patch_of(asked.options, file_patch=asked.file_patch, settings=before.value)
    try:
        after = api.update_settings(patch, etag=before.etag, query=asked.query)
    except RefusedError as refused:
        raise _refusal(refused, api.project) from None
    return Changed(settings=after, changes=changes(before.value, after), effective_before=effective)


def say_changes(project: str, asked: Asked, changed: Changed) -> None:
    """What changed on standard output, a line each; how much and whether it was written on standard error."""
    for change in changed.changes:
        lock = lock_on(change.setting, changed.effective_before)
        line = f"{change.setting}: {change.before} -> {change.after}" + (f" · policy: {lock}" if lock else "")
        click.echo(printable(line))
    notices, count = Notices(), len(changed.changes)
    settings = "1 setting" if count == 1 else f"{count} settings"
    if not count:
        notices.say(f"project {project}: nothing changes, its settings are so already")
    elif asked.dry_run:
        notices.say(f"project {project}: {settings} would change; nothing was written")
    else:
        notices.say(f"project {project}: {settings} changed")
    if any(change.setting == MODE and change.after == DISABLED for change in changed.changes):
        notices.say(_what_becomes_of_live_sessions(asked))


def _what_becomes_of_live_sessions(asked: Asked) -> str:
    would = "would be" if asked.dry_run else "are being"
    if asked.running == "stop":
        return f"live sessions {would} stopped"
    return "live sessions go on until they end by themselves; --running stop stops them"


def _refusal(refused: RefusedError, project: str) -> RefusedError:
    """The refusal in this verb's words where its own would send the person elsewhere or say everything twice."""
    if refused.status == 412:
        message = (
            f"the settings of {project} are not those any more that were read (somebody changed them meanwhile, or the "
            "answer to this command's own change was lost): look at 'devboxgpu project show' and repeat the command"
        )
        return RefusedError(message, status=412, code=refused.code, request_id=refused.request_id)
    if refused.status == 400 and refused.details:
        count = "a value" if len(refused.details) == 1 else f"{len(refused.details)} values"
        message = f"nothing was written, {count} cannot be used"
        return RefusedError(
            message, status=400, code=refused.code, request_id=refused.request_id, details=refused.details
        )
    return refused
