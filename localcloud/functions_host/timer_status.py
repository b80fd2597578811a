"""What is known of a timer's last and next run, kept in the state folder so that a restart finds what was missed."""

import json
import logging
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

_log = logging.getLogger("host.timers")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerStatus:
    """`last_at` is None before the first run; `next_at` is None where nothing is due any more."""

    last_at: datetime | None
    next_at: datetime | None
    updated_at: datetime


class TimerStatusStore:
    """One small JSON file a timer."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, timer: str) -> TimerStatus | None:
        """What was kept, or None. A file that cannot be read counts as none, and is told of in the log."""
        path = self._path(timer)
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            return TimerStatus(
                last_at=_moment(kept["Last"]), next_at=_moment(kept["Next"]), updated_at=_required(kept["LastUpdated"])
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("%s cannot be read (%s); the timer %s begins anew", path, error, timer)
            return None

    def write(self, timer: str, status: TimerStatus) -> None:
        """Keep a status; a crash at any moment leaves either the old or the new one."""
        self._directory.mkdir(parents=True, exist_ok=True)
        draft = self._path(timer).with_suffix(".new")
        with draft.open("w", encoding="utf-8") as stream:
            json.dump(
                {"Last": _text(status.last_at), "Next": _text(status.next_at), "LastUpdated": _text(status.updated_at)},
                stream,
            )
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(self._path(timer))

    def _path(self, timer: str) -> Path:
        return self._directory / f"{quote(timer, safe='')}.json"


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _moment(text: str | None) -> datetime | None:
    return _required(text) if text is not None else None


def _required(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return moment
