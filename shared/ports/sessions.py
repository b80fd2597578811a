"""The rows of sessions, shells, ledger and settings, read and written with their types and keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from shared.domain import names
from shared.domain.admission import Book
from shared.domain.events import EventType
from shared.domain.governance import Governance
from shared.domain.names import ProjectId, SessionId, ShellId, UserId
from shared.domain.placement import Outlook
from shared.domain.records import LedgerRow, OpenerRow, Row, SessionRow, SettingsRow, ShellRow, WaitRow, WakeRow
from shared.domain.settings import GpuSettings
from shared.domain.states import SessionState
from shared.ports import ids
from shared.ports.book_keeping import SLICE, BookKeeper
from shared.ports.clock import elapsed_s, utc_now, wait
from shared.ports.ledger_desk import LedgerDesk
from shared.ports.outgoing import CONTROL_PLANE, bounds_facts, outbox_entry
from shared.ports.rows import know_types
from shared.ports.shell_rows import ShellRows
from shared.ports.tables import Change, Delete, Insert, StorageUnavailable, Stored, Tables, Update

CORE = "core"
REMEMBERED_SESSIONS = 10_000
RECENT_S = 2.0
RECENT_BOOK_S = 1.0
T = TypeVar("T")


class LookupRow(Row, frozen=True, kw_only=True):
    """`lookup`: which project a session belongs to. Written before an app is created, so that any app is traced."""

    project: ProjectId


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session as it was read: its row, and the wake-ups that wait for its driver."""

    session: Stored[SessionRow]
    wakes: list[Stored[WakeRow]]


class Sessions:
    """Typed access to the partition of a project. Keeps no truth, only what never changes and who is at the desk."""

    def __init__(
        self,
        tables: Tables,
        now: Callable[[], datetime] = utc_now,
        outlook: Callable[[GpuSettings], Outlook] | None = None,
        slice_: timedelta = SLICE,
    ) -> None:
        know_types()
        self.tables, self._now = tables, now
        self._books = BookKeeper(tables, now, outlook, slice_)
        self.ledgers = LedgerDesk(self._books)
        self._settings: dict[ProjectId, tuple[float, Stored[SettingsRow] | None]] = {}
        self._bounds: dict[ProjectId, Governance] = {}
        self._recent_books: dict[ProjectId, tuple[float, Book | None]] = {}
        self._projects: dict[SessionId, ProjectId] = {}
        self.shell_rows = ShellRows(tables, CORE)

    # reading

    def settings(self, project: ProjectId) -> Stored[SettingsRow] | None:
        return self.tables.read(CORE, project, names.SETTINGS_KEY, SettingsRow)

    def recent_settings(self, project: ProjectId) -> Stored[SettingsRow] | None:
        """Return the settings as they were at most two seconds ago: for answers that admission decides once more."""
        known = self._settings.get(project)
        if known is None or elapsed_s() - known[0] > RECENT_S:
            known = self._settings[project] = (elapsed_s(), self.settings(project))
        return known[1]

    def recent_policy(self, project: ProjectId) -> GpuSettings:
        """Return what the settings say, at most two seconds old: the defaults where nobody has written any."""
        stored = self.recent_settings(project)
        return stored.row.settings if stored else GpuSettings()

    def ledger(self, project: ProjectId) -> Stored[LedgerRow] | None:
        return self.tables.read(CORE, project, names.LEDGER_KEY, LedgerRow)

    def book(self, project: ProjectId) -> Book | None:
        """Return the project's ledger with its line as they stand now, None where the project has none."""
        return self._books.read(project)

    def recent_book(self, project: ProjectId) -> Book | None:
        """Return the book as it was at most a second ago: for the many who ask for their place in line."""
        known = self._recent_books.get(project)
        if known is None or elapsed_s() - known[0] > RECENT_BOOK_S:
            known = self._recent_books[project] = (elapsed_s(), self.book(project))
        return known[1]

    def opener(self, project: ProjectId, user: UserId) -> Stored[OpenerRow] | None:
        return self.tables.read(CORE, project, names.opener_key(user), OpenerRow)

    def projects_with_a_line(self) -> list[ProjectId]:
        """Return the projects in which somebody waits."""
        return [
            ProjectId(found)
            for found in dict.fromkeys(key for key, _ in self.tables.scan_all(CORE, names.WAITERS, WaitRow))
        ]

    def session(self, project: ProjectId, session: SessionId) -> Stored[SessionRow] | None:
        return self.tables.read(CORE, project, names.session_key(session), SessionRow)

    def shell(self, project: ProjectId, user: UserId, shell: ShellId) -> Stored[ShellRow] | None:
        return self.tables.read(CORE, project, names.shell_key(user, shell), ShellRow)

    def sessions(self, project: ProjectId) -> list[SessionRow]:
        return [stored.row for stored in self.tables.scan(CORE, project, names.SESSIONS, SessionRow)]

    def unsettled(self) -> list[SessionRow]:
        """Return the sessions of all projects that still need a driver."""
        found = self.tables.scan_all(CORE, names.SESSIONS, SessionRow, where=("settled", False))
        return [stored.row for _, stored in found if not stored.row.finished]

    def shells_of(self, project: ProjectId, user: UserId) -> list[ShellRow]:
        return [stored.row for stored in self.tables.scan(CORE, project, names.shells_of_user(user), ShellRow)]

    def project_of(self, session: SessionId) -> ProjectId | None:
        """Return the session's project, which never changes and is therefore remembered; None where none is known."""
        known = self._projects.get(session)
        if known is None:
            found = self.tables.read("lookup", names.lookup_partition(session), session, LookupRow)
            if found is None:
                return None
            known = self._remember(session, found.row.project)
        return known

    def _remember(self, session: SessionId, project: ProjectId) -> ProjectId:
        if len(self._projects) > REMEMBERED_SESSIONS:
            self._projects.clear()
        self._projects[session] = project
        return project

    def view(self, project: ProjectId, session: SessionId) -> SessionView | None:
        """Return the session with its wake-ups; None where there surely is none.

        A wake-up that comes between these reads changes the session's row, so a write based on this view is refused.
        """
        stored = self.session(project, session)
        if stored is None:
            return None
        wakes = self.tables.scan(CORE, project, names.wakes_of_session(session), WakeRow) if stored.row.wakes else []
        return SessionView(stored, wakes)

    def shells_in(self, session: SessionRow) -> list[Stored[ShellRow]]:
        """Return the rows of the session's shells."""
        found = [self.shell(session.project, session.user, shell) for shell in session.shells]
        return [stored for stored in found if stored is not None]

    def note_project(self, project: ProjectId, session: SessionId) -> None:
        """Record which project the session belongs to. A second call changes nothing."""
        self.tables.commit("lookup", names.lookup_partition(session), [Insert(session, LookupRow(project=project))])
        self._remember(session, project)

    # writing

    def hold_bounds(self, project: ProjectId, bounds: Governance) -> None:
        """Let the ledger go by these bounds of Dev Center's; admissions under way see them or come first.

        Whoever waits and fits into bounds that are wider than before is admitted at once.
        """
        if self._bounds.get(project) == bounds:
            return

        def attempt() -> bool | None:
            stored = self.ledger(project)
            if stored is None or stored.row.bounds == bounds:
                return False
            row = msgspec.structs.replace(stored.row, bounds=bounds, revision=stored.row.revision + 1)
            facts = {"bounds": bounds_facts(bounds), "ledgerRevision": row.revision}
            told = outbox_entry(EventType.SETTINGS_CHANGED, "gpuSettings", facts, CONTROL_PLANE, self._now())
            return self.commit(project, [Update(stored.key, row, stored.etag), told]) or None

        if until_settled(attempt):
            self.ledgers.promote(project)
        self._bounds[project] = bounds

    def commit(self, project: ProjectId, changes: Sequence[Change]) -> bool:
        """Carry out all changes in the project's partition or none; False where a row was not as it was read."""
        done = self.tables.commit(CORE, project, changes)
        if any(change.key == names.SETTINGS_KEY for change in changes):
            self._settings.pop(project, None)
        return done


def session_update(stored: Stored[SessionRow], row: SessionRow) -> Update:
    return Update(stored.key, row, stored.etag)


def taken_wakes(view: SessionView) -> list[Change]:
    """Return the removal of the wake-ups in this view: only the session's own driver does this."""
    return [Delete(wake.key, wake.etag) for wake in view.wakes]


def until_settled(attempt: Callable[[], T | None], *, budget_s: float = 8.0) -> T:
    """Repeat a read-decide-commit attempt until it returns something; None means that a row changed meanwhile.

    Raise StorageUnavailable when the rows would not stand still for `budget_s` seconds.
    """
    deadline_s, tries = elapsed_s() + budget_s, 0
    while (done := attempt()) is None:
        if elapsed_s() > deadline_s:
            raise StorageUnavailable("the rows kept changing; nothing was written")
        wait(ids.full_jitter_s(tries))
        tries += 1
    return done


def is_live(row: SessionRow) -> bool:
    return row.state is not SessionState.ENDED
