"""What a person sees of a remote program is what the program shows on a terminal of this machine, cell by cell."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.e2e.terminal import Terminal
from tests.e2e.waiting import until

TEXT = "".join(f"line {number:3} of 漢字 and ünïcödé 🙂 {'=' * (number % 90)}\n" for number in range(200))
CURSES = """
import curses, locale
locale.setlocale(locale.LC_ALL, "")
def draw(screen):
    curses.typeahead(-1)
    curses.start_color()
    curses.init_pair(1, curses.COLOR_YELLOW, curses.COLOR_BLUE)
    count = 0
    while True:
        rows, columns = screen.getmaxyx()
        screen.erase()
        screen.border()
        screen.addstr(1, 2, f"{columns} by {rows}, {count} keys, 漢字", curses.color_pair(1) | curses.A_BOLD)
        screen.addstr(rows - 2, columns - 12, "corner", curses.A_REVERSE)
        screen.refresh()
        key = screen.getch()
        if key == ord("q"):
            return
        if key == curses.KEY_RESIZE:
            screen.clear()
        else:
            count += 1
curses.wrapper(draw)
"""
PROGRAMS = {
    "vim": (
        "vim -u NONE -i NONE -n +'set nocp showmode ruler number ls=2 stl=%{{&columns}}\\ by\\ %{{&lines}}' {text}",
        "5GOtyped 漢字 é 🙂",
        "\x1b:q!\r",
    ),
    "less": ("less {text}", " \x1b[B\x1b[B/line 1[0-9]0\r", "q"),
    "curses": ("python3 {curses}", "abc", "q"),
}
"""How it is started, keys that change what it shows, and keys that end it."""
LANDMARKS = {"vim": ("120 by 30", "typed"), "less": ("line  25", "line 100"), "curses": ("0 keys", "3 keys")}
"""What it shows before those keys (so that it takes them in), and after."""


@pytest.fixture
def scripts(tmp_path):
    """A script for each program, the same for both terminals."""
    text, curses = tmp_path / "text", tmp_path / "draws.py"
    text.write_text(TEXT)
    curses.write_text(CURSES)
    clean = f"env -i PATH='{os.environ['PATH']}' TERM=xterm-256color LC_ALL=C.UTF-8 HOME='{tmp_path}'"
    for name, (command, _, _) in PROGRAMS.items():
        (tmp_path / name).write_text(f"exec {clean} {command.format(text=text, curses=curses)}\n")
    return tmp_path


def resized(columns: int, rows: int, *terminals: Terminal, meanwhile: Callable[[], object] = lambda: None) -> None:
    """Change the size, and wait until the programs have drawn for it: half of two drawings is nobody's fault."""
    printed = [len(terminal.printed) for terminal in terminals]
    meanwhile()
    for terminal in terminals:
        terminal.resize(columns, rows)
    for terminal, before in zip(terminals, printed, strict=True):

        def drawn(terminal: Terminal = terminal, before: int = before) -> bool:
            text = terminal.text
            says_so = f"{columns} by {rows}" in text or text.split("\n")[-1] == ":"
            return says_so and len(terminal.printed) > before

        terminal.comes_to(drawn, f"{columns} by {rows} to be drawn")


def look_alike(remote: Terminal, local: Terminal, when: str) -> None:
    """Wait until both show the same in every cell."""
    try:
        until(lambda: remote.cells() == local.cells(), "the screens to be the same")
    except AssertionError:
        pairs = zip(remote.cells(), local.cells(), strict=True)
        differ = [f"row {row}: {one}\n  local: {other}" for row, (one, other) in enumerate(pairs) if one != other]
        raise AssertionError(f"{when}:\n{remote.text}\n--- local\n{local.text}\n" + "\n".join(differ[:3])) from None


def test_full_screen_programs_look_as_on_a_terminal_of_this_machine(line, scripts):
    cuts: list[int] = []
    with line.shell_on_screen() as remote:
        for name, (_, keys, leaving) in PROGRAMS.items():
            before = remote.text.splitlines()
            remote.enter(f"sh {scripts / name}")
            with Terminal(["sh", str(scripts / name)], {"PATH": os.environ["PATH"]}) as local:
                until(lambda: remote.screen.is_alternate and local.screen.is_alternate, f"{name} to draw")
                first, then = LANDMARKS[name]
                for terminal in (remote, local):
                    terminal.shows(first)
                    terminal.type(keys)
                    terminal.shows(then)
                look_alike(remote, local, f"{name}, as it was started")
                for columns, rows in ((77, 19), (133, 41), (120, 30)):
                    resized(columns, rows, remote, local)
                    look_alike(remote, local, f"{name}, resized to {columns} by {rows}")
                resized(100, 25, remote, local, meanwhile=lambda: cuts.append(line.stack.cut_connections()))
                look_alike(remote, local, f"{name}, after the socket was cut, resized meanwhile")
                resized(120, 30, remote, local)
                look_alike(remote, local, f"{name}, after that")
                for terminal in (remote, local):
                    terminal.type(leaving)
                assert local.exit_code() == 0
            remote.comes_to(lambda: not remote.screen.is_alternate, f"{name} to end")
            remote.enter("echo $((6*7))-after")
            remote.shows("42-after")
            assert remote.text.splitlines()[: len(before) - 1] == before[:-1], f"what was there before {name}"
        remote.enter("exit 7")
        assert remote.exit_code() == 7
        assert cuts == [1, 1, 1]
