"""The journal: one commit for all that is ready, one host, and a word about what is wrong."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from localcloud.durable.changes import Changes
from localcloud.durable.decisions import Status
from localcloud.durable.history import event_raised
from localcloud.durable.journal import Journal, JournalError
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
