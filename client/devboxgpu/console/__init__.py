"""The terminal this command runs in: its size, its raw mode, its bytes. One set a system, chosen here."""

from __future__ import annotations

import sys
from collections.abc import Callable

from devboxgpu.console.size import Size

if sys.platform == "win32":
    from devboxgpu.console.closing import watch_closing
    from devboxgpu.console.kernel32 import Kernel32
    from devboxgpu.console.windows import WindowsConsole
    from devboxgpu.console.windows_output import WindowsOutput

    class Console(WindowsConsole):
        def __init__(self) -> None:
            super().__init__(Kernel32())

    class Output(WindowsOutput):
        def __init__(self, descriptor: int) -> None:
            super().__init__(Kernel32(), descriptor)

    def on_closing(hang_up: Callable[[], None], restore: Callable[[], None]) -> bool:
        """Has `hang_up` called when the console closes: what SIGHUP says elsewhere."""
        return watch_closing(_CLOSING_KERNEL, hang_up, restore)

    _CLOSING_KERNEL = Kernel32()  # it lives as long as the system may call it
else:
    from devboxgpu.console.posix import PosixConsole as Console
    from devboxgpu.console.posix import PosixOutput as Output

    def on_closing(_hang_up: Callable[[], None], _restore: Callable[[], None]) -> bool:
        """SIGHUP says it here."""
        return False


__all__ = ["Console", "Output", "Size", "on_closing"]
