"""The Dev Box customization: its files are well formed, and its words are those of the command."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from fake_machine import a_machine, install

from devboxgpu.commands.install import install as install_verb
from devboxgpu.config_files import read_file
from devboxgpu.config_keys import KEYS, checked
from devboxgpu.errors import ConfigurationError
from devboxgpu.install.machine import System
from devboxgpu.install.steps import Part
from devboxgpu.main import cli

DEVBOX = Path(__file__).resolve().parents[2] / "devbox"
TASK = yaml.safe_load((DEVBOX / "task.yaml").read_text(encoding="utf-8"))
IMAGE = yaml.safe_load((DEVBOX / "imagedefinition.yaml").read_text(encoding="utf-8"))
SCRIPT = (DEVBOX / "install.ps1").read_text(encoding="utf-8")


def options_of_install() -> set[str]:
    return {word for parameter in install_verb.params for word in parameter.opts if word.startswith("--")}


def parameters_of_script() -> dict[str, bool]:
    """Each with whether it must be given."""
    block = SCRIPT.partition("param(")[2].partition("\n)")[0]
    return {
        name: "Mandatory" in (before or "")
        for before, name in re.findall(r"(\[Parameter\([^\n]*\)\] )?\[string\] \$(\w+)", block)
    }


def test_the_tasks_command_hands_every_input_to_a_parameter_of_the_script() -> None:
    script, *words = TASK["command"].split()
    given = dict(re.findall(r"-(\w+) '\{\{(\w+)\}\}'", TASK["command"]))

    assert (DEVBOX / script).is_file()
    assert len(words) == 2 * len(given)
    assert set(given) == set(parameters_of_script())
    assert set(given.values()) == set(TASK["inputs"])
    assert {name: TASK["inputs"][given[name]]["required"] for name in given} == parameters_of_script()


def test_the_script_uses_options_that_install_has() -> None:
    used = set(re.findall(r"'(--[a-z-]+)'", SCRIPT.partition("$words = @('install'")[2]))

    assert used == {"--machine", "--yes", "--endpoint", "--project", "--tenant", "--client-id", "--gpu-types"}
    assert used <= options_of_install()


def test_the_samples_give_what_the_task_needs_and_nothing_else() -> None:
    samples = [*IMAGE["tasks"], *TASK["documentation"]["examples"]]
    required = {name for name, one in TASK["inputs"].items() if one["required"]}

    for sample in samples:
        assert sample.get("name", sample.get("task")) == TASK["name"]
        assert required <= set(sample["inputs"]) <= set(TASK["inputs"])


def test_the_samples_values_are_ones_that_the_configuration_takes() -> None:
    inputs = IMAGE["tasks"][0]["inputs"]
    keys = {"endpoint": "endpoint", "project": "project", "tenant": "tenant_id", "clientId": "client_id"}

    for name, key in keys.items():
        assert checked(KEYS[key], inputs[name], where=name) == inputs[name]


def test_the_users_task_is_a_command_line_of_install() -> None:
    (task,) = IMAGE["userTasks"]
    words = task["inputs"]["command"].split('devboxgpu.exe" ')[1].split()

    assert task["name"] == "~/powershell"
    assert words == ["install", "--only", "vscode", "--yes"]
    shown = CliRunner().invoke(cli, [*words, "--help"])
    assert shown.exit_code == 0


def test_what_is_written_for_everybody_is_read_by_the_command(tmp_path: Path) -> None:
    machine = a_machine(System.LINUX, tmp_path, is_administrator=True)
    values = {"endpoint": "https://gpu.contoso.com/api", "project": "ml-research", "tenant_id": "contoso.com"}

    install(machine, Part.CONFIG, for_everybody=True, values=values)

    assert read_file(machine.machine_config) == values


@pytest.mark.parametrize(
    ("name", "value"), [("endpoint", "http://gpu.contoso.com"), ("client_id", "x"), ("project", "a b")]
)
def test_a_value_that_the_command_would_refuse_is_not_written(name: str, value: str, tmp_path: Path) -> None:
    machine = a_machine(System.LINUX, tmp_path, is_administrator=True)

    with pytest.raises(ConfigurationError, match=name):
        install(machine, Part.CONFIG, for_everybody=True, values={name: value})
    assert not machine.machine_config.exists()
