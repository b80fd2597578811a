"""The terminal this command runs in: its size, its raw mode, its bytes. One class a system, chosen here."""

from __future__ import annotations

import sys

from devboxgpu.console.size import Size

if sys.platform == "win32":
    from devboxgpu.console.windows import WindowsConsole as Console
else:
    from devboxgpu.console.posix import PosixConsole as Console

__all__ = ["Console", "Size"]
