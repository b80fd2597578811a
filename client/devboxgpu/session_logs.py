"""`sessions logs`: a program's output from its agent while the session lives, else from what its keeper has saved."""

from __future__ import annotations

import asyncio

from devboxgpu.agent_link import AgentLink
from devboxgpu.api import ControlPlane
from devboxgpu.detached_store import DetachedStore
from devboxgpu.detached_view import write_pieces
from devboxgpu.errors import DevBoxGpuError
from devboxgpu.notices import Notices
from devboxgpu.output_log import Piece, last_lines, read_log
from devboxgpu.session_access import NoSessionError, find_shell, session_link
from devboxgpu.stop import cancelled
from devboxgpu.streams import ChannelStream
from devboxgpu.wire import Shell
from devboxgpu.wording import printable


class NoLogError(NoSessionError):
    """Nothing is kept of what that session's program prints."""


async def show_log(
    api: ControlPlane, endpoint: str, session: str, *, follows: bool, lines: int | None, store: DetachedStore
) -> None:
    """Writes the output, from its last `lines` lines where that is given. Raises NoLogError, NoSessionError."""
    notices = Notices()
    record = next(iter(store.newest_first(endpoint=endpoint, project=api.project, session=session)), None)
    if record is None or not record.is_over:
        try:
            shell = await asyncio.to_thread(find_shell, api, session)
            async with session_link(api, shell) as link:
                await _Log(link, shell, notices).show(follows=follows, lines=lines)
            return
        except NoSessionError:
            if record is None:
                raise
        except DevBoxGpuError as error:
            if record is None:
                raise
            notices.say(f"the session's agent cannot be asked ({error}): this is what was saved on this machine")
    pieces = list(read_log(store.log_files(record.shell)))
    await write_pieces(pieces if lines is None else last_lines(pieces, lines))


class _Log:
    """The output of one shell's program."""

    def __init__(self, link: AgentLink, shell: Shell, notices: Notices) -> None:
        self._link, self._shell, self._notices = link, shell, notices

    async def show(self, *, follows: bool, lines: int | None) -> None:
        offset = 0
        if lines is not None:
            pieces: list[Piece] = []
            stream = await self._open(0, follows=False)
            while (piece := await stream.read()) is not None:
                pieces.append(piece)
            offset = self._end(await stream.result())
            await write_pieces(last_lines(pieces, lines))
            if not follows:
                return
        await self._write(await self._open(offset, follows=follows))

    async def _open(self, offset: int, *, follows: bool) -> ChannelStream:
        request = {"what": "log", "program": self._shell.id, "offset": offset, "follow": follows}
        return await self._link.open(request)

    async def _write(self, stream: ChannelStream) -> None:
        telling = asyncio.ensure_future(self._tell_skipped(stream))
        try:
            while (piece := await stream.read()) is not None:
                await write_pieces([piece])
            self._end(await stream.result())
        finally:
            await cancelled(telling)

    async def _tell_skipped(self, stream: ChannelStream) -> None:
        while (message := await stream.next_message()) is not None:
            if isinstance(skipped := message.get("skipped"), int):
                self._notices.say(f"{skipped} bytes of output are no longer kept in the session")

    def _end(self, result: dict[str, object]) -> int:
        """Where the next look begins. Raises NoLogError where there is none."""
        error = result.get("error")
        if isinstance(error, dict):
            session = self._shell.session or self._shell.id
            raise NoLogError(f"session {session} has no output to show: {printable(str(error.get('message')))}")
        offset = result.get("offset")
        return offset if isinstance(offset, int) else 0
