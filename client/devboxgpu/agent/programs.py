"""All programs of the agent, and the request that starts one or looks on at one (docs/agent.md, `program`)."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import time
from collections import OrderedDict
from typing import Any

from . import spawn
from .channels import Channel, Handler
from .piped_program import PipedProgram
from .program import Feeder, Program, Viewer, is_size
from .services import Agent, Request, RequestError, flag, text
from .terminal_program import TerminalProgram

MOST_ENDED = 64
TERM = "xterm-256color"
"""Known to every image; the name of the terminal at the other end often is not."""
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Programs:
    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.by_id: dict[str, Program] = {}
        self.told: OrderedDict[str, int] = OrderedDict()
        """Exit codes of the newest programs whose result somebody has taken."""
        self.terminal_at = time.monotonic()
        """When a byte was last typed or printed in any program, or a file was copied."""

    @property
    def running(self) -> list[Program]:
        return [program for program in self.by_id.values() if program.exit_code is None]

    def has_ended(self, program: Program) -> None:
        """It stays until somebody has taken its result, if it is among the newest."""
        if program.is_hung_up:
            self.forget(program)
            return
        waiting = [other for other in self.by_id.values() if other.exit_code is not None and other.viewer is None]
        self.by_id[program.id] = self.by_id.pop(program.id)
        for old in waiting[:-MOST_ENDED]:
            self.forget(old)

    def forget(self, program: Program) -> None:
        if self.by_id.pop(program.id, None) is not None and program.exit_code is not None:
            self.told[program.id] = program.exit_code
            while len(self.told) > MOST_ENDED:
                self.told.popitem(last=False)
        program.is_forgotten = True
        program.let_go()


def open_program(channel: Channel, request: Request, agent: Agent) -> Handler:
    """Starts a program, or looks on at one that is there."""
    id_ = text(request, "program")
    if not _ID.fullmatch(id_):
        raise RequestError("InvalidRequest", "'program' must be 1 to 64 letters, digits, '.', '_' or '-'")
    there = agent.programs.by_id.get(id_)
    if flag(request, "attach"):
        if there is None:
            raise RequestError("ProgramUnknown", f"there is no program {id_}; it may have ended and told its result")
        return _look_on(channel, request, there)
    if there is not None:
        raise RequestError("ProgramExists", f"there is a program {id_} already; 'attach' looks on at it")
    try:
        program = _start(id_, request, agent.programs)
    except spawn.StartError as error:
        channel.send(f"devboxgpu: {error}\n".encode("utf-8", "replace"), is_error=True)
        channel.close({"exit": error.code})
        return Handler()
    agent.programs.told.pop(id_, None)
    agent.programs.by_id[id_] = program
    channel.message({"started": program.pid})
    if flag(request, "detached"):
        program.be_lossy(lossy=True)
        return Feeder(channel, program)
    program.viewer = Viewer(channel, program)
    program.pump()
    return program.viewer


def _look_on(channel: Channel, request: Request, program: Program) -> Handler:
    viewer = Viewer(channel, program)
    replay = request.get("replay")
    if replay is not None and (type(replay) is not int or replay < 0):
        raise RequestError("InvalidRequest", "'replay' must be a number of bytes")
    if request.get("columns") is not None or request.get("rows") is not None:
        program.resize(*_size(request))
    if isinstance(replay, int) and program.kept is not None:
        program.kept.rewind(replay)
    channel.message({"started": program.pid})
    program.look_on(viewer)
    program.pump()
    return viewer


def _start(id_: str, request: Request, programs: Programs) -> Program:
    agent = programs.agent
    is_terminal = flag(request, "terminal")
    env = _environment(request, is_terminal=is_terminal)
    directory = os.path.join(agent.start_directory, os.path.expanduser(text(request, "directory", default="")))
    command = spawn.Command(_argv(request, env), env, directory)
    if is_terminal:
        columns, rows = _size(request)
        return TerminalProgram(programs, id_, spawn.on_terminal(command, columns, rows), columns, rows)
    lossy = flag(request, "lossy")
    return PipedProgram(programs, id_, spawn.on_pipes(command), lossy=lossy)


def _argv(request: Request, env: dict[str, str]) -> list[str]:
    argv: Any = request.get("argv")
    if argv is None:
        return [users_shell(env)]
    if not isinstance(argv, list) or not argv or not all(_is_word(word) for word in argv) or not argv[0]:
        raise RequestError("InvalidRequest", "'argv' must be a list of text: the program and its arguments")
    return list(argv)


def users_shell(env: dict[str, str]) -> str:
    """`$SHELL` where that can be executed, else bash, else sh. Not as a login shell: /etc/profile often takes away
    the search path that the image has set, and CUDA's programs with it.
    """
    named = env.get("SHELL", "")
    if os.path.isabs(named) and os.access(named, os.X_OK) and os.path.isfile(named):
        return named
    return shutil.which("bash", path=env.get("PATH")) or "/bin/sh"


def _environment(request: Request, *, is_terminal: bool) -> dict[str, str]:
    given = request.get("env") or {}
    if not isinstance(given, dict) or not all(_is_word(value) for pair in given.items() for value in pair):
        raise RequestError("InvalidRequest", "'env' must be names and text")
    if any(not name or "=" in name for name in given):
        raise RequestError("InvalidRequest", "a name in 'env' is empty or has a '='")
    env = dict(os.environ)
    env.setdefault("HOME", home())
    if is_terminal:
        env["TERM"] = TERM
    env.update(given)
    return env


def home() -> str:
    try:
        return os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a user without an entry, as containers often have
        return "/"


def _is_word(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _size(request: Request) -> tuple[int, int]:
    columns, rows = request.get("columns", 80), request.get("rows", 24)
    if not is_size(columns) or not is_size(rows):
        raise RequestError("InvalidRequest", "'columns' and 'rows' must be whole numbers from 1 to 65535")
    return columns, rows
