"""`devboxgpu config get|set|unset|list|path`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

from devboxgpu.commands.completing import complete_key, complete_value
from devboxgpu.commands.options import output_options

if TYPE_CHECKING:
    from pathlib import Path

Decorated = TypeVar("Decorated", bound=Callable[..., object])
READABLE_BY_ALL = 0o644


def _file_options(function: Decorated) -> Decorated:
    machine = click.option("--machine", is_flag=True, help="In the machine's file, for everybody: as administrator.")
    folder = click.option("--folder", is_flag=True, help="In .devboxgpu.toml of this folder, for all who work in it.")
    return machine(folder(function))


@click.group(short_help="See and change how this command is configured.")
def config() -> None:
    """See and change how this command is configured.

    Flags go over environment variables (DEVBOXGPU_ and the key), those over the nearest .devboxgpu.toml from this
    folder upwards, then come your own file and the machine's. A .devboxgpu.toml sets project, gpu, region, image and
    output alone: who gets your token is never decided by a folder.
    """


@config.command("get", short_help="The value of a key.")
@click.argument("key", shell_complete=complete_key)
def get_value(*, key: str) -> int:
    """The value that holds for KEY; exit code 3 where there is none."""
    from devboxgpu.config_keys import key_named
    from devboxgpu.configuration import configured_values
    from devboxgpu.errors import EXIT_NOT_FOUND
    from devboxgpu.notices import Notices

    text = configured_values().text(key_named(key).name)
    if text is None:
        Notices().say(f"{key} is not configured: 'devboxgpu config set {key} VALUE'")
        return EXIT_NOT_FOUND
    click.echo(text)
    return 0


@config.command("set", short_help="Set a key.")
@click.argument("key", shell_complete=complete_key)
@click.argument("value", shell_complete=complete_value)
@_file_options
def set_key(*, key: str, value: str, machine: bool, folder: bool) -> None:
    """Set KEY to VALUE in your own file. Comments in the file stay."""
    from devboxgpu.config_edit import set_value
    from devboxgpu.config_keys import checked, key_named
    from devboxgpu.notices import Notices
    from devboxgpu.whole_file import PRIVATE

    known = key_named(key)
    checked(known, value, where="config set")
    file = _file(known.name, machine=machine, folder=folder)
    set_value(file, known.name, value, mode=READABLE_BY_ALL if machine or folder else PRIVATE)
    Notices().say(f"{key} is set in {file}")
    _say_what_goes_over(known.name, file)


@config.command("unset", short_help="Take a key away.")
@click.argument("key", shell_complete=complete_key)
@_file_options
def unset_key(*, key: str, machine: bool, folder: bool) -> None:
    """Take KEY out of your own file."""
    from devboxgpu.config_edit import unset_value
    from devboxgpu.config_keys import key_named
    from devboxgpu.notices import Notices
    from devboxgpu.whole_file import PRIVATE

    name = key_named(key).name
    file = _file(None, machine=machine, folder=folder)
    was_there = unset_value(file, name, mode=READABLE_BY_ALL if machine or folder else PRIVATE)
    Notices().say(f"{key} is no longer set in {file}" if was_there else f"{key} was not set in {file}")
    _say_what_goes_over(name, file)


@config.command("list", short_help="All keys, their values, and where each comes from.")
@output_options
def list_keys(*, output: str, query: str | None) -> None:
    """All keys, the values that hold where no flag says otherwise, and where each comes from."""
    from devboxgpu.config_keys import KEYS
    from devboxgpu.configuration import configured_values
    from devboxgpu.data_output import Column, show

    by_key = configured_values().by_key
    rows = [
        {
            "key": key.name,
            "value": by_key[key.name].text if key.name in by_key else None,
            "from": by_key[key.name].origin if key.name in by_key else None,
            "meaning": key.meaning,
        }
        for key in KEYS.values()
    ]
    columns = [
        Column("KEY", lambda row: row["key"]),
        Column("VALUE", lambda row: row["value"] if row["value"] is not None else "-"),
        Column("FROM", lambda row: row["from"] or f"not set: {row['meaning']}"),
    ]
    show(rows, output, query, columns=columns)


@config.command("path", short_help="The files that are read.")
@output_options
def show_paths(*, output: str, query: str | None) -> None:
    """The files that are read, the first over the others, and whether each is there."""
    from devboxgpu.config_files import places
    from devboxgpu.data_output import Column, show

    files = places()
    named = (("project", files.project), ("user", files.user), ("machine", files.machine))
    rows = [{"which": which, "path": str(file), "exists": file.is_file()} for which, file in named if file is not None]
    columns = [
        Column("FILE", lambda row: row["which"]),
        Column("PATH", lambda row: row["path"]),
        Column("", lambda row: "" if row["exists"] else "not there"),
    ]
    show(rows, output, query, columns=columns)


def _file(key: str | None, *, machine: bool, folder: bool) -> Path:
    """The file to change. `key`, where one is to be set, must be allowed there."""
    from pathlib import Path

    from devboxgpu.config_files import PROJECT_FILE, machine_config_file, user_config_file
    from devboxgpu.config_keys import KEYS

    if machine and folder:
        raise click.UsageError("--machine and --folder are two files: leave one of them out")
    if folder and key is not None and not KEYS[key].in_project_file:
        raise click.UsageError(f"{key} decides who gets your token, and is not read from a folder's file")
    if folder:
        return Path.cwd() / PROJECT_FILE
    return machine_config_file() if machine else user_config_file()


def _say_what_goes_over(key: str, file: Path) -> None:
    """A value from elsewhere that holds all the same must not come as a surprise."""
    from devboxgpu.configuration import configured_values
    from devboxgpu.notices import Notices

    value = configured_values().by_key.get(key)
    if value is not None and value.origin != str(file):
        Notices().say(f"note: {key} = {value.text} from {value.origin} is what holds")
