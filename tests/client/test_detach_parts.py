"""What a detached program leaves on this machine: its record, its output, and who keeps it."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devboxgpu.detached_store import KEPT_S, MOST_KEPT, DetachedShell, DetachedStore
from devboxgpu.keeper_process import NotKeptError, have_kept
from devboxgpu.output_log import OutputLog, last_lines, read_log

PLACE = {"endpoint": "http://here/api", "project": "demo"}


def a_record(shell: str = "one", **other: object) -> DetachedShell:
    given_ = {"session": f"s-{shell}", "program": "sleep 9", "terminal": False, "began_at": time.time(), **PLACE}
    return DetachedShell.read({"shell": shell, **given_, **other})


@pytest.fixture
def store(tmp_path: Path) -> DetachedStore:
    return DetachedStore(tmp_path / "state")


def files_of(path: Path) -> tuple[Path, Path]:
    return path / "output", path / "output.1"


def test_records_are_for_their_owner_only_and_the_newest_that_runs_comes_first(store: DetachedStore) -> None:
    now = time.time()
    store.add(a_record("old", began_at=now - 20))
    store.add(a_record("new", began_at=now - 10))
    store.add(a_record("over", began_at=now, exit_code=0))
    store.add(a_record("elsewhere", began_at=now, project="other"))

    assert [record.shell for record in store.newest_first(**PLACE)] == ["new", "old", "over"]
    assert [record.shell for record in store.newest_first(**PLACE, session="s-old")] == ["old"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in store.folder.glob("*.json")} == {0o600}
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700


def test_a_file_that_is_none_of_ours_hides_no_other(store: DetachedStore) -> None:
    store.add(a_record())
    (store.folder / "torn.json").write_text('{"shell": "to')
    (store.folder / "foreign.json").write_text('{"a": 1}')

    assert [record.shell for record in store.newest_first(**PLACE)] == ["one"]
    assert store.get("torn") is None


def test_old_ones_are_forgotten_with_their_output_but_never_one_that_is_kept(store: DetachedStore) -> None:
    long_ago = time.time() - KEPT_S - 1
    for shell in ("old", "kept"):
        store.add(a_record(shell))
        store.update(shell, began_at=long_ago)
        store.log_files(shell)[0].write_bytes(b"output")
    with store.lock("kept"):
        for number in range(MOST_KEPT + 3):
            store.add(a_record(f"n{number:02}", began_at=time.time() - 100 + number))

    left = {record.shell for record in store.newest_first(**PLACE)}
    assert "old" not in left
    assert not store.log_files("old")[0].exists()
    assert "kept" in left
    assert len(left) <= MOST_KEPT + 2
    assert "n00" not in left


def test_a_lock_is_one_processs_until_it_dies(store: DetachedStore) -> None:
    store.add(a_record())
    holds = "import sys,time; from pathlib import Path; from devboxgpu.keeper_lock import KeeperLock\n"
    holds += "with KeeperLock(Path(sys.argv[1])) as mine:\n print(mine, flush=True); time.sleep(60)"
    other = subprocess.Popen(
        [sys.executable, "-c", holds, str(store.folder / "one.lock")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "client")},
    )
    assert other.stdout is not None
    assert other.stdout.readline() == b"True\n"

    assert store.lock("one").is_held()
    with store.lock("one") as mine:
        assert not mine

    other.kill()
    other.wait()
    assert not store.lock("one").is_held()
    other.stdout.close()


def test_a_keeper_that_cannot_begin_is_no_keeper_and_says_why(
    store: DetachedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = a_record(endpoint="http://127.0.0.1:9/api")
    store.add(record)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2] / "client"))
    monkeypatch.setenv("HOME", str(store.folder))  # a state folder that knows no such shell

    with pytest.raises(NotKeptError, match=r"no shell one was detached|no way to sign in"):
        asyncio.run(have_kept(store, record))


@given(st.lists(st.tuples(st.binary(max_size=30), st.booleans()), max_size=30), st.integers(0, 200))
def test_output_comes_back_from_any_offset(
    tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[bytes, bool]], offset: int
) -> None:
    files = files_of(tmp_path_factory.mktemp("log"))
    log = OutputLog(files)
    for data, is_error in writes:
        log.append(data, is_error=is_error)
    log.close()

    everything = b"".join(data for data, _ in writes)
    for stream in (False, True):
        marks = b"".join((b"\1" if error is stream else b"\0") * len(data) for data, error in writes)
        wanted = bytes(byte for byte, mark in zip(everything[offset:], marks[offset:], strict=True) if mark)
        assert b"".join(data for data, error in read_log(files, offset) if error is stream) == wanted


def test_output_is_bounded_and_goes_on_where_it_was_after_a_crash(tmp_path: Path) -> None:
    files = files_of(tmp_path)
    log = OutputLog(files, largest=1000)
    for number in range(40):
        log.append(b"%03d" % number * 33, is_error=False)
    log.skip(7)
    log.close()
    whole = files[0].stat().st_size
    with files[0].open("ab") as torn:
        torn.write(b"\0" * 5 + b"half a record")

    again = OutputLog(files, largest=1000)
    assert again.offset == 40 * 99
    again.append(b"last", is_error=True)
    again.close()

    assert files[0].stat().st_size == whole + 13 + 4
    assert list(read_log(files))[-1] == (b"last", True)
    assert sum(len(data) for data, _ in read_log(files)) < 2500


def test_a_log_that_was_just_turned_knows_its_place(tmp_path: Path) -> None:
    files = files_of(tmp_path)
    log = OutputLog(files)
    log.append(b"twelve bytes", is_error=False)
    log.close()
    files[0].rename(files[1])

    assert OutputLog(files).offset == 12


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (0, b""),
        (1, b"three\n"),
        (2, b"two\nthree\n"),
        (3, b"one\ntwo\nthree\n"),
        (9, b"one\ntwo\nthree\n"),
    ],
)
@pytest.mark.parametrize("cut", range(14))
def test_the_last_lines_are_whole_wherever_the_pieces_end(lines: int, wanted: bytes, cut: int) -> None:
    output = b"one\ntwo\nthree\n"
    pieces = [(output[:cut], False), (output[cut:], True)]

    assert b"".join(data for data, _ in last_lines(pieces, lines)) == wanted


def test_an_unfinished_last_line_counts() -> None:
    assert last_lines([(b"one\ntwo\nthr", False)], 2) == [(b"two\nthr", False)]
