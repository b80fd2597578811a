"""`devboxgpu cp`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from devboxgpu.commands.options import configured, connection_options

if TYPE_CHECKING:
    from devboxgpu.configuration import Configuration
    from devboxgpu.copying.places import Copy

GO_ON = "interrupted; what is in place is whole. The same command again goes on where this one stopped"


@click.command(short_help="Copy files to or from a session.")
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True)
@click.argument("to", metavar="DESTINATION")
@click.option(
    "--resume/--no-resume", default=True, show_default=True, help="Go on with files that were copied in part."
)
@click.option("--checksum", is_flag=True, help="Compare files by their bytes, not by size and time.")
@click.option("-q", "--quiet", is_flag=True, help="Say only what failed.")
@connection_options
def cp(
    *,
    sources: tuple[str, ...],
    to: str,
    resume: bool,
    checksum: bool,
    quiet: bool,
    endpoint: str | None,
    project: str | None,
    debug: bool,
) -> int:
    """Copy files and directories to a running session of yours, or from it.

    \b
        devboxgpu cp train.py data :            into the newest session
        devboxgpu cp s-7f3a:runs/best.pt .      from session s-7f3a
        devboxgpu cp :/tmp/log.txt log.txt

    One side is in a session: SESSION:PATH, or :PATH in the one that you opened last. Relative paths there begin where
    its shells do; ~ is the home directory. A local name with a colon in it is written ./a:b.

    Directories are copied with all that is in them, as 'cp -r' and 'scp -r' do: into DESTINATION where that is a
    directory (or ends in /, or there are several sources), else as DESTINATION. A / at a source's end means nothing;
    'data/.' means the contents of data. Links are copied as links; those of a session that lead out of the copied tree
    are left out. Modes and times are kept, as far as the umask here lets them.

    Files of the same size and time at both ends are not copied again. Every copied file is checked by its sha256 before
    it gets its name, so that no name ever stands for half a file. Exit codes: 0, 1 something failed, 2 usage,
    3 session or source not found, 130 for Ctrl-C.
    """  # noqa: D301 - the backspace is click's mark for lines to keep
    from devboxgpu.copying.places import PlaceError, copy_of

    try:
        wanted = copy_of(sources, to)
    except PlaceError as error:
        raise click.UsageError(str(error)) from None
    configuration = configured(endpoint=endpoint, project=project, debug=debug)
    return _copy(configuration, wanted, resume=resume, checksum=checksum, quiet=quiet)


def _copy(configuration: Configuration, wanted: Copy, *, resume: bool, checksum: bool, quiet: bool) -> int:
    import asyncio

    from devboxgpu.copying.command import CopyCommand
    from devboxgpu.copying.copier import Copier
    from devboxgpu.copying.remote_files import RemoteFiles
    from devboxgpu.copying.report import Report
    from devboxgpu.errors import EXIT_INTERRUPTED
    from devboxgpu.notices import Notices
    from devboxgpu.session_access import find_shell, session_link

    notices = Notices()

    async def copy() -> int:
        api = configuration.control_plane()
        shell = await asyncio.to_thread(find_shell, api, wanted.session)
        async with session_link(api, shell) as link:
            link.on_lost = lambda reason: notices.say(f"the connection was lost ({reason}); trying to go on")
            copier = Copier(remote=RemoteFiles(link), report=Report(), resume=resume, checksum=checksum)
            return await CopyCommand(copier, wanted, notices, quiet=quiet).run()

    try:
        return asyncio.run(copy())
    except KeyboardInterrupt:
        notices.say(GO_ON)
        return EXIT_INTERRUPTED
