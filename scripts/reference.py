"""Writes docs/reference.md: every verb of the command with its words, options and defaults, as click knows them.

python -m scripts.reference           writes the page
python -m scripts.reference --check   exit code 1 where it is not current
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from devboxgpu.main import cli

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference.md"
NAME = "devboxgpu"
WIDTH = 120
HEAD = """# The command, verb by verb

Made from the command itself by `make reference`; do not edit. The same is said by `devboxgpu VERB --help`. New to it?
Begin with the [quickstart](quickstart.md). Exit codes and error codes: [troubleshooting](troubleshooting.md).
"""


def page() -> str:
    """The whole page, the same on every machine."""
    context = click.Context(cli, info_name=NAME, max_content_width=100)
    sections = [HEAD, *_sections(cli, context, 2)]
    return "\n".join(section.rstrip() + "\n" for section in sections)


def _sections(group: click.Group, context: click.Context, depth: int) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        inner = click.Context(command, info_name=name, parent=context)
        yield _section(command, inner, depth)
        if isinstance(command, click.Group):
            yield from _sections(command, inner, depth + 1)


def _section(command: click.Command, context: click.Context, depth: int) -> str:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [f"{'#' * min(depth, 4)} {context.command_path}", f"    {usage}", _prose(command.help or "")]
    options = [_option(option, context) for option in command.get_params(context) if _is_shown(option)]
    if options:
        parts.append("\n".join(["| option | meaning |", "|---|---|", *options]))
    return "\n\n".join(part for part in parts if part)


def _is_shown(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Option) and not parameter.hidden and "--help" not in parameter.opts


def _prose(text: str) -> str:
    """The help as paragraphs; those that click is to keep as they are become code."""
    paragraphs = inspect.cleandoc(text).split("\f")[0].split("\n\n")
    return "\n\n".join(_paragraph(paragraph) for paragraph in paragraphs)


def _paragraph(text: str) -> str:
    kept = text.startswith("\b")
    lines = text.removeprefix("\b").strip("\n").splitlines()
    if kept:
        return "\n".join(f"    {line.strip()}" for line in lines)
    told = " ".join(" ".join(lines).split()).replace("<", "&lt;")
    return textwrap.fill(told, WIDTH, break_long_words=False, break_on_hyphens=False)


def _option(option: click.Parameter, context: click.Context) -> str:
    names, meaning = option.get_help_record(context) or ("", "")
    return f"| `{_cell(names)}` | {_cell(meaning)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(arguments: list[str]) -> int:
    written, current = page(), PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    if "--check" in arguments:
        return int(written != current)
    PAGE.write_text(written, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
