"""What the person's terminal can show beside text: a title, a progress ring, a bell, colours. Asked of the environment.

Nothing is sent to find out: an answer would come among the person's keys. A terminal that is not known gets nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

TITLE_TERMS = (
    "xterm", "screen", "tmux", "rxvt", "alacritty", "foot", "kitty", "ghostty", "konsole", "gnome", "vte", "putty",
    "mintty", "contour", "wezterm", "st", "eterm", "cygwin",
)  # fmt: skip
"""Beginnings of TERM whose terminals take OSC 2. The Linux console and real terminals are not among them."""
MULTIPLEXERS = ("screen", "tmux")
RING_PROGRAMS = frozenset({"ghostty", "wezterm", "mintty", "vscode"})
"""TERM_PROGRAM, in lower case, of terminals that show OSC 9;4."""
SWITCH = "DEVBOXGPU_TITLE"
"""Set to off, it leaves title and ring alone. So does NO_COLOR: who wants plain text gets nothing else."""
OFF = frozenset({"0", "off", "no", "false"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    is_terminal: bool
    term: str
    program: str
    """What the terminal calls itself; empty where it does not."""
    title: bool
    title_stack: bool
    """Whether the terminal keeps the person's own title while ours is shown (XTWINOPS 22 and 23)."""
    ring: bool
    """Whether OSC 9;4 is shown as progress. Elsewhere it may be anything: iTerm2 makes notifications of it."""
    colour: bool
    utf8: bool


def abilities_of(
    stream: TextIO, environ: Mapping[str, str] | None = None, *, platform: str = sys.platform
) -> Abilities:
    """What may be sent to this stream: nothing at all where it is no terminal, or a dumb one."""
    environ = os.environ if environ is None else environ
    is_terminal = _is_terminal(stream)
    term, program = environ.get("TERM", ""), _program(environ)
    may = is_terminal and term != "dumb" and not environ.get("NO_COLOR") and environ.get(SWITCH, "").lower() not in OFF
    in_windows_terminal = bool(environ.get("WT_SESSION"))
    return Abilities(
        is_terminal=is_terminal,
        term=term,
        program=program,
        title=may and (in_windows_terminal or platform == "win32" or term.lower().startswith(TITLE_TERMS)),
        title_stack=may and platform != "win32" and not in_windows_terminal,
        ring=may and _shows_ring(environ, term, program),
        colour=is_terminal and term != "dumb" and not environ.get("NO_COLOR"),
        utf8=(getattr(stream, "encoding", None) or "").lower().replace("-", "").startswith("utf8"),
    )


def _program(environ: Mapping[str, str]) -> str:
    named = environ.get("LC_TERMINAL") or environ.get("TERM_PROGRAM") or ""
    return named or ("Windows Terminal" if environ.get("WT_SESSION") else "")


def _shows_ring(environ: Mapping[str, str], term: str, program: str) -> bool:
    if "iterm" in program.lower() or "iterm" in environ.get("TERM_PROGRAM", "").lower():
        return False
    if term.lower().startswith(MULTIPLEXERS) or environ.get("TMUX") or environ.get("STY"):
        return False
    known = environ.get("WT_SESSION") or environ.get("ConEmuANSI", "").upper() == "ON"
    return bool(known) or program.lower() in RING_PROGRAMS


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False
