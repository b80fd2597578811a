"""Takes the steps of a plan, one after the other, and says of each that failed why it did."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from devboxgpu.install.machine import Machine
from devboxgpu.install.plan import Plan
from devboxgpu.install.steps import TITLES, Part, RemoveFile, RemoveFolder, RunProgram, Step, WriteFile


class _Failed(Exception):
    """A step was not taken; the text says why."""


def carry_out(plan: Plan, machine: Machine, done: Callable[[Step], None]) -> list[str]:
    """What failed, in words; empty where everything was done. A part whose step fails is left there.

    `done` is told each step that was taken.
    """
    for step in plan.first:
        try:
            _take_one(step, machine)
        except (OSError, _Failed) as error:
            return [f"nothing was changed: {_reason(error)}"]
    failures = _take(plan.steps, machine, done)
    if failures or plan.problems:
        return failures
    return _take(plan.last, machine, lambda step: None)


def _take(steps: Iterable[Step], machine: Machine, done: Callable[[Step], None]) -> list[str]:
    broken: set[Part] = set()
    failures = []
    for step in steps:
        if step.part in broken:
            continue
        try:
            _take_one(step, machine)
        except (OSError, _Failed) as error:
            broken.add(step.part)
            failures.append(f"{TITLES[step.part]}: {_reason(error)}")
        else:
            done(step)
    return failures


def _take_one(step: Step, machine: Machine) -> None:
    match step:
        case WriteFile():
            there = machine.disk.read(step.path)
            if there not in (step.before, step.after) and step.path.exists():
                raise _Failed(f"{step.path} was changed meanwhile: repeat the command")
            machine.disk.write(step.path, step.after, step.mode)
        case RemoveFile():
            machine.disk.remove(step.path)
        case RemoveFolder():
            machine.disk.remove_folder(step.path)
        case RunProgram():
            _run(step, machine)


def _run(step: RunProgram, machine: Machine) -> None:
    try:
        ran = machine.programs.run(step.words, folder=step.folder)
    except OSError as error:
        raise _Failed(f"{step.words[0]} cannot be run ({error}): {step.remedy}") from None
    if ran.code != 0:
        told = (ran.error.strip() or ran.out.strip() or "it said nothing").splitlines()[-1]
        raise _Failed(f"{' '.join(step.words)} failed with exit code {ran.code} ({told}): {step.remedy}")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename} cannot be changed: {error.strerror or error}"
    return str(error)
