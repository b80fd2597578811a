"""One `devboxgpu cp`: where each source goes, as `cp -r` and `scp -r` have it, and what is said of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable

from devboxgpu.agent.file_errors import FileError
from devboxgpu.copying.copier import Copier
from devboxgpu.copying.entries import DIRECTORY, Trouble
from devboxgpu.copying.local_tree import LocalTree
from devboxgpu.copying.places import Copy, Place
from devboxgpu.copying.progress import shown, troubles_of
from devboxgpu.errors import EXIT_ERROR, EXIT_NOT_FOUND
from devboxgpu.notices import Notices


class CopyCommand:
    def __init__(self, copier: Copier, wanted: Copy, notices: Notices, *, quiet: bool) -> None:
        self._copier, self._wanted, self._notices, self._quiet = copier, wanted, notices, quiet
        self._not_found = 0

    async def run(self) -> int:
        """The exit code: 3 where a source is not there, 1 where anything else failed. What is to be told is told."""
        report = self._copier.report
        try:
            async with shown(report, self._notices, quiet=self._quiet):
                await (self._upload_all() if self._wanted.to_session else self._download_all())
        finally:
            # Also when it was broken off: what failed until then would be lost otherwise.
            for line in troubles_of(report):
                self._notices.say(line)
        if not self._quiet or report.failed:
            self._notices.say(report.summary())
        if report.failed:
            return EXIT_NOT_FOUND if self._not_found == len(report.failed) else EXIT_ERROR
        return 0

    async def _upload_all(self) -> None:
        to = self._wanted.to
        there = await self._copier.remote.look(to.path.rstrip("/") or "/")
        is_directory = there is not None and there.kind == DIRECTORY
        if self._is_wrong(is_directory, there is not None):
            return
        if not is_directory and self._needs_directory:
            await self._copier.remote.make(to.path, [{"name": "", "kind": DIRECTORY}])
        for source in self._wanted.sources:
            inside = is_directory or self._needs_directory
            path = _below(to.path, source.name) if inside and source.name else to.path
            await self._one(source, self._copier.upload(LocalTree(source.path), path))

    async def _download_all(self) -> None:
        to = self._wanted.to
        is_directory = await asyncio.to_thread(os.path.isdir, to.path)
        if self._is_wrong(is_directory, await asyncio.to_thread(os.path.lexists, to.path)):
            return
        if not is_directory and self._needs_directory:
            try:
                await asyncio.to_thread(os.makedirs, to.path, exist_ok=True)
            except OSError as error:
                self._copier.report.failed.append(Trouble(name=to.path, why=str(FileError.of(to.path, error))))
                return
        for source in self._wanted.sources:
            inside = is_directory or self._needs_directory
            path = os.path.join(to.path, source.name) if inside else to.path
            await self._one(source, self._copier.download(source.path, LocalTree(path)))

    @property
    def _needs_directory(self) -> bool:
        return len(self._wanted.sources) > 1 or self._wanted.to.must_be_directory

    def _is_wrong(self, is_directory: bool, is_there: bool) -> bool:
        if self._needs_directory and is_there and not is_directory:
            self._copier.report.failed.append(Trouble(name=self._wanted.to.path, why="is there, and is no directory"))
            return True
        return False

    async def _one(self, source: Place, copying: Awaitable[None]) -> None:
        try:
            await copying
        except FileError as error:
            self._not_found += error.code == "NotFound"
            self._copier.report.failed.append(Trouble(name=source.path, why=str(error)))


def _below(path: str, name: str) -> str:
    """In the session, where paths are as POSIX has them."""
    return name if path == "." else f"{path.rstrip('/')}/{name}"
