"""Files and trees to a session and back, over the agent's real operations: whole, checked, and gone on with."""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import signal
import stat
from pathlib import Path

import pytest
from in_loop import in_loop
from linked_agent import LinkedAgent

from devboxgpu.agent.channels import Channel
from devboxgpu.agent.files import Get, Put
from devboxgpu.agent.safe_names import PART_SUFFIX
from devboxgpu.agent.services import Agent, Request
from devboxgpu.copying.command import CopyCommand
from devboxgpu.copying.copier import Copier
from devboxgpu.copying.places import copy_of
from devboxgpu.copying.remote_files import Opens, RemoteFiles
from devboxgpu.copying.report import Report
from devboxgpu.errors import ConnectionLostError
from devboxgpu.notices import Notices

MIB = 1024 * 1024


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


async def copy(link: Opens, *words: str, resume: bool = True, checksum: bool = False) -> tuple[int, Report]:
    report = Report()
    copier = Copier(remote=RemoteFiles(link), report=report, resume=resume, checksum=checksum)
    return await CopyCommand(copier, copy_of(words[:-1], words[-1]), Notices(), quiet=False).run(), report


def tree_of(top: Path) -> dict[str, tuple[object, ...]]:
    """Everything below a directory: kind, mode, time, and content or target."""
    found: dict[str, tuple[object, ...]] = {}
    for path in top.rglob("*"):
        status = path.lstat()
        name = str(path.relative_to(top))
        if path.is_symlink():
            found[name] = ("link", os.readlink(path))
        elif path.is_dir():
            found[name] = ("directory", stat.S_IMODE(status.st_mode), status.st_mtime_ns)
        else:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            found[name] = ("file", stat.S_IMODE(status.st_mode), status.st_mtime_ns, content)
    return found


def grow_tree(top: Path) -> None:
    top.mkdir()
    (top / "empty file").write_bytes(b"")
    (top / "one byte").write_bytes(b"\0")
    (top / "a name\nof two lines").write_text("x")
    (top / "größe 🚀").write_text("unicode")
    (top / os.fsdecode(b"not utf-8 \xff")).write_text("bytes")
    (top / "empty folder").mkdir()
    (top / "sub" / "sub").mkdir(parents=True)
    (top / "sub" / "run.sh").write_text("#!/bin/sh\n")
    (top / "sub" / "run.sh").chmod(0o750)
    (top / "sub" / "to the file").symlink_to("../one byte")
    (top / "dangling").symlink_to("nowhere")
    os.utime(top / "one byte", ns=(1_600_000_000_123_456_789, 1_600_000_000_123_456_789))
    (top / "sub").chmod(0o755)
    os.utime(top / "sub", ns=(1_500_000_000_000_000_001, 1_500_000_000_000_000_001))


@in_loop
async def test_a_tree_goes_there_and_back_with_modes_times_links_and_empty_folders(agent: LinkedAgent, here: Path):
    grow_tree(here / "data")

    async with agent.link() as link:
        assert (await copy(link, "data", ":"))[0] == 0
        assert (await copy(link, ":data", "back"))[0] == 0

    assert tree_of(agent.home / "data") == tree_of(here / "data")
    assert tree_of(here / "back") == tree_of(here / "data")
    assert not list(here.parent.rglob(f"*{PART_SUFFIX}"))


@pytest.mark.parametrize("size", [0, 1, 20 * MIB])
def test_one_file_is_the_same_bytes_both_ways(agent: LinkedAgent, here: Path, size: int):
    content = os.urandom(size)
    (here / "big").write_bytes(content)

    @in_loop
    async def there_and_back() -> None:
        async with agent.link() as link:
            code, report = await copy(link, "big", ":renamed")
            assert (code, report.files, report.moved_bytes) == (0, 1, size)
            code, report = await copy(link, ":renamed", ".")
            assert (code, report.files, report.moved_bytes) == (0, 1, size)

    there_and_back()

    assert (agent.home / "renamed").read_bytes() == content
    assert (here / "renamed").read_bytes() == content


@in_loop
async def test_what_is_unchanged_is_not_copied_again_and_checksums_see_more_than_times(
    agent: LinkedAgent, here: Path, capsys: pytest.CaptureFixture[str]
):
    grow_tree(here / "data")
    async with agent.link() as link:
        await copy(link, "data", ":")
        code, again = await copy(link, "data", ":")
        assert (code, again.files, again.moved_bytes, again.unchanged) == (0, 0, 0, 6)
        assert "6 unchanged" in capsys.readouterr().err

        there = agent.home / "data" / "one byte"
        status = there.stat()
        there.write_bytes(b"\1")
        os.utime(there, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert (await copy(link, "data", ":"))[1].unchanged == 6
        code, checked = await copy(link, "data", ":", checksum=True)

    assert (code, checked.files, checked.unchanged) == (0, 1, 5)
    assert there.read_bytes() == b"\0"


@in_loop
async def test_a_dropped_connection_is_not_noticed_in_the_files(agent: LinkedAgent, here: Path):
    content = os.urandom(6 * MIB)
    (here / "big").write_bytes(content)
    agent.cut_after = 2 * MIB

    async with agent.link() as link:
        code, report = await copy(link, "big", ":")

    assert agent.cut_after is None, "nothing was cut"
    assert (code, report.moved_bytes) == (0, len(content))
    assert (agent.home / "big").read_bytes() == content


@pytest.mark.parametrize("upwards", [True, False])
def test_a_copy_that_was_broken_off_goes_on_where_it_stopped(agent: LinkedAgent, here: Path, upwards: bool):
    source, target = (here, agent.home) if upwards else (agent.home, here)
    words = ("big", ":") if upwards else (":big", ".")
    content = os.urandom(20 * MIB)
    (source / "big").write_bytes(content)

    @in_loop
    async def broken_off() -> int:
        async with agent.link() as link:
            report = Report()
            copier = Copier(remote=RemoteFiles(link), report=report)
            copying = asyncio.ensure_future(
                CopyCommand(copier, copy_of(words[:1], words[1]), Notices(), quiet=True).run()
            )
            while report.moved_bytes < 5 * MIB:
                await asyncio.sleep(0.001)
            agent.kill()
            with pytest.raises(ConnectionLostError):
                await copying
        assert not (target / "big").exists()
        first.append(report.moved_bytes)

    @in_loop
    async def gone_on_with() -> None:
        async with agent.link() as link:
            code, report = await copy(link, *words)
        assert code == 0
        assert report.resumed_bytes > 2 * MIB
        assert report.moved_bytes + report.resumed_bytes == len(content)

    first: list[int] = []
    broken_off()
    gone_on_with()

    assert first[0] < len(content)
    assert (target / "big").read_bytes() == content
    assert not list(target.glob(f".*{PART_SUFFIX}"))


@in_loop
async def test_without_resume_it_starts_anew(agent: LinkedAgent, here: Path):
    content = os.urandom(2 * MIB)
    (here / "big").write_bytes(content)
    async with agent.link() as link:
        copying = asyncio.ensure_future(copy(link, "big", ":"))
        while not list(agent.home.glob(f".*{PART_SUFFIX}")):
            await asyncio.sleep(0.001)
        copying.cancel()
        await asyncio.gather(copying, return_exceptions=True)
        code, report = await copy(link, "big", ":", resume=False)

    assert (code, report.resumed_bytes, report.moved_bytes) == (0, 0, len(content))


class BentPut(Put):
    def data(self, data: bytes, *, is_error: bool) -> None:
        super().data(bytes([data[0] ^ 1]) + data[1:], is_error=is_error)


class BentGet(Get):
    def __init__(self, channel: Channel, request: Request, agent: Agent) -> None:
        send = channel.send
        channel.send = lambda data: send(bytes([data[0] ^ 1]) + data[1:])  # type: ignore[method-assign]
        super().__init__(channel, request, agent)


@in_loop
async def test_damage_on_the_way_is_found_and_leaves_nothing(
    agent: LinkedAgent, here: Path, capsys: pytest.CaptureFixture[str]
):
    (here / "up").write_bytes(b"x" * 100)
    (agent.home / "down").write_bytes(b"x" * 100)
    agent.operations |= {"put": BentPut, "get": BentGet}

    async with agent.link() as link:
        assert (await copy(link, "up", ":copy"))[0] == 1
        assert (await copy(link, ":down", "copy"))[0] == 1

    assert capsys.readouterr().err.count("what arrived is not what was sent") == 2
    assert sorted(path.name for path in (*agent.home.iterdir(), *here.iterdir())) == ["down", "up"]


@in_loop
async def test_a_part_that_is_not_what_it_seems_costs_one_more_try(agent: LinkedAgent, here: Path):
    content = os.urandom(3 * MIB)
    (here / "big").write_bytes(content)
    async with agent.link() as link:
        copying = asyncio.ensure_future(copy(link, "big", ":"))
        while not (parts := [part for part in agent.home.glob(".big*") if part.stat().st_size > MIB]):
            await asyncio.sleep(0)
        copying.cancel()
        await asyncio.gather(copying, return_exceptions=True)
        while parts[0].read_bytes()[:4] != b"bent":  # the agent may still be at it
            with parts[0].open("r+b") as part:
                part.write(b"bent")
        code, report = await copy(link, "big", ":")

    assert (code, report.moved_bytes, report.files) == (0, len(content), 1)
    assert (agent.home / "big").read_bytes() == content


@in_loop
async def test_a_full_disk_is_told_and_given_back(agent: LinkedAgent, here: Path, capsys: pytest.CaptureFixture[str]):
    (here / "big").write_bytes(os.urandom(3 * MIB))
    (here / "small").write_bytes(b"fits")
    before = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    async with agent.link() as link:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MIB, before[0][1]))
            code, report = await copy(link, "big", "small", ":")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before[0])
            signal.signal(signal.SIGXFSZ, before[1])

    assert (code, report.files) == (1, 1)
    assert f"{agent.home}/big: File too large" in capsys.readouterr().err
    assert [path.name for path in agent.home.iterdir()] == ["small"]


@in_loop
async def test_what_is_missing_or_in_the_way_is_said_by_name(
    agent: LinkedAgent, here: Path, capsys: pytest.CaptureFixture[str]
):
    (here / "file").write_text("x")
    (agent.home / "folder" / "file").mkdir(parents=True)
    (agent.home / "plain").write_text("x")
    async with agent.link() as link:
        for words, code, said in [
            ((":gone", "."), 3, f"{agent.home}/gone: No such file or directory"),
            (("gone", ":"), 3, "gone: No such file or directory"),
            (("file", ":missing/deep/file"), 1, "No such file or directory"),
            (("file", ":folder"), 1, f"{agent.home}/folder/file is a directory"),
            (("file", ":plain/"), 1, "plain/: is there, and is no directory"),
            (("file", "file", ":plain"), 1, "plain: is there, and is no directory"),
        ]:
            assert (await copy(link, *words))[0] == code, words
            assert said in capsys.readouterr().err


@in_loop
async def test_special_files_are_left_out_and_told(agent: LinkedAgent, here: Path, capsys: pytest.CaptureFixture[str]):
    (here / "data").mkdir()
    os.mkfifo(here / "data" / "pipe")
    (here / "data" / "file").write_text("x")

    async with agent.link() as link:
        code, report = await copy(link, "data", ":")

    assert (code, report.files, len(report.left_out)) == (0, 1, 1)
    assert "left out: pipe: is neither a file" in capsys.readouterr().err


@in_loop
async def test_where_a_copy_lands_is_as_with_cp_r(agent: LinkedAgent, here: Path):
    (here / "data").mkdir()
    (here / "data" / "x").write_text("x")
    (agent.home / "old").mkdir()
    async with agent.link() as link:
        for words in [("data", ":old"), ("data/", ":new"), ("data/.", ":old"), ("data/x", ":made/"), ("data", ":~/.")]:
            assert (await copy(link, *words))[0] == 0

    found = sorted(str(path.relative_to(agent.home)) for path in agent.home.rglob("x"))
    assert found == ["data/x", "made/x", "new/x", "old/data/x", "old/x"]


@in_loop
async def test_a_newer_copy_of_the_same_file_takes_over(agent: LinkedAgent, here: Path):
    content = os.urandom(8 * MIB)
    (here / "big").write_bytes(content)
    async with agent.link() as link:
        older = asyncio.ensure_future(copy(link, "big", ":"))
        while not list(agent.home.glob(".big*")):
            await asyncio.sleep(0)
        code, _ = await copy(link, "big", ":")
        assert (await older)[0] == 1

    assert code == 0
    assert (agent.home / "big").read_bytes() == content


@in_loop
async def test_a_copy_counts_as_use_of_the_session(agent: LinkedAgent, here: Path):
    (here / "file").write_text("x")
    before = agent.last_used_at
    async with agent.link() as link:
        await copy(link, "file", ":")

    assert agent.last_used_at > before


@in_loop
async def test_what_may_not_be_read_fails_by_name_and_the_rest_is_copied(
    agent: LinkedAgent, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """Who runs the tests may be root, who may read everything: the system's no is put in by hand."""
    for name in ("locked", "closed/x", "open/x"):
        (here / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (here / "data" / name).write_text("x")
    real_open, real_list = os.open, os.listdir

    def refuse(path: object, name: str) -> None:
        if str(path).endswith(name):
            raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "open", lambda path, *rest: (refuse(path, "../locked"), real_open(path, *rest))[1])
    monkeypatch.setattr(os, "listdir", lambda path: (refuse(path, "data/closed"), real_list(path))[1])
    async with agent.link() as link:
        monkeypatch.chdir(here / "data")
        (here / "locked").symlink_to("data/locked")
        assert (await copy(link, "../locked", "../data/closed", "../data/open", ":"))[0] == 1

    said = capsys.readouterr().err
    assert "../locked: Permission denied" in said
    assert "../data/closed: Permission denied" in said
    assert (agent.home / "open" / "x").read_text() == "x"
    assert not (agent.home / "locked").exists()
