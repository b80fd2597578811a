"""What must be quick to start knows little: the table of verbs is all that help needs."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from devboxgpu.lazy_group import load
from devboxgpu.main import cli
from devboxgpu.verbs import VERBS, Verb

HEAVY = (
    "asyncio",
    "azure",
    "concurrent.futures",
    "ctypes",
    "decimal",
    "email",
    "http.client",
    "httpx",
    "jmespath",
    "msal",
    "platformdirs",
    "rich",
    "ssl",
    "tomlkit",
    "websockets",
)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_the_table_says_of_a_verb_what_its_module_says(verb: Verb) -> None:
    command = load(verb)

    assert (command.name, command.short_help) == (verb.name, verb.help)


def test_every_module_of_a_verb_is_in_the_table_under_one_name() -> None:
    assert len({verb.name for verb in VERBS}) == len(VERBS)
    assert cli.list_commands(click.Context(cli)) == [verb.name for verb in VERBS if not verb.is_hidden]


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["shell", "--help"], ["run", "--help"], ["shel"]], ids=" ".join
)
def test_what_only_tells_waits_for_no_heavy_module(words: list[str]) -> None:
    program = (
        f"import sys, devboxgpu.main as m; m.run_command({words!r}); "
        f"print('loaded:', sorted(set({HEAVY!r}) & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.splitlines()[-1] == "loaded: []"


def test_a_misspelt_verb_is_answered_with_the_one_that_was_meant() -> None:
    with pytest.raises(click.exceptions.NoSuchCommand, match="shel") as unknown:
        cli.main(["shel"], standalone_mode=False)

    assert unknown.value.possibilities is not None
    assert "shell" in unknown.value.possibilities
