"""`--sync DIR`: a folder is taken along into the session, and what the program made of it is brought back.

Nothing is deleted at either end, and no file that was changed at both is overwritten.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from devboxgpu.agent.file_errors import FileError
from devboxgpu.agent.safe_names import leaves_tree
from devboxgpu.copying.copier import Copier, same_bytes
from devboxgpu.copying.entries import DIRECTORY, FILE, LINK, Entry, Listing, Trouble
from devboxgpu.copying.local_tree import LocalTree
from devboxgpu.copying.progress import shown, shown_by, troubles_of
from devboxgpu.copying.remote_files import Opens, RemoteFiles
from devboxgpu.copying.report import Report, count
from devboxgpu.copying.transfer import get
from devboxgpu.errors import DevBoxGpuError
from devboxgpu.ignore_rules import FILE_NAME, IgnoreRules, matches
from devboxgpu.notices import Notices

FROM_SESSION = ".from-session"


class SyncError(DevBoxGpuError):
    """The folder cannot be taken along."""


@dataclass(slots=True)
class _Back:
    """What is to be brought back, by what becomes of it."""

    plain: dict[str, Entry] = field(default_factory=dict)
    changed_here: list[Entry] = field(default_factory=list)
    """Files that were changed at both ends."""
    left_out: list[Trouble] = field(default_factory=list)


class Sync:
    """One folder for one program's time: `before` it starts, `after` it has ended."""

    def __init__(self, folder: str, notices: Notices, *, back: tuple[str, ...] = ()) -> None:
        """`back`: patterns as in `.devboxgpuignore`; only what matches one is brought back. None: everything."""
        self.folder = os.path.abspath(folder)
        self._local = LocalTree(self.folder)
        self._notices, self._patterns = notices, back
        name = os.path.basename(self.folder)
        if not name:
            raise SyncError(f"--sync {folder}: the root of a file system has no name that it could have in the session")
        self.directory = f"~/{name}"
        """Where it is in the session, and where the program starts."""
        self._rules = IgnoreRules()
        self._placed: dict[str, Entry] = {}
        self._ours: dict[str, Entry] = {}

    async def before(self, link: Opens, show: Callable[[str], None], tell: Callable[[str], None]) -> None:
        """Takes the folder along; `show` is told how far it is, `tell` what is to stay on the screen.

        Raises SyncError where not all of it came to the session, or what the link raises.
        """
        report, remote = Report(), RemoteFiles(link)
        try:
            self._rules = await asyncio.to_thread(IgnoreRules.of, self.folder)
            found = await asyncio.to_thread(self._local.listing, self._leaves)
            there = await self._remote_listing(remote)
            newer = {name for name, entry in found.entries.items() if _is_newer(there.entries.get(name), entry)}
            report.left_out += [Trouble(name=name, why="the session's is newer, and stays") for name in sorted(newer)]
            wanted = Listing({n: e for n, e in found.entries.items() if n not in newer}, found.troubles)
            async with shown_by(report, show):
                await Copier(remote=remote, report=report).upload(self._local, self.directory, found=wanted)
            self._ours, self._placed = found.entries, (await self._remote_listing(remote)).entries
        except (FileError, OSError) as error:
            raise SyncError(f"--sync {self.folder}: {error}") from None
        for line in troubles_of(report):
            tell(line)
        tell(f"taken along to {self.directory}: {report.summary()}")
        if report.failed:
            failed = count(len(report.failed), "file")
            raise SyncError(f"{failed} could not be taken along; {FILE_NAME} in the folder may leave some behind")

    async def after(self, link: Opens) -> bool:
        """Brings back what is new or changed in the session; whether all of it came. Raises what the link raises."""
        report, remote = Report(), RemoteFiles(link)
        try:
            found = await self._remote_listing(remote)
            here = await asyncio.to_thread(self._local.there, found)
            back = self._to_bring_back(found, here)
            report.left_out += back.left_out
            report.failed += [trouble for trouble in found.troubles if self._is_wanted_back(trouble.name)]
            async with shown(report, self._notices):
                wanted = Listing(_with_parents(back.plain, found), [])
                copier = Copier(remote=remote, report=report)
                await copier.download(self.directory, self._local, found=wanted)
                for entry in back.changed_here:
                    await self._beside(remote, entry, report)
        except (FileError, OSError) as error:
            report.failed.append(Trouble(name=self.directory, why=str(error)))
        else:
            self._tell_deleted(found)
        for line in troubles_of(report):
            self._notices.say(line)
        self._notices.say(f"brought back from {self.directory}: {report.summary()}")
        return not report.failed

    def left_behind(self, session: str) -> str:
        """What is said where `after` could not be."""
        way = f"devboxgpu cp {session}:{self.directory}/. FOLDER"
        return f"what the program made in {self.directory} was not brought back; while the session runs: {way}"

    def _leaves(self, name: str, is_directory: bool) -> bool:
        return self._rules.ignores(name, is_directory=is_directory)

    async def _remote_listing(self, remote: RemoteFiles) -> Listing:
        """What is in the session of what is taken along or brought back; nothing where there is no such folder."""
        try:
            found = await remote.listing(self.directory)
        except FileError as error:
            if error.code != "NotFound":
                raise
            return Listing({}, [])
        kept: dict[str, Entry] = {}
        for name, entry in found.entries.items():
            parent = name.rpartition("/")[0]
            if not name or (parent in kept and not self._leaves(name, entry.kind == DIRECTORY)):
                kept[name] = entry
        return Listing(kept, found.troubles)

    def _is_wanted_back(self, name: str) -> bool:
        return not self._patterns or matches(name, self._patterns)

    def _to_bring_back(self, found: Listing, here: dict[str, Entry]) -> _Back:
        back = _Back()
        for name, entry in found.entries.items():
            if entry == self._placed.get(name) or entry.is_same_file(self._placed.get(name)):
                continue
            if not name or not self._is_wanted_back(name):
                continue
            ours, now = self._ours.get(name), here.get(name)
            is_ours_still = now is None or (ours is not None and now.is_same_file(ours))
            if entry.kind == FILE and not is_ours_still:
                back.changed_here.append(entry)
            elif entry.kind == FILE or (now is None and self._may_make(entry)):
                back.plain[name] = entry
            elif entry.kind == LINK:
                back.left_out.append(Trouble(name=name, why="a link of the session that leads out, or is a file here"))
        return back

    def _may_make(self, entry: Entry) -> bool:
        return entry.kind == DIRECTORY or (entry.kind == LINK and not leaves_tree(entry.name, entry.target))

    async def _beside(self, remote: RemoteFiles, entry: Entry, report: Report) -> None:
        """The session's version of a file that was changed here too gets its own name, unless they are the same."""
        try:
            path = await asyncio.to_thread(self._local.place, entry.name)
            if await asyncio.to_thread(os.path.isfile, path) and await self._is_same(remote, entry):
                report.unchanged += 1
                return
            beside = await asyncio.to_thread(_free_name, path + FROM_SESSION)
            await get(remote.link, self.directory, entry, beside, resume=False, moved=report.moved)
        except FileError as error:
            report.failed.append(Trouble(name=entry.name, why=str(error)))
            return
        report.files += 1
        self._notices.say(f"{entry.name} was changed here and in the session: yours stays, the other is {beside}")

    async def _is_same(self, remote: RemoteFiles, entry: Entry) -> bool:
        size = await asyncio.to_thread(lambda: os.stat(self._local.path(entry.name)).st_size)
        return size == entry.size and await same_bytes(remote, self._local, self.directory, entry.name)

    def _tell_deleted(self, found: Listing) -> None:
        deleted = [name for name, entry in self._placed.items() if entry.kind == FILE and name not in found.entries]
        if deleted:
            some = ", ".join(sorted(deleted)[:3]) + (", ..." if len(deleted) > 3 else "")
            self._notices.say(f"{count(len(deleted), 'file')} deleted in the session stay here: {some}")


def _is_newer(theirs: Entry | None, ours: Entry) -> bool:
    if theirs is None or theirs.kind != FILE or ours.kind != FILE or ours.is_same_file(theirs):
        return False
    return theirs.mtime_ns > ours.mtime_ns


def _with_parents(wanted: dict[str, Entry], found: Listing) -> dict[str, Entry]:
    """The entries with the directories that they are in, which may be missing here; in the listing's order."""
    names = {""}
    for name in wanted:
        parts = name.split("/")
        names.update("/".join(parts[:length]) for length in range(1, len(parts) + 1))
    top = {"": Entry(name="", kind=DIRECTORY)}
    return top | {name: entry for name, entry in found.entries.items() if name and name in names}


def _free_name(path: str) -> str:
    """The path, or one with a number, where nothing is yet."""
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = f"{path}-{number}"
    return free
