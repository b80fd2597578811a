"""Of several terminals of one session on one machine only one rings: whoever first leaves a marker for the warning.

Every terminal still shows the warning's line; a bell in each of them would only be noise.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

KEPT_S = 24 * 3600.0


def marker_folder() -> Path:
    import platformdirs

    return platformdirs.user_runtime_path("devboxgpu", appauthor=False) / "told"


class ToldOnce:
    def __init__(self, session: str, *, folder: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self._session, self._folder, self._clock = session, folder, clock

    def is_first(self, key: str) -> bool:
        """Whether nobody has told this before. Where that cannot be found out, it is told."""
        name = hashlib.sha256(f"{self._session}\n{key}".encode()).hexdigest()[:32]
        try:
            marker = self._made_ready() / name
        except OSError:
            return True
        try:
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            return False
        except OSError:
            return True
        return True

    def _made_ready(self) -> Path:
        folder = self._folder or marker_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._forget_old(folder)
        return folder

    def _forget_old(self, folder: Path) -> None:
        for marker in folder.iterdir():
            with contextlib.suppress(OSError):  # another terminal may have been quicker
                if marker.stat().st_mtime < self._clock() - KEPT_S:
                    marker.unlink()
