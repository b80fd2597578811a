"""Shows the opening of a shell phase by phase: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from devboxgpu.notices import Notices, may_paint
from devboxgpu.wording import DOING, DONE, duration, printable

if TYPE_CHECKING:
    from rich.live import Live
    from rich.spinner import Spinner


class Progress(Protocol):
    def headline(self, text: str) -> None: ...

    def enter(self, phase: str, detail: str = "", *, aside: str = "", concluded: str = "") -> None:
        """The phase now; entering another one finishes it, entering it again only changes the detail.

        `aside` goes with the detail, and is no reason to say a line again. `concluded` is told of the phase before.
        """
        ...

    def note(self, text: str) -> None:
        """A line of its own that stays."""
        ...

    def break_off(self) -> None:
        """The phase of now is not called done; another one will be entered."""
        ...

    def finish(self, detail: str = "") -> None:
        """The phase of now is done, and so is the opening."""
        ...

    def abandon(self) -> None:
        """The opening ends here: the phase of now is not called done."""
        ...


class _Phases:
    """The bookkeeping both ways of showing share."""

    def __init__(self, notices: Notices, monotonic: Callable[[], float]) -> None:
        self._notices = notices
        self._monotonic = monotonic
        self._phase = ""
        self._detail = ""
        self._since = 0.0

    def break_off(self) -> None:
        self._phase = ""

    def _elapsed_s(self) -> float:
        return self._monotonic() - self._since

    def _change(self, phase: str, detail: str) -> None:
        if phase != self._phase:
            self._since = self._monotonic()
        self._phase, self._detail = phase, printable(detail)


class PlainProgress(_Phases):
    def __init__(self, notices: Notices, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__(notices, monotonic)

    def headline(self, text: str) -> None:
        self._notices.say(text)

    def enter(self, phase: str, detail: str = "", *, aside: str = "", concluded: str = "") -> None:
        if phase != self._phase:
            self._conclude(concluded)
        if (phase, printable(detail)) != (self._phase, self._detail) and detail:
            self._notices.say(f"{DOING.get(phase, phase)}: {_together(detail, aside)}")
        self._change(phase, detail)

    def note(self, text: str) -> None:
        self._notices.say(text)

    def finish(self, detail: str = "") -> None:
        self._conclude(detail)
        self.break_off()

    def abandon(self) -> None:
        self.break_off()

    def _conclude(self, detail: str) -> None:
        if self._phase:
            text = f"{DONE.get(self._phase, self._phase)} ({duration(self._elapsed_s())})"
            self._notices.say(f"{text} {detail}" if detail else text)


class LiveProgress(_Phases):
    """A line that moves while a phase lasts and stays, with its time, when it is done."""

    def __init__(self, notices: Notices, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.spinner import Spinner

        super().__init__(notices, monotonic)
        self._console = Console(stderr=True, highlight=False)
        can_show = (self._console.encoding or "").lower().replace("-", "").startswith("utf")
        self._mark = "✔" if can_show else "*"
        self._spinner = Spinner("dots" if can_show else "line", style="cyan")
        self._live: Live | None = Live(
            console=self._console, transient=True, refresh_per_second=8, get_renderable=self._current
        )
        self._live.start()

    def headline(self, text: str) -> None:
        from rich.text import Text

        self._console.print(Text.assemble(printable(text), ("   Ctrl-C cancels", "dim")))

    def enter(self, phase: str, detail: str = "", *, aside: str = "", concluded: str = "") -> None:
        if phase != self._phase:
            self._conclude(concluded)
        self._change(phase, _together(detail, aside))
        if self._live is not None:
            self._live.refresh()

    def note(self, text: str) -> None:
        from rich.text import Text

        self._console.print(Text(f"  {printable(text)}", style="dim"))

    def finish(self, detail: str = "") -> None:
        self._stop()
        self._conclude(detail)
        self.break_off()

    def abandon(self) -> None:
        self.break_off()
        self._stop()

    def _current(self) -> Spinner:
        text = f"{DOING.get(self._phase, self._phase):<36}{duration(self._elapsed_s()):>8}   {self._detail}"
        self._spinner.update(text=text.rstrip() if self._phase else "")
        return self._spinner

    def _conclude(self, detail: str) -> None:
        from rich.text import Text

        if self._phase:
            line = f"{DONE.get(self._phase, self._phase):<20}{duration(self._elapsed_s()):>10}   {printable(detail)}"
            self._console.print(Text.assemble((self._mark, "green"), " ", line.rstrip()))

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def _together(detail: str, aside: str) -> str:
    return " · ".join(part for part in (detail, aside) if part)


def progress_on(notices: Notices) -> Progress:
    """Live only on a terminal that may be painted on."""
    return LiveProgress(notices) if may_paint(sys.stderr) else PlainProgress(notices)
