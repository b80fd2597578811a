"""A container that is anybody's: whatever it says, nothing is written outside of the place that the person named."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from in_loop import in_loop
from linked_agent import LinkedAgent

from devboxgpu.agent.channels import Channel, Handler
from devboxgpu.agent.safe_names import PART_SUFFIX, leaves_tree, unsafe
from devboxgpu.agent.services import Agent, Request
from devboxgpu.copying.command import CopyCommand
from devboxgpu.copying.copier import Copier
from devboxgpu.copying.entries import listing
from devboxgpu.copying.places import copy_of
from devboxgpu.copying.remote_files import Opens, RemoteFiles
from devboxgpu.copying.report import Report
from devboxgpu.notices import Notices

EVIL = b"evil"


def file(name: str, size: int = len(EVIL), **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": "file", "size": size, "mode": 0o6777, "mtime_ns": 1, **more}


def folder(name: str) -> dict[str, Any]:
    return {"name": name, "kind": "directory", "mode": 0o755, "mtime_ns": 1}


def link_to(name: str, target: str) -> dict[str, Any]:
    return {"name": name, "kind": "link", "target": target, "mtime_ns": 1}


class Hostile:
    """Answers as it likes."""

    def __init__(self, entries: list[Any], *, content: bytes = EVIL, offset: int = 0) -> None:
        self.entries, self.content, self.offset = entries, content, offset

    def list(self, channel: Channel, request: Request, agent: Agent) -> Handler:
        for entry in self.entries:
            channel.send(entry if isinstance(entry, bytes) else json.dumps(entry).encode() + b"\n")
        channel.close({})
        return Handler()

    def get(self, channel: Channel, request: Request, agent: Agent) -> Handler:
        channel.message({"size": request["size"], "mtime_ns": request["mtime_ns"], "offset": self.offset})
        channel.send(self.content)
        channel.close({"sha256": hashlib.sha256(self.content).hexdigest()})
        return Handler()


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[LinkedAgent]:
    with LinkedAgent(tmp_path / "there").running() as linked:
        yield linked


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    target = tmp_path / "here"
    target.mkdir()
    monkeypatch.chdir(target)
    return target


async def fetch(link: Opens) -> tuple[int, Report]:
    report = Report()
    copier = Copier(remote=RemoteFiles(link), report=report)
    return await CopyCommand(copier, copy_of([":data"], "."), Notices(), quiet=False).run(), report


def written(top: Path) -> list[str]:
    return sorted(str(path.relative_to(top)) for path in top.rglob("*"))


ATTACKS = {
    "up": [folder(""), file("../evil")],
    "up, and that is a folder": [folder(""), folder(".."), file("../evil")],
    "up in the middle, and those are folders": [folder(""), folder("a"), folder("a/.."), file("a/../../evil")],
    "up in the middle": [folder(""), folder("a"), file("a/../../evil")],
    "absolute": [folder(""), file("/tmp/evil")],
    "no plain parts": [folder(""), folder("a"), file("a//evil"), file("./evil"), file("a/.")],
    "NUL": [folder(""), file("evil\0.txt")],
    "through a link": [folder(""), link_to("a", ".."), file("a/evil")],
    "through an absolute link": [folder(""), link_to("a", "/tmp"), file("a/evil")],
    "a link and a folder of one name": [folder(""), link_to("a", "."), folder("a"), file("a/evil")],
    "in no folder": [folder(""), file("b/evil")],
    "a file as a folder": [folder(""), file("b"), file("b/evil")],
    "a part of another copy": [folder(""), link_to(f".x{PART_SUFFIX}", "/tmp/evil")],
    "unknown kinds": [folder(""), {"name": "x", "kind": "device"}, {"name": "y"}, {"kind": "file"}],
    "names that are no text": [folder(""), file(7), file(None), file(["x"])],  # type: ignore[arg-type]
    "sizes that are none": [folder(""), file("x", size=-1), {**file("y"), "size": "big", "mtime_ns": 2**80}],
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_name_leads_out(agent: LinkedAgent, here: Path, attack: str):
    hostile = Hostile(ATTACKS[attack])
    agent.operations |= {"list": hostile.list, "get": hostile.get}
    before = written(here.parent)

    @in_loop
    async def attacked() -> None:
        async with agent.link() as link:
            await fetch(link)

    attacked()

    assert all(name.startswith("here/data") for name in set(written(here.parent)) - set(before))
    assert not any(path.name == "evil" for path in here.rglob("*"))
    assert not Path("/tmp/evil").exists()


@pytest.mark.parametrize("attack", [name for name in ATTACKS if "sizes" not in name])
def test_such_names_do_not_even_get_into_the_plan(attack: str):
    """What is checked again at the place itself is the second lock, not the first."""
    found = listing(ATTACKS[attack])

    assert not [name for name, entry in found.entries.items() if entry.kind == "file" and "/" in name]
    assert ".." not in "/".join(found.entries)


@in_loop
async def test_a_link_of_an_earlier_copy_is_not_followed(agent: LinkedAgent, here: Path):
    outside = here.parent / "outside"
    outside.mkdir()
    (here / "data").mkdir()
    (here / "data" / "a").symlink_to(outside)
    (here / "data" / "b").symlink_to(outside / "b")
    hostile = Hostile([folder(""), folder("a"), file("a/evil"), file("b")])
    agent.operations |= {"list": hostile.list, "get": hostile.get}

    async with agent.link() as link:
        code, report = await fetch(link)

    assert (code, report.files) == (1, 1)
    assert written(outside) == []
    assert (here / "data" / "b").read_bytes() == EVIL
    assert not (here / "data" / "b").is_symlink()


@in_loop
async def test_links_that_lead_out_are_left_out_and_the_others_are_links(
    agent: LinkedAgent, here: Path, capsys: pytest.CaptureFixture[str]
):
    out = ["/etc/passwd", "../x", "a/../../x", "C:\\x", "\\x", "", ".."]
    links = [link_to(f"out{number}", target) for number, target in enumerate(out)]
    hostile = Hostile([folder(""), folder("d"), *links, link_to("d/in", "../x"), link_to("in", "d")])
    agent.operations |= {"list": hostile.list, "get": hostile.get}

    async with agent.link() as link:
        code, report = await fetch(link)

    assert (code, len(report.left_out)) == (0, len(out))
    assert written(here / "data") == ["d", "d/in", "in"]
    assert os.readlink(here / "data" / "d" / "in") == "../x"
    assert "left out: out0: is a link that leads out of the tree, to /etc/passwd" in capsys.readouterr().err


@in_loop
async def test_a_file_gets_no_more_rights_than_new_files_here(agent: LinkedAgent, here: Path):
    hostile = Hostile([folder(""), file("x")])
    agent.operations |= {"list": hostile.list, "get": hostile.get}

    async with agent.link() as link:
        assert (await fetch(link))[0] == 0

    umask = os.umask(0o022)
    os.umask(umask)
    assert (here / "data" / "x").stat().st_mode & 0o7777 == 0o777 & ~umask


@pytest.mark.parametrize(
    ("content", "offset"), [(EVIL + b"more", 0), (b"e", 0), (EVIL, 3), (EVIL, -1)], ids=["more", "less", "from 3", "-1"]
)
def test_bytes_that_are_not_those_announced_are_refused(agent: LinkedAgent, here: Path, content: bytes, offset: int):
    hostile = Hostile([folder(""), file("x")], content=content, offset=offset)
    agent.operations |= {"list": hostile.list, "get": hostile.get}

    @in_loop
    async def attacked() -> None:
        async with agent.link() as link:
            code, _ = await fetch(link)
        assert code == (0 if content == EVIL else 1)

    attacked()

    assert written(here / "data") == (["x"] if content == EVIL else [])


@pytest.mark.parametrize("said", [b"\n", b"[]\n", b"{}\n", b"no json\n", b"[" * 100_000 + b"\n", b""])
def test_what_is_no_listing_is_an_error(agent: LinkedAgent, here: Path, said: bytes):
    hostile = Hostile([said])
    agent.operations["list"] = hostile.list

    @in_loop
    async def attacked() -> None:
        async with agent.link() as link:
            assert (await fetch(link))[0] == 1

    attacked()
    assert written(here) == []


@in_loop
async def test_what_it_says_does_not_steer_the_terminal(
    agent: LinkedAgent, here: Path, capsys: pytest.CaptureFixture[str]
):
    hostile = Hostile([folder(""), {"name": "\x1b[2J", "error": {"code": "X", "message": "\x1b]0;owned\x07"}}])
    agent.operations["list"] = hostile.list

    async with agent.link() as link:
        await fetch(link)

    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    ["a\\b", "C:x", "x:stream", "con", "NUL.txt", "a/COM1.log", "LPT¹", "x ", "x.", "a*", "\x07", 'a"b', "CONIN$"],
)
def test_windows_has_names_of_its_own_that_are_refused(name: str):
    assert unsafe(name, windows=True)
    assert not unsafe(name, windows=False)


def test_names_that_are_one_file_here_are_not_both_written():
    found = listing([folder(""), file("Data"), file("data"), file("é"), file("e\u0301")], for_windows=False, folds=True)

    assert [*found.entries] == ["", "Data", "é"]
    assert len(found.troubles) == 2


@pytest.mark.parametrize(
    ("name", "target", "leaves"),
    [
        ("a", "b", False),
        ("a/b", "../c", False),
        ("a/b", "../../c", True),
        ("a", "b/../..", True),
        ("a/b", "./.././c", False),
    ],
)
def test_where_a_link_leads_is_judged_by_its_words(name: str, target: str, leaves: bool):
    assert leaves_tree(name, target) == leaves
