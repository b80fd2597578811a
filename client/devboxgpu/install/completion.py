"""Where each shell looks for completions, and the lines that a start-up file needs where it looks nowhere."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from devboxgpu.install.machine import Machine, System


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    name: str
    """The word that `devboxgpu completion` takes."""
    script: Path
    start_up: Path | None = None
    """The file that needs lines of ours; None where the shell finds the script by itself."""
    lines: tuple[str, ...] = ()


def places(machine: Machine, folder: Path) -> list[Place]:
    """For the shells that this machine has. `folder` is ours, for scripts that no shell looks for."""
    if machine.system is System.WINDOWS:
        return list(_powershells(machine, folder))
    found: list[Place] = []
    if machine.programs.find("bash") and machine.system is not System.MACOS:
        found.append(Place(name="bash", script=machine.data_home() / "bash-completion" / "completions" / "devboxgpu"))
    if machine.programs.find("zsh"):
        found.append(_zsh(machine, folder / "devboxgpu.zsh"))
    if machine.programs.find("fish"):
        script = machine.config_home() / "fish" / "completions" / "devboxgpu.fish"
        found.append(Place(name="fish", script=script))
    return found


def _zsh(machine: Machine, script: Path) -> Place:
    quoted = shlex.quote(str(script))
    lines = (
        f"if [ -r {quoted} ]; then",
        "  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }",
        f"  source {quoted}",
        "fi",
    )
    start_up = Path(machine.environ.get("ZDOTDIR") or machine.home) / ".zshrc"
    return Place(name="zsh", script=script, start_up=start_up, lines=lines)


def _powershells(machine: Machine, folder: Path) -> Iterator[Place]:
    if machine.windows is None:
        return
    for program, name in (("pwsh", "PowerShell"), ("powershell", "WindowsPowerShell")):
        if machine.programs.find(program):
            script = folder / "devboxgpu.ps1"
            written = _in_powershell(machine, script)
            yield Place(
                name="powershell",
                script=script,
                start_up=machine.windows.documents / name / "Microsoft.PowerShell_profile.ps1",
                lines=(f"if (Test-Path -LiteralPath {written}) {{ . {written} }}",),
            )


def _in_powershell(machine: Machine, path: Path) -> str:
    """The path in ASCII where it can be: Windows PowerShell 5 reads a profile without BOM in the system's code page."""
    local = machine.windows.local if machine.windows else None
    if local and path.is_relative_to(local):
        below = PureWindowsPath(*path.relative_to(local).parts)
        return f'"$env:LOCALAPPDATA\\{below}"'
    return "'" + str(path).replace("'", "''") + "'"
