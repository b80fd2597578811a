"""Edits of files that are somebody's: put in and taken out, every other byte stays."""

from __future__ import annotations

import codecs
import json
import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devboxgpu.install import line_block, machine_config, settings_edit
from devboxgpu.install.jsonc import parse
from devboxgpu.install.text_file import NotUnderstoodError, TextFile

SETTING = "terminal.integrated.profiles.linux"
PROFILE = {"path": "/home/Zoë/devboxgpu", "args": ["shell"], "icon": "vm"}
LINES = ["if true; then", "  source '/home/Zoë/x'", "fi"]
blank = st.text(alphabet=" \t\r\n", max_size=3)
skipped = st.one_of(
    blank,
    blank.map(lambda text: f"{text}/* a, {{ */"),
    blank.map(lambda text: f'{text}// }} " ,\n'),
)
names = st.sampled_from(["a", 'b\\"', "terminal.integrated.profiles.linux", "Zoë", "c"])
scalars = st.sampled_from(["1", "-2.5e3", "true", "null", '"x // y"', '"/* z"', "[]", "[1, {}, ]", '{"k": 1}'])


@st.composite
def settings_files(draw) -> str:
    """Settings as people write them: comments anywhere, a trailing comma or none."""
    members = draw(st.lists(st.tuples(skipped, names, skipped, scalars, skipped), max_size=4, unique_by=lambda m: m[1]))
    said = [f'{one}"{name}"{two}:{two}{value}{three}' for one, name, two, value, three in members]
    trailing = "," if members and draw(st.booleans()) else ""
    return f"{draw(skipped)}{{{','.join(said)}{trailing}{draw(skipped)}}}{draw(skipped)}"


def read(content: bytes):
    return parse(TextFile.read(content).text).value


@given(text=settings_files())
def test_an_entry_comes_and_goes_and_every_byte_is_as_before(text: str) -> None:
    content = text.encode()
    before = read(content)
    holder = before.get(SETTING, {})
    if not isinstance(holder, dict):
        with pytest.raises(NotUnderstoodError, match="is not an object"):
            settings_edit.with_entry(content, SETTING, "DevBoxGPU Shell", PROFILE)
        return

    after = settings_edit.with_entry(content, SETTING, "DevBoxGPU Shell", PROFILE)

    assert read(after) == {**before, SETTING: {**holder, "DevBoxGPU Shell": PROFILE}}
    assert settings_edit.with_entry(after, SETTING, "DevBoxGPU Shell", PROFILE) == after
    assert settings_edit.without_entry(after) == content


def test_an_entry_in_plain_settings_is_json_that_reads_well() -> None:
    after = settings_edit.with_entry(b'{\n    "a": 1\n}\n', SETTING, "DevBoxGPU Shell", PROFILE).decode()

    assert after.splitlines()[1:4] == [
        "    /* devboxgpu install: begin */",
        '    "terminal.integrated.profiles.linux": {',
        '        "DevBoxGPU Shell": {',
    ]
    assert json.loads(re.sub(r"/\*.*?\*/", "", after))["a"] == 1


@pytest.mark.parametrize("behind", [', "b": 1}', '/* c */ , "b": 1}', "}"])
def test_what_was_written_behind_the_entry_is_still_settings_without_it(behind: str) -> None:
    entry = settings_edit.with_entry(b"{}", SETTING, "DevBoxGPU Shell", PROFILE).decode()

    left = settings_edit.without_entry((entry.removesuffix("}") + behind).encode())

    assert read(left) == ({"b": 1} if "b" in behind else {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n "a": 1\n "b": 2}', "line 3: expected ','"),
        ('{"a": tru}', "line 1: expected a value"),
        ("{'a': 1}", "a name in quotes"),
        ("[]", "the file is not an object"),
        ('{"a": 1} x', "expected the end"),
        ("{ /* open", "line 1"),
        ('{"a": 01}', "line 1"),
        ("[" * 200, "at most 100 levels"),
        ('{"terminal.integrated.profiles.linux": {"DevBoxGPU Shell": {"path": "mine"}}}', "already has an entry"),
        ("{ /* devboxgpu install: begin */ }", "take it out by hand"),
    ],
)
def test_settings_that_are_not_understood_are_refused(text: str, said: str) -> None:
    with pytest.raises(NotUnderstoodError, match=re.escape(said)):
        settings_edit.with_entry(text.encode(), SETTING, "DevBoxGPU Shell", PROFILE)


@given(content=st.binary(max_size=60), bom=st.sampled_from([b"", codecs.BOM_UTF8]))
def test_lines_come_and_go_and_every_byte_is_as_before(content: bytes, bom: bytes) -> None:
    content = bom + content

    after = line_block.with_lines(content, LINES)

    assert line_block.with_lines(after, LINES) == after
    assert after.startswith(content)
    assert "source '/home/Zoë/x'".encode() in after or TextFile.read(content).bom
    assert line_block.without_lines(after) == content


def test_lines_in_a_file_of_utf_16_are_utf_16() -> None:
    content = codecs.BOM_UTF16_LE + "Set-Alias ll ls\r\n".encode("utf-16-le")

    after = line_block.with_lines(content, ["one"])

    expected = f"Set-Alias ll ls\r\n{line_block.BEGIN}\r\none\r\n{line_block.END}\r\n"
    assert after[2:].decode("utf-16-le") == expected
    assert line_block.without_lines(after) == content


def test_other_lines_take_the_place_of_ours_where_the_person_has_moved_them() -> None:
    moved = line_block.with_lines(b"first\n", ["old"]) + b"last\n"

    after = line_block.with_lines(moved, ["new"])

    assert after.decode().splitlines() == ["first", line_block.BEGIN, "new", line_block.END, "last"]
    assert line_block.without_lines(after) == b"first\nlast\n"


def test_a_file_that_ends_in_half_a_character_is_refused() -> None:
    with pytest.raises(NotUnderstoodError, match="begins as utf-16-le and is none"):
        line_block.with_lines(codecs.BOM_UTF16_LE + b"a", ["one"])


@pytest.mark.parametrize("text", [f"{line_block.BEGIN}\nx\n", f"{line_block.END}\n", f"{line_block.BEGIN}\n" * 2])
def test_damaged_markers_are_refused_and_nothing_is_guessed(text: str) -> None:
    with pytest.raises(NotUnderstoodError, match="by hand"):
        line_block.without_lines(text.encode())


def test_configuration_gets_values_before_the_first_table() -> None:
    after = machine_config.with_values(b'a = "1"\n[table]\nproject = "in the table"\n', {"project": 'x "y" \\ é'})

    assert tomllib.loads(after.decode()) == {"a": "1", "project": 'x "y" \\ é', "table": {"project": "in the table"}}


@pytest.mark.parametrize("text", ["no toml", 'project = """\nlong\n"""\n'])
def test_configuration_that_cannot_be_edited_is_refused(text: str) -> None:
    with pytest.raises(NotUnderstoodError):
        machine_config.with_values(text.encode(), {"project": "x"})
