"""Admission, the line and everything that changes the ledger, in any order, with a crash at any write.

After every rule the tables and Azure are looked at, never what was answered; at the end all that the audit holds is
replayed (fair_order.py). DEVBOXGPU_EXAMPLES plays so many games instead of the few that every test run has time for.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shared.domain.admission import promotions
from shared.domain.governance import Governance
from shared.domain.pricing import SHAPES, GpuType
from shared.domain.records import SessionRow
from shared.domain.states import EndReason, SessionState
from shared.ports.environments import EnvironmentFacts
from tests.control_plane.by_hand import DEMO, ByHand, Crash
from tests.control_plane.fakes import ROOMY, USERS

NAMES = ("alice", "bob", "carol", "dave", "erin")
STATES = list(SessionState)
EXAMPLES = int(os.environ.get("DEVBOXGPU_EXAMPLES", "60"))

crashes = st.one_of(st.none(), st.none(), st.none(), st.tuples(st.integers(1, 4), st.sampled_from(["before", "after"])))
which = st.integers(0, 999)
bodies = st.fixed_dictionaries(
    {"wait": st.sampled_from([True, True, True, False])},
    optional={"gpuType": st.sampled_from(["T4", "A100"]), "waitTimeoutSeconds": st.sampled_from([60, 900, 3600])},
)
small = st.integers(1, 3)
changes = st.one_of(
    st.builds(lambda cap: {"serverlessGpuSessionsSettings": {"maxConcurrentSessionsPerProject": cap}}, small),
    st.builds(lambda mode: {"serverlessGpuSessionsSettings": {"serverlessGpuSessionsMode": mode}},
              st.sampled_from(["AutoDeploy", "AutoDeploy", "Disabled"])),
    st.builds(lambda own: {"maxConcurrentSessionsPerUser": own}, small),
    st.builds(lambda t4, a100: {"gpuTypes": [{"type": "T4", "maxConcurrent": t4},
                                            {"type": "A100", "maxConcurrent": a100, "fallback": True}]},
              st.integers(0, 3), st.integers(0, 2)),
    st.just({"gpuTypes": None}),
    st.builds(lambda length, fairness: {"line": {"maxLength": length, "fairness": fairness}},
              st.sampled_from([2, 6, 50]), st.sampled_from(["fifo", "fairShare"])),
    st.builds(lambda half, entry: {"line": {"halfLifeMinutes": half, "entryPenaltyMinutes": entry}},
              st.sampled_from([10, 1440]), st.sampled_from([0, 10, 60])),
    st.builds(lambda budget: {"budget": budget},
              st.sampled_from([None, {"monthlyAmount": "0.50", "hardStop": True}])),
    st.builds(lambda sharing: {"shellSharing": sharing},
              st.sampled_from(["dedicated", "dedicated", "shared", "dedicatedThenShared"])),
)  # fmt: skip


class Project(RuleBasedStateMachine):
    """A project whose users, administrators, drivers, clocks and crashes take turns."""

    def __init__(self) -> None:
        super().__init__()
        self.one = ByHand()
        self.one.entitlement.boxes |= {("demo", USERS[name]) for name in NAMES}
        self.one.azure.system_log = "The operation expired: no capacity"
        self.opened: dict[tuple[str, str], dict[str, object]] = {}
        self.session_of: dict[tuple[str, str], str] = {}
        self.undone: Callable[[], object] | None = None
        self.owed = False
        self.held: dict[str, SessionRow] = {}
        self.counted: Counter[str] = Counter()
        self.states: dict[str, SessionState] = {}

    @initialize(
        cap=small,
        own=small,
        falls_back=st.booleans(),
        crowd=st.lists(st.tuples(st.sampled_from(NAMES), bodies), min_size=3, max_size=9),
    )
    def enable(self, cap: int, own: int, falls_back: bool, crowd: list[tuple[str, dict[str, object]]]) -> None:
        types = [{"type": "T4"}, {"type": "A100", "fallback": True}] if falls_back else [{"type": "T4"}]
        self.one.settings(cap=cap, per_user=own, gpuTypes=types)
        for number, (name, body) in enumerate(crowd):
            self._open(name, number, body, None)

    def do(self, act: Callable[[], object], crash: Crash | None) -> bool:
        """Do it, perhaps with a crash in it, and note whether places may be owed to those who wait."""
        before = self.revision()
        if lived := self.one.attempt(act, crash):
            self.owed &= self.revision() == before
        else:
            self.owed, self.undone = True, act
        return lived

    def revision(self) -> int:
        return self.one.world.sessions.ledger(DEMO).row.revision

    # users

    @rule(name=st.sampled_from(NAMES), number=st.integers(0, 5), body=bodies, crash=crashes)
    def open(self, name: str, number: int, body: dict[str, object], crash: Crash | None) -> None:
        self._open(name, number, body, crash)

    @rule(names=st.lists(st.sampled_from(NAMES), min_size=2, max_size=5), body=bodies, crash=crashes)
    def many_open(self, names: list[str], body: dict[str, object], crash: Crash | None) -> None:
        for name in names:
            self._open(name, 6 + len(self.opened), {**body, "wait": True}, crash)
            self.check()

    def _open(self, name: str, number: int, body: dict[str, object], crash: Crash | None) -> None:
        """Open a shell; under an id that is known, ask again for the same."""
        shell = (name, f"shell-{number}x")
        known, body = shell in self.opened, self.opened.get(shell, body)
        told: list[int] = []
        lived = self.do(lambda: told.append(self.one.call(name, "OpenShell", body, shell=shell[1])[0]), crash)
        assert not (known and lived) or told[-1] == 200, f"I9: the same request was answered with {told[-1]}"
        if self.one.world.sessions.shell(DEMO, USERS[name], shell[1]) is not None:
            self.opened[shell] = body

    @precondition(lambda self: self.opened)
    @rule(index=which)
    def open_with_another_body(self, index: int) -> None:
        (name, shell), body = pick(list(self.opened.items()), index)
        status, answer = self.one.call(name, "OpenShell", {**body, "sessionName": "other"}, shell=shell)
        assert (status, answer.error.code) == (409, "ShellExists"), "I9: an id was used for another request"

    @precondition(lambda self: self.opened)
    @rule(
        index=which, how=st.sampled_from(["close", "stop", "stop as administrator"]), held=st.booleans(), crash=crashes
    )
    def leave(self, index: int, how: str, held: bool, crash: Crash | None) -> None:
        """Somebody's shell is closed or session stopped; with `held`, of one that has a GPU, where there is one."""
        holders = [one for one in self.opened if self.session_of[one] in self.held] if held else []
        owner = pick(holders or self._in_use(), index)
        who = "olga" if "administrator" in how else owner[0]
        if how == "close":
            self.do(lambda: self.one.call(who, "CloseShell", shell=owner[1]), crash)
        else:
            self.do(lambda: self.one.call(who, "StopSession", {}, session=self.session_of[owner]), crash)

    @precondition(lambda self: self.opened)
    @rule(index=which, crash=crashes)
    def renew(self, index: int, crash: Crash | None) -> None:
        name, shell = pick(list(self.opened), index)
        self.do(lambda: self.one.call(name, "RenewLease", {"activeSecondsAgo": 0}, shell=shell), crash)

    def _in_use(self) -> list[tuple[str, str]]:
        """Return the shells of sessions that have not ended, all of them where there are none."""
        alive = [one for one in self.opened if self.states.get(self.session_of[one]) is not SessionState.ENDED]
        return alive or list(self.opened)

    # administrators

    @rule(change=changes, stop=st.booleans(), crash=crashes)
    def change_settings(self, change: dict[str, object], stop: bool, crash: Crash | None) -> None:
        disables = "Disabled" in str(change)
        query = {"runningSessions": "stop"} if disables and stop else {}
        asked = {"headers": {"if-match": "*"}, "query": query}
        self.do(lambda: self.one.call("olga", "UpdateSettings", change, **asked), crash)

    # time, drivers, Azure

    @rule(
        seconds=st.sampled_from([1, 5, 30, 100, 100, 300, 1800, 6 * 3600, 40 * 3600]),
        leases=st.sampled_from([True, True, False]),
    )
    def time_passes(self, seconds: int, leases: bool) -> None:
        """Let time pass; with `leases`, to those who renew theirs meanwhile."""
        month, left = self.one.at.month, seconds
        while left > 0:
            step = max(100, left // 20) if leases else left
            self.one.pass_time(min(step, left))
            left -= step
            for name, shell in self._in_use() if leases and self.opened else ():
                self.one.call(name, "RenewLease", {"activeSecondsAgo": 0}, shell=shell)
        self.owed |= self.one.at.month != month  # a new month's budget is found by the next write, or the next round

    @precondition(lambda self: self.one.live_hands())
    @rule(index=which, times=st.integers(1, 8), crash=crashes)
    def drive(self, index: int, times: int, crash: Crash | None) -> None:
        hand = pick(self.one.live_hands(), index)
        for _ in range(times):
            self.do(lambda: None if hand.over else self.one.step(hand), crash)
            self.check()

    @precondition(lambda self: self.one.live_hands())
    @rule(rounds=st.integers(1, 6), seconds=st.sampled_from([2, 10, 30]), crash=crashes)
    def drivers_of_gpus_work(self, rounds: int, seconds: int, crash: Crash | None) -> None:
        for _ in range(rounds):
            for hand in self.one.live_hands():
                if hand.drive.session in self.held:
                    self.do(lambda hand=hand: self.one.step(hand), crash)
                    self.check()
            self.one.pass_time(seconds)

    @precondition(lambda self: self.one.hands)
    @rule(index=which, crash=crashes)
    def adopt(self, index: int, crash: Crash | None) -> None:
        drive = pick(self.one.hands, index).drive
        self.do(lambda: self.one.adopt(drive), crash)

    @rule(crash=crashes)
    def keep_house(self, crash: Crash | None) -> None:
        if self.do(self.one.keep_house, crash):
            self.owed = False

    @precondition(lambda self: self.undone)
    @rule()
    def do_again_what_died(self) -> None:
        act, self.undone = self.undone, None
        self.do(act, None)

    @rule(
        short=st.sampled_from(["nothing", "westus3", "gpu-t4", "gpu-t4", "gpu"]),
        quota=st.sampled_from([None, None, (0, 0), (1, 0), (1, 1)]),
        bound=st.sampled_from([None, None, 1, 2]),
    )
    def azure_is(self, short: str, quota: tuple[int, int] | None, bound: int | None) -> None:
        """No GPU comes in this region, or of this profile; so much quota is left; Dev Center allows so many."""
        one = self.one
        places = itertools.product(one.world.settings.environments, (SHAPES[gpu_type].profile for gpu_type in GpuType))
        one.azure.no_gpu_in = frozenset(place for place in places if short in "/".join(place))
        free = dict(zip(GpuType, quota, strict=True)) if quota else ROOMY.free
        for environment in one.world.settings.environments.values():
            one.environments.by_id[environment] = EnvironmentFacts(has_virtual_network=False, free=free)
            one.environments.facts(environment)
        one.governance.told["demo"] = Governance(max_concurrent=bound)
        self.owed = True

    # what holds after each of them

    @invariant()
    def check(self) -> None:
        one = self.one
        ledger = one.world.sessions.ledger(DEMO)
        if ledger is None:
            return
        rows = {row.session: row for row in one.tables.rows("core", "s-", SessionRow)}
        one.highest_cap = 1000  # held more narrowly below
        one.check_invariants()
        self._check_caps(ledger.row, {session: row for session, row in rows.items() if row.holds})
        self._check_ids(rows)
        if not self.owed:
            self._check_use_of_places(rows)

    def _check_caps(self, ledger, held: dict[str, SessionRow]) -> None:
        """I1: what counts more than before is within the caps. I15: under a disabled project nothing begins."""
        counted: Counter[str] = Counter()
        caps = {"all": ledger.held_settings.project_cap}
        for row in held.values():
            counted.update(["all", row.gpu_type, row.user])
            caps[row.gpu_type] = ledger.held_settings.cap_of_type(row.gpu_type) or 0
            caps[row.user] = ledger.held_settings.max_concurrent_sessions_per_user
        for what, count in counted.items():
            assert count <= max(caps[what], self.counted[what]), f"I1: {count} of {what}, {caps[what]} allowed"
        if not ledger.held_settings.enabled:
            assert set(held) <= set(self.held), "I15: admitted under a disabled project"
        self.held, self.counted = held, counted

    def _check_ids(self, rows: dict[str, SessionRow]) -> None:
        """I9: a shell is in one session, and stays there. I10: no state comes again."""
        names = {user: name for name, user in USERS.items()}
        for row in rows.values():
            for shell in row.shells:
                known = self.session_of.setdefault((names[row.user], shell), row.session)
                assert known == row.session, "I9: a shell changed its session"
        for row in rows.values():
            before = self.states.get(row.session, row.state)
            assert STATES.index(before) <= STATES.index(row.state), f"I10: {row.state} after {before}"
            self.states[row.session] = row.state
            assert row.end_reason is not EndReason.APP_LOST, "an app was given up that nobody deleted"

    def _check_use_of_places(self, rows: dict[str, SessionRow]) -> None:
        """I22: who waits beside a free place has been told to end."""
        book = self.one.world.sessions.book(DEMO)
        _, grants = promotions(book, usable=lambda waiter: rows[waiter.session].stop_reason is None)
        assert not grants, f"I22: {grants[0].waiter.session} waits beside a free place"

    def teardown(self) -> None:
        """With all faults gone everything comes to its end, and all that happened was fair."""
        try:
            if self.one.world.sessions.ledger(DEMO) is not None:
                self.azure_is("nothing", None, None)
                self.one.drive_to_the_end()
                self.one.keep_house()
                self.one.check_nothing_left()
                assert not self.one.world.sessions.ledger(DEMO).row.waiting
        finally:
            self.one.close()


def pick(those: list, index: int):
    return those[index % len(those)]


Project.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=40,
    derandomize="DEVBOXGPU_EXAMPLES" not in os.environ,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TestProject = Project.TestCase
TestProject.pytestmark = [pytest.mark.timeout(3600)]
