"""Which of the profiles, extensions and completions that `devboxgpu install` put there are still there."""

from __future__ import annotations

from collections.abc import Sequence

from devboxgpu.doctor.findings import Finding, ok, warning
from devboxgpu.install.layout import layout_of
from devboxgpu.install.machine import Machine
from devboxgpu.install.manifest import Record, UnreadableManifestError, decoded
from devboxgpu.install.steps import TITLES

CHECK = "installed"


def installed(machine: Machine) -> Finding:
    """Of this person and of everybody on the machine."""
    records: list[Record] = []
    for for_everybody in (False, True):
        layout = layout_of(machine, for_everybody=for_everybody)
        try:
            records += decoded(machine.disk.read(layout.manifest), layout.manifest)
        except (UnreadableManifestError, OSError) as error:
            do = "move that file away, then say 'devboxgpu install' again"
            return warning(CHECK, f"what is installed is not known: {error}", do)
    return judged(records, [record for record in records if not record.path.exists()])


def judged(records: Sequence[Record], gone: Sequence[Record]) -> Finding:
    if not records:
        return ok(CHECK, "no profiles and no completion; 'devboxgpu install --dry-run' shows what there is")
    parts = ", ".join(dict.fromkeys(TITLES[record.part] for record in records))
    if gone:
        paths = ", ".join(str(record.path) for record in gone)
        return warning(CHECK, f"{parts}; gone: {paths}", "devboxgpu install puts it back")
    return ok(CHECK, parts)
