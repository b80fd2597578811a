"""Shows the opening of a shell phase by phase: live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from devboxgpu.layout import fold
from devboxgpu.notices import Notices, may_paint
from devboxgpu.title import Ring, TerminalSigns
from devboxgpu.wording import DOING, DONE, duration, printable

if TYPE_CHECKING:
    from rich.live import Live
    from rich.spinner import Spinner

MARK = 2
"""Columns of the mark before a phase."""
RING_AGAIN_S = 5.0


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
        self._changed = False

    def break_off(self) -> None:
        self._phase = ""

    def _elapsed_s(self) -> float:
        return self._monotonic() - self._since

    def _change(self, phase: str, detail: str) -> None:
        if phase != self._phase:
            self._since = self._monotonic()
        self._changed = self._changed or (phase, printable(detail)) != (self._phase, self._detail)
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

    def __init__(
        self,
        notices: Notices,
        signs: TerminalSigns | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.spinner import Spinner

        super().__init__(notices, monotonic)
        self._console = Console(stderr=True, highlight=False)
        self._signs = None if self._console.legacy_windows else signs
        self._signed_at = float("-inf")
        can_show = (self._console.encoding or "").lower().replace("-", "").startswith("utf")
        self._mark = "✔" if can_show else "*"
        self._spinner = Spinner("dots" if can_show else "line", style="cyan")
        self._live: Live | None = Live(
            console=self._console, transient=True, refresh_per_second=8, get_renderable=self._current
        )
        self._live.start()

    def headline(self, text: str) -> None:
        from rich.text import Text

        room = self._console.width - len(text)
        hint = "Ctrl-C cancels"
        self._console.print(
            Text.assemble(printable(text), ("   " if room >= len(hint) + 3 else "\n", ""), (hint, "dim"))
        )

    def enter(self, phase: str, detail: str = "", *, aside: str = "", concluded: str = "") -> None:
        if phase != self._phase:
            self._conclude(concluded)
        self._change(phase, _together(detail, aside))
        if self._live is not None:
            self._live.refresh()
        self._sign(phase, detail)

    def _sign(self, phase: str, detail: str) -> None:
        """Title and ring; again after a while, because some terminals let go of a ring that they do not hear of."""
        now = self._monotonic()
        if self._signs is not None and (self._changed or now - self._signed_at >= RING_AGAIN_S):
            self._signed_at, self._changed = now, False
            self._signs.ring(Ring.BUSY)
            self._signs.title(_together(DOING.get(phase, phase), detail))

    def note(self, text: str) -> None:
        from rich.text import Text

        lines = fold(printable(text), self._console.width - MARK)
        self._console.print(Text("\n".join(f"  {line}" for line in lines), style="dim"))

    def finish(self, detail: str = "") -> None:
        self._stop()
        self._conclude(detail)
        self.break_off()

    def abandon(self) -> None:
        self.break_off()
        self._stop()

    def _current(self) -> Spinner:
        doing, elapsed = DOING.get(self._phase, self._phase), duration(self._elapsed_s())
        self._spinner.update(text=self._laid_out(doing, 36, elapsed, 8) if self._phase else "")
        return self._spinner

    def _laid_out(self, said: str, said_width: int, elapsed: str, elapsed_width: int, detail: str | None = None) -> str:
        """In columns where they fit; else one below the other, as narrow as it takes."""
        detail = self._detail if detail is None else detail
        wide = f"{said:<{said_width}}{elapsed:>{elapsed_width}}   {detail}".rstrip()
        if len(wide) + MARK <= self._console.width:
            return wide
        width = self._console.width - MARK
        return "\n".join([*fold(f"{said} {elapsed}", width), *fold(detail, width)])

    def _conclude(self, detail: str) -> None:
        from rich.text import Text

        if self._phase:
            said = DONE.get(self._phase, self._phase)
            line = self._laid_out(said, 20, duration(self._elapsed_s()), 10, printable(detail))
            self._console.print(Text.assemble((self._mark, "green"), " ", line.replace("\n", "\n  ")))

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        if self._signs is not None:
            self._signs.ring(Ring.OFF)


def _together(detail: str, aside: str) -> str:
    return " · ".join(part for part in (detail, aside) if part)


def progress_on(notices: Notices, signs: TerminalSigns | None = None) -> Progress:
    """Live only on a terminal that may be painted on."""
    return LiveProgress(notices, signs) if may_paint(sys.stderr) else PlainProgress(notices)
