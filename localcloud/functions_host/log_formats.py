"""How a line of the host's log is written: plainly, coloured for a person at a terminal, or as JSON for a program."""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import TextIO

from localcloud.functions_host.invocation import current_invocation
from localcloud.functions_host.loading import describe

_RESET = "\x1b[0m"
_DIM = "\x1b[2m"
_BOLD = "\x1b[1m"
_COLOURS: Mapping[int, str] = {
    logging.DEBUG: "\x1b[2m",
    logging.INFO: "\x1b[32m",
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[1;31m",
}


class LogStyle(StrEnum):
    """The forms of a log line."""

    PLAIN = "plain"
    COLOURED = "coloured"
    JSON = "json"


def style_for(stream: TextIO, environ: Mapping[str, str], *, as_json: bool) -> LogStyle:
    """JSON where it is asked for; colours at a terminal, unless NO_COLOR is set or the terminal has none."""
    if as_json:
        return LogStyle.JSON
    has_colours = stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    return LogStyle.COLOURED if has_colours else LogStyle.PLAIN


def formatter_for(style: LogStyle) -> logging.Formatter:
    """The formatter of a style."""
    match style:
        case LogStyle.PLAIN:
            return PlainLine()
        case LogStyle.COLOURED:
            return ColouredLine()
        case LogStyle.JSON:
            return JsonLine()


def bold(text: str, style: LogStyle) -> str:
    """The text, brighter where the style has colours."""
    return f"{_BOLD}{text}{_RESET}" if style is LogStyle.COLOURED else text


class PlainLine(logging.Formatter):
    """`time LEVEL function call [instance] message`; an exception is told in the same line."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{_time(record)}Z {record.levelname:<8}{_who(record)} {_one_line(_message(record))}"


class ColouredLine(logging.Formatter):
    """The same for the eye: the time of day, the level in its colour, whoever spoke in bold."""

    def format(self, record: logging.LogRecord) -> str:
        colour = _COLOURS.get(record.levelno, "")
        time_of_day = _time(record).partition("T")[2]
        message = _one_line(_message(record))
        if record.levelno >= logging.ERROR:
            message = f"{colour}{message}{_RESET}"
        who = f"{_BOLD}{_who(record)}{_RESET}"
        return f"{_DIM}{time_of_day}{_RESET} {colour}{record.levelname:<8}{_RESET}{who} {message}"


class JsonLine(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and of a call its function, invocation and instance."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": f"{_time(record)}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        invocation = current_invocation.get()
        if invocation is not None:
            line |= {"function": invocation.function_name, "invocation": invocation.id}
            line |= {"instance": invocation.instance_id} if invocation.instance_id else {}
        return json.dumps(line, ensure_ascii=False)


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]


def _message(record: logging.LogRecord) -> str:
    message = record.getMessage()
    if record.name == "py.warnings":
        message = message.partition("\n")[0]  # what follows is the line of code that warned
    if record.exc_info and record.exc_info[1] is not None:
        message = f"{message}: {describe(record.exc_info[1])}"
    return message


def _one_line(message: str) -> str:
    return message.replace("\r", "").replace("\n", "\\n")


def _who(record: logging.LogRecord) -> str:
    invocation = current_invocation.get()
    if invocation is None:
        return record.name
    instance = f" [{invocation.instance_id}]" if invocation.instance_id else ""
    return f"{invocation.function_name} {invocation.id[:8]}{instance}"
