"""`devboxgpu install` and `uninstall` from beginning to end: look, show, ask, do, say."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import click

from devboxgpu.errors import EXIT_ERROR, DevBoxGpuError
from devboxgpu.install import showing
from devboxgpu.install.applying import carry_out
from devboxgpu.install.catalogue import Wishes, places_known_by_name, wanted
from devboxgpu.install.layout import Layout, layout_of
from devboxgpu.install.machine import Machine
from devboxgpu.install.manifest import Record, UnreadableManifestError, decoded
from devboxgpu.install.plan import Plan
from devboxgpu.install.planning import plan_install
from devboxgpu.install.undoing import plan_uninstall
from devboxgpu.notices import Notices

Consent = Callable[[], bool | None]
"""Whether the person agrees; None where there is nobody to ask."""


class NotPossibleError(DevBoxGpuError):
    """Nothing was changed; the text says why."""


def install(machine: Machine, wishes: Wishes, *, dry_run: bool, yes: bool, consent: Consent | None = None) -> int:
    """The exit code: 0 where all that was wanted is there now, or would be."""
    _check_rights(machine, wishes, dry_run=dry_run)
    layout = layout_of(machine, for_everybody=wishes.for_everybody)
    plan = _looked(lambda: plan_install(machine, wanted(machine, wishes), layout, _records(machine, layout, wishes)))
    code = _carry_out(plan, machine, dry_run=dry_run, yes=yes, consent=consent or ask_person)
    if code == 0 and not dry_run and plan.steps:
        Notices().say(
            "installed; 'devboxgpu uninstall' takes it away again. A terminal that is open sees it when reopened"
        )
    return code


def uninstall(machine: Machine, wishes: Wishes, *, dry_run: bool, yes: bool, consent: Consent | None = None) -> int:
    """The exit code: 0 where nothing of ours is left, or would be."""
    _check_rights(machine, wishes, dry_run=dry_run)
    layout = layout_of(machine, for_everybody=wishes.for_everybody)

    def look() -> Plan:
        known = places_known_by_name(machine, wishes)
        try:
            records = _records(machine, layout, wishes)
        except UnreadableManifestError as error:
            plan = plan_uninstall(machine, known, layout, (), parts=wishes.parts)
            return replace(plan, notes=(f"{error}. Only the usual places are looked at",))
        return plan_uninstall(machine, known, layout, records, parts=wishes.parts)

    plan = _looked(look)
    if plan.changes_nothing() and not plan.problems:
        Notices().say("nothing of devboxgpu is installed here")
        return 0
    code = _carry_out(plan, machine, dry_run=dry_run, yes=yes, consent=consent or ask_person)
    if code == 0 and not dry_run:
        Notices().say("taken away" if wishes.parts else "nothing that install put here is left")
    return code


def ask_person() -> bool | None:
    """Asks on the terminal, where there is one."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    return click.confirm("Do this?", default=True, err=True)


def _check_rights(machine: Machine, wishes: Wishes, *, dry_run: bool) -> None:
    if wishes.for_everybody and not machine.is_administrator and not dry_run:
        how = "in a terminal that was started as administrator" if machine.windows else "with sudo"
        raise NotPossibleError(f"--machine changes what everybody uses and needs an administrator: run it {how}")


def _records(machine: Machine, layout: Layout, wishes: Wishes) -> tuple[Record, ...]:
    """What is recorded. An administrator's hand is led by a record only to where everybody's things are.

    The record of everybody's things lies where others may have written, before the folder was protected.
    """
    records = decoded(machine.disk.read(layout.manifest), layout.manifest)
    if not wishes.for_everybody:
        return records
    ours = (layout.data, machine.machine_config, machine.machine_config.parent, layout.fragments)
    for record in records:
        inside = any(place and record.path.is_relative_to(place) for place in ours) and ".." not in record.path.parts
        around = record.kind == "folder" and any(place and place.is_relative_to(record.path) for place in ours)
        kept = record.backup is None or record.backup.parent == layout.backups
        if not ((inside or around) and kept) or record.kind == "extension":
            raise UnreadableManifestError(f"{layout.manifest} names {record.path}, where nothing of ours belongs")
    return records


def _looked(look: Callable[[], Plan]) -> Plan:
    try:
        return look()
    except OSError as error:
        where = error.filename or "a file"
        raise NotPossibleError(f"{where} cannot be read ({error.strerror or error}): nothing was changed") from None


def _carry_out(plan: Plan, machine: Machine, *, dry_run: bool, yes: bool, consent: Consent) -> int:
    notices = Notices()
    if dry_run:
        click.echo("\n".join(showing.details(plan)))
        return EXIT_ERROR if plan.problems else 0
    for line in showing.outline(plan):
        notices.line(line)
    if plan.changes_nothing():
        return EXIT_ERROR if plan.problems else 0
    agreed = True if yes else consent()
    if not agreed:
        how = "there is no terminal to ask on: give --yes to do it, or --dry-run to see every content"
        notices.say(f"nothing was changed; {how}" if agreed is None else "nothing was changed")
        return EXIT_ERROR
    failures = carry_out(plan, machine, lambda step: None)
    for failure in failures:
        notices.say(failure)
    if failures:
        notices.say("not everything could be done; what was done is recorded: mend that and repeat the command")
    return EXIT_ERROR if failures or plan.problems else 0
