"""The host's log on stderr: who says how much."""

import logging
import sys
from collections.abc import Mapping

from localcloud.functions_host.app_settings import SettingsError
from localcloud.functions_host.log_formats import LogStyle, formatter_for

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


def start_logging(style: LogStyle = LogStyle.PLAIN) -> None:
    """Send everything from level INFO on to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter_for(style))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


def apply_log_levels(levels: Mapping[str, str], *, is_verbose: bool = False) -> None:
    """Set the levels of host.json's `logging.logLevel`; raises SettingsError for a word that is no level.

    Where a person asked for a verbose log, the host and the engine tell all, whatever the file says.
    """
    for category, word in levels.items():
        level = _LEVELS.get(word.lower())
        if level is None:
            raise SettingsError(
                f"host.json: logging.logLevel.{category} is {word!r}; it must be one of {', '.join(_LEVELS)}"
            )
        if category.lower() == "default":
            logging.getLogger().setLevel(level)
        else:
            logging.getLogger(_CATEGORIES.get(category.lower(), category)).setLevel(level)
    if is_verbose:
        for name in _OWN:
            logging.getLogger(name).setLevel(logging.DEBUG)
