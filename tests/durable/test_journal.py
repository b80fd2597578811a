"""The journal: one commit for all that is ready, one host, and a word about what is wrong."""

import asyncio
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from localcloud.durable.changes import Changes
from localcloud.durable.decisions import Status
from localcloud.durable.history import event_raised
from localcloud.durable.journal import Journal, JournalError, NotWritten
from localcloud.durable.rows import Activity, Instance, InstanceQuery, Message
from tests.durable.hub import START, Hub, in_hub
from tests.durable.sleepers import program


def instance(name: str, **fields: object) -> Instance:
    values = {"execution_id": "x", "name": "story", "created_at": START, "updated_at": START, **fields}
    return Instance(instance_id=name, **values)  # type: ignore[arg-type]


def put(name: str) -> Changes:
    changes = Changes()
    changes.put_instance(instance(name))
    return changes


async def filled(path: Path, *changes: Changes) -> Journal:
    journal = Journal(path)
    journal.open()
    await asyncio.gather(*(journal.commit(each) for each in changes))
    return journal


def test_all_changes_of_one_tick_share_one_commit(tmp_path: Path) -> None:
    async def run() -> None:
        journal = await filled(tmp_path / "journal", *(put(f"i{number}") for number in range(100)))
        assert journal.commits == 1
        assert len(journal.instances(InstanceQuery(top=1_000))) == 100
        await journal.close()

    asyncio.run(run())


def test_what_was_committed_is_read_back_by_the_next_host(tmp_path: Path) -> None:
    message = Message(
        id=7, instance_id="one", execution_id=None, visible_at=START, event=event_raised("t", "go", '"ü"')
    )
    work = Activity(id=8, instance_id="one", execution_id="x", task_id=0, name="note", input_text=None)
    row = instance("one", status=Status.RUNNING, parent={"Name": "p"}, generation=None, output="[1]")
    changes = Changes()
    changes.put_instance(row)
    changes.append_history("one", 0, [message.event])
    changes.add_message(message)
    changes.add_activity(work)

    async def run() -> None:
        await (await filled(tmp_path / "journal", changes)).close()
        journal = await filled(tmp_path / "journal")
        assert journal.instance("one") == row
        assert journal.history("one") == [message.event]
        assert (journal.messages(), journal.activities()) == ([message], [work])
        await journal.close()

    asyncio.run(run())


def test_a_set_of_changes_is_written_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    broken = put("one")
    broken.append_history("one", 0, [event_raised("t", "a", None)])
    broken.append_history("one", 0, [event_raised("t", "b", None)])

    async def run() -> None:
        journal = Journal(tmp_path / "journal")
        journal.open()
        with pytest.raises(JournalError, match="cannot be written"):
            await journal.commit(broken)
        assert journal.instance("one") is None
        with pytest.raises(JournalError, match="restart the functions host"):
            await journal.commit(put("two"))
        await journal.close()

    asyncio.run(run())


def test_a_second_host_on_one_journal_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        journal = await filled(tmp_path / "journal")
        with pytest.raises(JournalError, match="in use by another functions host"):
            Journal(tmp_path / "journal").open()
        await journal.close()
        await (await filled(tmp_path / "journal")).close()

    asyncio.run(run())


def test_a_file_that_is_no_journal_is_told_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b"this is not a database, but it is long enough to be looked at" * 100)
    before = path.read_bytes()
    with pytest.raises(JournalError, match="damaged or no journal of this engine"):
        Journal(path).open()
    assert path.read_bytes() == before


def test_a_journal_that_cannot_be_opened_is_not_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    with pytest.raises(JournalError, match=r"cannot be opened .* look at its disk"):
        Journal(tmp_path / "journal").open()


def test_a_damaged_journal_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "journal"

    async def fill() -> None:
        journal = await filled(path, *(put(f"instance-{number:05d}") for number in range(2_000)))
        await journal.close()

    asyncio.run(fill())
    content = bytearray(path.read_bytes())
    for page in range(4, len(content) // 4096, 3):
        content[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    path.write_bytes(bytes(content))
    with pytest.raises(JournalError, match="damaged"):
        Journal(path).open()


def test_a_truncated_journal_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "journal"

    async def fill() -> None:
        await (await filled(path, *(put(f"instance-{number:05d}") for number in range(2_000)))).close()

    asyncio.run(fill())
    whole = path.read_bytes()
    for share in (0.9, 0.5, 0.1):
        path.write_bytes(whole[: int(len(whole) * share) // 4096 * 4096])
        with pytest.raises(JournalError, match="damaged"):
            Journal(path).open()


def test_a_torn_tail_of_the_log_loses_only_the_commits_in_it(tmp_path: Path) -> None:
    """What a power cut may leave behind: the last frames of the log are torn, all before them are whole."""
    path, copies = tmp_path / "journal", tmp_path / "copies"

    async def fill() -> bytes:
        journal = await filled(path)
        for number in range(20):
            await journal.commit(put(f"instance-{number:02d}"))
        log = path.with_name("journal-wal").read_bytes()
        content = path.read_bytes()
        copies.mkdir()
        (copies / "journal").write_bytes(content)
        await journal.close()
        return log

    log = asyncio.run(fill())
    main = (copies / "journal").read_bytes()
    counts = []
    for cut in range(len(log), 0, -len(log) // 15):
        for old in copies.iterdir():
            old.unlink()
        (copies / "journal").write_bytes(main)
        (copies / "journal-wal").write_bytes(log[:cut])
        journal = Journal(copies / "journal")
        journal.open()
        names = [row.instance_id for row in journal.instances(InstanceQuery())]
        assert names == [f"instance-{number:02d}" for number in range(len(names))]
        counts.append(len(names))
        journal._release()
    assert counts[0] == 20
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] < 10


def test_an_event_that_is_no_json_is_told_as_damage(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    changes = put("one")
    changes.append_history("one", 0, [event_raised("t", "go", None)])

    async def run() -> None:
        await (await filled(path, changes)).close()
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE history SET event = '{\"EventType\": '")
        connection.close()
        journal = await filled(path)
        with pytest.raises(JournalError, match="damaged: an event in it is no JSON"):
            journal.history("one")
        await journal.close()

    asyncio.run(run())


def limit_pages(journal: Journal, more: int) -> None:
    """Let the file grow by so many pages only, as on a disk that is almost full."""
    writer = journal._opened(journal._writer)
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {pages + more}")


def test_a_full_disk_is_told_and_when_there_is_room_again_all_goes_on(tmp_path: Path) -> None:
    async def run() -> None:
        journal = await filled(tmp_path / "journal")
        limit_pages(journal, 3)
        accepted = []
        refused = None
        while refused is None:
            name = f"instance-{len(accepted):05d}"
            try:
                await journal.commit(put(name))
                accepted.append(name)
            except NotWritten as error:
                refused = error
        assert "has no room" in str(refused)
        assert accepted
        assert [row.instance_id for row in journal.instances(InstanceQuery(top=20_000))] == accepted
        limit_pages(journal, 1_000)
        await journal.commit(put("later"))
        await journal.close()
        journal = await filled(tmp_path / "journal")
        assert len(journal.instances(InstanceQuery(top=20_000))) == len(accepted) + 1
        await journal.close()

    asyncio.run(run())


def test_an_orchestration_that_met_a_full_disk_goes_on_when_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def play(hub: Hub) -> None:
        await hub.start("wakes_daily")
        await hub.pass_time(timedelta(days=3))
        limit_pages(hub.engine.journal, 0)
        with pytest.raises(NotWritten, match="has no room"):
            await hub.start("waits_for_ever", "x" * 50_000, instance_id="another")
        while "durable.work_put_back" not in caplog.text and "durable.outcome_not_written" not in caplog.text:
            await hub.pass_time(timedelta(hours=1))
        limit_pages(hub.engine.journal, 1_000)
        await hub.run_out()
        assert hub.status() == "Completed"
        assert [number for number, _ in hub.output()] == list(range(30))
        assert hub.engine.journal.instance("another") is None

    in_hub(tmp_path / "journal", program, play)


def test_a_journal_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE t (x); PRAGMA user_version = 99;")
    connection.close()
    with pytest.raises(JournalError, match="has version 99, this engine reads version 1"):
        Journal(path).open()


def test_lists_are_filtered_and_paged_by_id(tmp_path: Path) -> None:
    rows = [instance(f"a-{n}", status=Status.COMPLETED if n % 2 else Status.RUNNING) for n in range(6)]
    changes = Changes()
    for row in (*rows, instance("b-0")):
        changes.put_instance(row)

    async def run() -> None:
        journal = await filled(tmp_path / "journal", changes)
        found = journal.instances(InstanceQuery(prefix="a-", statuses=(Status.COMPLETED,)))
        assert [row.instance_id for row in found] == ["a-1", "a-3", "a-5"]
        page = journal.instances(InstanceQuery(prefix="a-", after="a-1", top=2))
        assert [row.instance_id for row in page] == ["a-2", "a-3"]
        assert journal.instances(InstanceQuery(created_from=START.replace(year=2027))) == []
        await journal.close()

    asyncio.run(run())


def test_a_crowd_of_starts_needs_far_fewer_commits_than_steps(tmp_path: Path) -> None:
    async def play(hub: Hub) -> None:
        await asyncio.gather(*(hub.start("waits_for_ever", instance_id=f"i{n}") for n in range(50)))
        await hub.settle()
        assert hub.engine.episodes == 50
        assert hub.engine.journal.commits < 50

    in_hub(tmp_path / "journal", program, play)
