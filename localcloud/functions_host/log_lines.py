"""The host's log on stderr: one line an event, with time, level, function, call and message."""

import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from localcloud.functions_host.invocation import current_invocation
from localcloud.functions_host.loading import describe

_LEVELS: Mapping[str, int] = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "information": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 10,
}
_CATEGORIES: Mapping[str, str] = {
    "function": "host",
    "azure.core": "azure.core",
    "host.triggers.durabletask": "localcloud.durable",
    "durabletask": "localcloud.durable",
    "durabletask.core": "localcloud.durable",
    "durabletask.azurestorage": "localcloud.durable",
}
"""The vendor's log categories, and the loggers here that say the same things."""
_OWN = ("host", "localcloud.durable")
_CHATTY = ("azure.core.pipeline.policies.http_logging_policy", "azure.identity", "aiohttp.access", "asyncio")


class OneLineFormatter(logging.Formatter):
    """`time LEVEL function call [instance] message`; an exception is told in the same line."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        message = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            message = f"{message}: {describe(record.exc_info[1])}"
        message = message.replace("\r", "").replace("\n", "\\n")
        return f"{at}Z {record.levelname:<8}{self._who(record)} {message}"

    @staticmethod
    def _who(record: logging.LogRecord) -> str:
        invocation = current_invocation.get()
        if invocation is None:
            return record.name
        instance = f" [{invocation.instance_id}]" if invocation.instance_id else ""
        return f"{invocation.function_name} {invocation.id[:8]}{instance}"


def start_logging() -> None:
    """Send everything from level INFO on to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLineFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


def apply_log_levels(levels: Mapping[str, str], *, is_verbose: bool = False) -> None:
    """Set the levels of host.json's `logging.logLevel`; words that are no level are told of and left out.

    Where a person asked for a verbose log, the host and the engine tell all, whatever the file says.
    """
    for category, word in levels.items():
        level = _LEVELS.get(word.lower())
        if level is None:
            logging.getLogger("host").warning(
                "host.json: logging.logLevel.%s is %r; it must be one of %s", category, word, ", ".join(_LEVELS)
            )
        elif category.lower() == "default":
            logging.getLogger().setLevel(level)
        else:
            logging.getLogger(_CATEGORIES.get(category.lower(), category)).setLevel(level)
    if is_verbose:
        for name in _OWN:
            logging.getLogger(name).setLevel(logging.DEBUG)
