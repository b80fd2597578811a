"""A folder taken along and brought back: nothing deleted, and nothing overwritten that was changed at both ends."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from in_loop import in_loop
from linked_agent import LinkedAgent

from devboxgpu.ignore_rules import IgnoreRules, matches
from devboxgpu.notices import Notices
from devboxgpu.sync import Sync, SyncError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    files = {
        "train.py": "print(1)", "data/a.csv": "1", "notes.txt": "n", ".git/config": "[core]",
        ".venv/bin/python": "x", "sub/.git": "gitdir: x", "big/secret.bin": "s",
        "logs/keep.log": "l", "logs/drop.log": "l",
    }  # fmt: skip
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
        os.utime(folder / name, (1_700_000_000, 1_700_000_000))
    (folder / ".devboxgpuignore").write_text("# not these\nbig/\nlogs/*\n!logs/keep.log\n!.git/\n")
    (folder / "empty").mkdir()
    return folder


def files_below(top: Path) -> dict[str, str]:
    return {str(path.relative_to(top)): path.read_text() for path in top.rglob("*") if path.is_file()}


@in_loop
async def test_what_is_taken_along_is_all_but_repositories_environments_and_what_the_folder_says(
    agent: LinkedAgent, project: Path
):
    async with agent.link() as link:
        sync = Sync(str(project), Notices())
        await sync.before(link, str, Notices().say)

    there = agent.home / "project"
    assert sync.directory == "~/project"
    assert sorted(files_below(there)) == [".devboxgpuignore", "data/a.csv", "logs/keep.log", "notes.txt", "train.py"]
    assert (there / "empty").is_dir()


@in_loop
async def test_what_the_program_made_comes_back_and_nothing_else_is_touched(
    agent: LinkedAgent, project: Path, capsys: pytest.CaptureFixture[str]
):
    before = files_below(project)
    async with agent.link() as link:
        sync = Sync(str(project), Notices())
        await sync.before(link, str, Notices().say)
        there = agent.home / "project"
        (there / "out" / "deep").mkdir(parents=True)
        (there / "out" / "deep" / "model.pt").write_text("weights")
        (there / "train.py").write_text("print(2)")
        (there / "notes.txt").unlink()
        (there / ".git").mkdir()
        (there / ".git" / "config").write_text("[alias] st = !evil")
        (there / "latest").symlink_to("out/deep/model.pt")
        (there / "escape").symlink_to("/etc/passwd")
        assert await sync.after(link)

    said = capsys.readouterr().err
    assert files_below(project) == before | {
        "out/deep/model.pt": "weights", "train.py": "print(2)", "latest": "weights"
    }  # fmt: skip
    assert os.readlink(project / "latest") == "out/deep/model.pt"
    assert not (project / "escape").is_symlink()
    assert "1 file deleted in the session stay here: notes.txt" in said
    assert "left out: escape" in said


@in_loop
async def test_a_file_changed_at_both_ends_is_kept_twice(
    agent: LinkedAgent, project: Path, capsys: pytest.CaptureFixture[str]
):
    (project / "notes.txt.from-session").write_text("from the last time")
    async with agent.link() as link:
        sync = Sync(str(project), Notices())
        await sync.before(link, str, Notices().say)
        there = agent.home / "project"
        assert not (there / "notes.txt.from-session").exists()
        for top, text in ((there, "theirs"), (project, "ours")):
            (top / "notes.txt").write_text(text)
            (top / "new.txt").write_text(text)
            (top / "same.txt").write_text("the same at both")
        assert await sync.after(link)

    found = files_below(project)
    assert (found["notes.txt"], found["notes.txt.from-session-2"]) == ("ours", "theirs")
    assert found["notes.txt.from-session"] == "from the last time"
    assert (found["new.txt"], found["new.txt.from-session"]) == ("ours", "theirs")
    assert "same.txt.from-session" not in found
    assert "notes.txt was changed here and in the session: yours stays" in capsys.readouterr().err


@in_loop
async def test_only_what_matches_is_brought_back(agent: LinkedAgent, project: Path):
    async with agent.link() as link:
        sync = Sync(str(project), Notices(), back=("out/", "*.pt"))
        await sync.before(link, str, Notices().say)
        for name in ("out/x.txt", "y.pt", "cache/z.bin"):
            (agent.home / "project" / name).parent.mkdir(exist_ok=True)
            (agent.home / "project" / name).write_text("x")
        assert await sync.after(link)

    assert {"out/x.txt", "y.pt"} <= set(files_below(project))
    assert not (project / "cache").exists()


@in_loop
async def test_what_is_newer_in_the_session_is_not_overwritten(
    agent: LinkedAgent, project: Path, capsys: pytest.CaptureFixture[str]
):
    (agent.home / "project").mkdir()
    (agent.home / "project" / "notes.txt").write_text("result of another shell")
    async with agent.link() as link:
        await Sync(str(project), Notices()).before(link, str, Notices().say)

    assert (agent.home / "project" / "notes.txt").read_text() == "result of another shell"
    assert "left out: notes.txt: the session's is newer, and stays" in capsys.readouterr().err


@in_loop
async def test_a_folder_that_does_not_arrive_whole_is_an_error(agent: LinkedAgent, project: Path):
    (agent.home / "project").write_text("a file is in the way")
    async with agent.link() as link:
        with pytest.raises(SyncError, match="could not be taken along"):
            await Sync(str(project), Notices()).before(link, str, Notices().say)


def test_the_root_of_a_file_system_is_refused():
    with pytest.raises(SyncError, match="has no name"):
        Sync("/", Notices())


@pytest.mark.parametrize(
    ("rules", "name", "is_directory", "ignored"),
    [
        (["*.log"], "a/b.log", False, True),
        (["/*.log"], "a/b.log", False, False),
        (["/*.log"], "b.log", False, True),
        (["build/"], "build", False, False),
        (["build/"], "x/build", True, True),
        (["a/b"], "x/a/b", False, False),
        (["**/b"], "x/a/b", False, True),
        (["a/**"], "a/b/c", False, True),
        (["a/**/c"], "a/c", False, True),
        (["[ab]?.txt"], "b1.txt", False, True),
        (["[!ab].txt"], "c.txt", False, True),
        (["\\#x", "#x"], "#x", False, True),
        (["*.log", "!keep.log"], "keep.log", False, False),
        (["!.venv/"], ".venv", True, False),
        (["!.git"], ".git", True, True),
        ([], ".venv", True, True),
        (["a.c"], "abc", False, False),
        (["x  ", ""], "x", False, True),
    ],
)
def test_rules_read_as_in_a_gitignore(rules: list[str], name: str, is_directory: bool, ignored: bool):
    assert IgnoreRules(rules).ignores(name, is_directory=is_directory) == ignored


def test_a_pattern_for_a_directory_is_for_all_that_is_in_it():
    assert matches("out/deep/x", ["out/"])
    assert not matches("out", ["out/"])
    assert matches("a/x.pt", ["*.pt"])
    assert not matches("a/x.txt", ["*.pt", "/x.txt"])
