"""A shell's session from the person's chair: warnings, keys, title, save hook, sharing, and why it ended."""

from __future__ import annotations

import pytest

from tests.e2e.command_line import ATTACHED, says_on
from tests.e2e.waiting import until

HOOK = "printf '#!/bin/sh\\necho saving-$((6*7)); echo once >> {file}\\n' > ~/.devboxgpu/on-stop"
"""Tells that it ran, in the container and outside of it."""


def hooked(terminal, folder) -> None:
    """Have a save hook in the session that this terminal is in."""
    terminal.enter("mkdir -p ~/.devboxgpu; " + HOOK.format(file=folder / "saved"))
    terminal.enter("chmod +x ~/.devboxgpu/on-stop; echo hook-$((6*7))")
    terminal.expect("hook-42")


def saved(folder) -> str:
    return (folder / "saved").read_text() if (folder / "saved").exists() else ""


def test_keys_title_and_save_hook_of_a_shell_that_is_left(line, tmp_path):
    with line.shell_on_screen() as terminal:
        session = line.session()["id"]
        hooked(terminal, tmp_path)
        terminal.type("\r~?")
        terminal.expect("keys after Enter:")
        terminal.expect("~.  disconnect")
        terminal.type("\r~i")
        terminal.expect(f"session {session} · Running")
        terminal.expect("T4 in westus3 ·")
        terminal.expect("1.56 USD/h")
        before = line.session()["stopsAt"]
        terminal.type("\r~e")
        terminal.expect("devboxgpu: extended: stops at ")
        assert line.session()["stopsAt"] > before
        terminal.type("\r~~x\x15")
        terminal.expect("~x")
        says_on(terminal, 5)
        assert any(title.startswith("T4 · demo · 0 min · est. 0.") for title in terminal.screen.titles)
        terminal.enter("exit 3")
        terminal.expect("saving-42")
        terminal.expect(f"devboxgpu: session {session} ended · ")
        terminal.expect("exit 3")
        assert terminal.exit_code() == 3
    assert saved(tmp_path) == "once\n"


@pytest.mark.parametrize(
    ("limits", "reason", "warned", "told"),
    [
        (
            {"idle": {"timeoutMinutes": 0.15, "graceMinutes": 2}},
            "Idle",
            "nothing was typed, printed or computed; any key keeps it",
            "it was idle for longer than the project allows",
        ),
        (
            {"maxLifetimeMinutes": 0.25},
            "MaxLifetime",
            "the longest life that the project allows; save your work",
            "it reached the longest life that the project allows",
        ),
    ],
)
def test_a_session_at_the_projects_limit_warns_above_the_prompt_saves_and_says_why(
    line, tmp_path, limits, reason, warned, told
):
    line.stack.settings(limits)
    with line.shell_on_screen() as terminal:
        if reason == "Idle":  # a key puts that off, and so there is time enough on any machine
            hooked(terminal, tmp_path)
        until(lambda: warned in terminal.plain, "the warning")
        until(lambda: terminal.plain.split(warned)[1].rstrip(" ").endswith("ready>"), "the prompt below it")
        terminal.expect(told)
        terminal.expect("exit 125")
        assert terminal.exit_code() == 125
        assert terminal.plain.rstrip().splitlines()[-1].startswith("devboxgpu: session ")
    assert line.session("Ended")["endReason"] == reason
    assert saved(tmp_path) == ("once\n" if reason == "Idle" else "")


def test_an_administrators_stop_saves_and_is_told_in_every_terminal_of_the_session(line, tmp_path):
    line.stack.settings({"shellSharing": "shared"})
    with line.shell_on_screen() as one, line.shell_on_screen() as other:
        hooked(one, tmp_path)
        assert line.session()["id"] in other.plain
        other.enter("cat ~/.devboxgpu/on-stop")
        other.expect("once >> ")
        line.stack.person("carol").persistently("POST", f"sessions/{line.session()['id']}/stop", {"reason": "lunch"})
        for terminal in (one, other):
            terminal.expect("an administrator stopped it")
            assert terminal.exit_code() == 125
        assert "saving-42" in one.plain + other.plain
    assert saved(tmp_path) == "once\n"
    assert line.session("Ended")["endReason"] == "StoppedByAdministrator"


def test_terminals_of_one_session_come_and_go_and_the_last_one_ends_it(line, tmp_path):
    line.stack.settings({"shellSharing": "shared"})
    with line.shell_on_screen() as first, line.shell_on_screen() as second:
        session = line.session()["id"]
        hooked(first, tmp_path)
        first.enter("exit 2")
        first.expect(f"shell closed · session {session} goes on with 1 more shell · exit 2")
        assert first.exit_code() == 2
        assert saved(tmp_path) == ""
        says_on(second, 8)
        second.type("\r~.")
        second.expect("disconnected")
        second.expect(f"session {session} ended")
        assert second.exit_code() == 125
    assert saved(tmp_path) == "once\n"
    assert line.session("Ended")["endReason"] == "ShellsClosed"


def test_forty_columns_are_enough(line):
    with line.terminal("shell", size=(40, 20)) as terminal:
        terminal.expect(ATTACHED)
        terminal.enter("exit 0")
        assert terminal.exit_code() == 0
        assert until(lambda: "exit 0" in terminal.text, "the receipt")
        ours = [text for text in terminal.text.splitlines() if "devboxgpu" in text or "✔" in text]
        assert ours
        assert all("·" not in text[:1] for text in terminal.text.splitlines()), "no line breaks before a dot"
