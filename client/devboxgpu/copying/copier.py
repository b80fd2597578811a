"""A whole copy, file or tree: what is to be done, then some files at a time, then directories as they were."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from devboxgpu.agent.file_errors import FileError
from devboxgpu.agent.safe_names import leaves_tree
from devboxgpu.copying.entries import DIRECTORY, FILE, LINK, Entry, Listing, Trouble
from devboxgpu.copying.local_tree import LocalTree
from devboxgpu.copying.remote_files import RemoteFiles
from devboxgpu.copying.report import Report
from devboxgpu.copying.transfer import OutgoingFile, get, put

FILES_AT_ONCE = 8

Transfer = Callable[[Entry], Awaitable[None]]


@dataclass(slots=True)
class Plan:
    """What is to be done, by kind; names are below the top."""

    directories: list[Entry] = field(default_factory=list)
    files: list[Entry] = field(default_factory=list)
    links: list[Entry] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copier:
    remote: RemoteFiles
    report: Report
    resume: bool = True
    checksum: bool = False
    """Whether files are compared by their bytes rather than by size and time."""

    async def upload(self, source: LocalTree, path: str, *, found: Listing | None = None) -> None:
        """Copies a file or tree of this machine to `path` of the session. What fails is in the report.

        Raises FileError where the source cannot be read at all, and ConnectionLostError.
        """
        listing = await asyncio.to_thread(source.listing) if found is None else found
        there = await self._there(path, listing)
        plan = self._plan(listing)
        plan.files = self._changed(plan.files, there)

        async def send(entry: Entry) -> None:
            await put(
                self.remote.link, source.path(entry.name), path, entry.name, resume=self.resume, moved=self._moved
            )

        new = [entry for entry in plan.directories if entry.name not in there]
        self.report.failed += await self._made(path, new)
        await self._each(plan.files, self._unless_same(source, path, there, send))
        self.report.failed += await self._made(path, plan.links)
        self.report.failed += await self._made(path, reversed(new), dressed=True)

    async def download(self, path: str, target: LocalTree, *, found: Listing | None = None) -> None:
        """Copies a file or tree of the session to `target`. Nothing is written anywhere else, whatever was said."""
        listing = await self.remote.listing(path) if found is None else found
        there = await asyncio.to_thread(target.there, listing)
        plan = self._plan(listing, from_session=True)
        plan.files = self._changed(plan.files, there)

        async def fetch(entry: Entry) -> None:
            place = await asyncio.to_thread(target.place, entry.name)
            if await get(self.remote.link, path, entry, place, resume=self.resume, moved=self._moved):
                self.report.changed.append(entry.name or path)

        new = [entry for entry in plan.directories if entry.name not in there]
        await self._locally(target.make, plan.directories)
        await self._each(plan.files, self._unless_same(target, path, there, fetch))
        await self._locally(target.make, plan.links)
        await self._locally(target.dress, reversed(new))

    def _plan(self, found: Listing, *, from_session: bool = False) -> Plan:
        plan = Plan()
        self.report.failed += found.troubles
        for entry in found.entries.values():
            if entry.kind == DIRECTORY:
                plan.directories.append(entry)
            elif entry.kind == FILE:
                plan.files.append(entry)
            elif entry.kind == LINK and not (from_session and leaves_tree(entry.name, entry.target)):
                plan.links.append(entry)
            else:
                self.report.left_out.append(Trouble(name=entry.name, why=_why_left_out(entry)))
        return plan

    async def _there(self, path: str, found: Listing) -> dict[str, Entry]:
        """What the session has at the place already; nothing where that is nothing, or a tree where a file is to be."""
        if (top := await self.remote.look(path)) is None:
            return {}
        if top.kind != DIRECTORY or found.top.kind != DIRECTORY:
            return {"": top}
        return (await self.remote.listing(path)).entries

    def _changed(self, files: list[Entry], there: dict[str, Entry]) -> list[Entry]:
        """Those that are to be copied, as far as size and time tell; they are the plan."""
        wanted = files
        if not self.checksum:
            wanted = [entry for entry in files if not entry.is_same_file(there.get(entry.name))]
        self.report.unchanged += len(files) - len(wanted)
        self.report.planned_files += len(wanted)
        self.report.planned_bytes += sum(entry.size for entry in wanted)
        return wanted

    def _unless_same(self, local: LocalTree, path: str, there: dict[str, Entry], transfer: Transfer) -> Transfer:
        """The transfer of a file; where bytes count, not of one whose bytes are at the other end."""
        if not self.checksum:
            return self._counted(transfer)

        async def compare_first(entry: Entry) -> None:
            other = there.get(entry.name)
            could_be_same = other is not None and other.kind == FILE and other.size == entry.size
            if could_be_same and await same_bytes(self.remote, local, path, entry.name):
                self.report.found_same(entry.size)
            else:
                await self._counted(transfer)(entry)

        return compare_first

    def _counted(self, transfer: Transfer) -> Transfer:
        async def count(entry: Entry) -> None:
            await transfer(entry)
            self.report.files += 1

        return count

    def _moved(self, size: int, was_there: bool) -> None:
        self.report.moved(size, was_there)

    async def _made(self, path: str, entries: Iterable[Entry], *, dressed: bool = False) -> list[Trouble]:
        told = [_told(entry, dressed=dressed) for entry in entries]
        return await self.remote.make(path, told) if told else []

    async def _locally(self, work: Callable[[Entry], None], entries: Iterable[Entry]) -> None:
        """Some local work on each; what fails is in the report."""

        def all_of_it() -> list[Trouble]:
            failed = []
            for entry in entries:
                try:
                    work(entry)
                except (FileError, OSError) as error:
                    failed.append(Trouble(name=entry.name, why=str(error)))
            return failed

        self.report.failed += await asyncio.to_thread(all_of_it)

    async def _each(self, entries: list[Entry], transfer: Transfer) -> None:
        waiting = iter(entries)

        async def work() -> None:
            for entry in waiting:
                try:
                    await transfer(entry)
                except FileError as error:
                    self.report.failed.append(Trouble(name=entry.name, why=str(error)))

        workers = [asyncio.ensure_future(work()) for _ in range(min(FILES_AT_ONCE, len(entries)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)


async def same_bytes(remote: RemoteFiles, local: LocalTree, path: str, name: str) -> bool:
    """Whether both ends hold the same bytes. Raises FileError where one of them cannot be read."""

    def here() -> str:
        file = OutgoingFile(local.path(name))
        try:
            file.pass_over(file.rest)
            return file.sha256
        finally:
            file.close()

    ours, theirs = await asyncio.gather(asyncio.to_thread(here), remote.sha256(path, name))
    return ours == theirs


def _told(entry: Entry, *, dressed: bool) -> dict[str, object]:
    if not dressed:
        return {"name": entry.name, "kind": entry.kind, "target": entry.target}
    return {"name": entry.name, "kind": entry.kind, "mode": entry.mode, "mtime_ns": entry.mtime_ns}


def _why_left_out(entry: Entry) -> str:
    if entry.kind == LINK:
        return f"is a link that leads out of the tree, to {entry.target}"
    return "is neither a file, nor a directory, nor a link"
