"""The matrix of docs/security.md, cell by cell: every operation of api/operations.py by every kind of caller, with
tokens that are really signed and really checked, against a running session of a member of project `demo`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from api.operations import OPERATIONS
from scripts.access_matrix import NOT_SIGNED_IN, SHOWS_OWN_ONLY, Cell, Kind, cell, own_name_cell
from shared.domain.access import Caller
from shared.domain.names import UserId
from shared.domain.states import SessionState
from tests.control_plane.by_hand import ByHand
from tests.control_plane.fakes import USERS
from tests.signing import OTHER_TENANT, TENANT, Issuer, claims, signed

FRANK, GINA = "f1000000-0000-4000-8000-000000000007", "f2000000-0000-4000-8000-000000000008"
PEOPLE = {
    Kind.NO_DEV_BOX: {"oid": USERS["dave"]},
    Kind.OTHER_ADMIN: {"oid": FRANK},
    Kind.OTHER_MEMBER: {"oid": USERS["bob"]},
    Kind.OWNER: {"oid": USERS["alice"]},
    Kind.ADMIN: {"oid": USERS["carol"]},
    Kind.GPU_ADMIN: {"oid": GINA, "roles": ["Gpu.Admin"]},
    Kind.OPERATOR: {"oid": USERS["olga"], "roles": ["Gpu.Operator"]},
    Kind.OTHER_TENANT: {
        "oid": USERS["olga"],
        "roles": ["Gpu.Operator"],
        "tid": OTHER_TENANT,
        "iss": f"https://login.example/{OTHER_TENANT}/v2.0",
    },
    Kind.EVENT_SENDER: {"oid": USERS["olga"], "roles": ["Gpu.Operator"], "scp": ..., "idtyp": "app"},
}
REQUESTS: dict[str, dict[str, Any]] = {
    "OpenShell": {"body": {}},
    "RenewLease": {"body": {"activeSecondsAgo": 0}},
    "StopSession": {"body": {}},
    "ExtendSession": {"body": {"minutes": 30}},
    "ReplaceSettings": {"body": {}, "headers": {"if-match": "*"}},
    "UpdateSettings": {"body": {}, "headers": {"if-match": "*"}},
    "ReplayPolicy": {"body": {}},
}
"""What an operation needs besides its path. Those that need nothing are not named."""
ABSENT = {"session": "a" * 26, "shell": "shell-of-nobody", "operation": f"open-{'a' * 26}"}
CELLS = list(itertools.product([operation.name for operation in OPERATIONS], Kind))
BY_NAME = {operation.name: operation for operation in OPERATIONS}


class World(ByHand):
    """One process with a running session of Alice's, a second one of Bob's, and real tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.settings(cap=4, per_user=2)
        self.entitlement.boxes |= {("other", FRANK), ("other", GINA)}
        self.entitlement.administrators |= {("other", FRANK)}
        self.alices = self.drive(self.open("alice", "shell-alice").session, SessionState.RUNNING)
        self.bobs = self.drive(self.open("bob", "shell-bobby").session, SessionState.RUNNING)
        issuer = Issuer("key-1")
        self.world = replace(self.world, tokens=issuer.validator(tenants=frozenset({TENANT})))
        self.parts = {
            "project": "demo",
            "user": USERS["alice"],
            "shell": "shell-alice",
            "session": self.alices.session,
            "operation": f"open-{self.alices.session}",
        }

    def ask(self, name: str, kind: Kind, **parts: str) -> tuple[int, Any]:
        """Call an operation on what is Alice's, or on these other parts; return status and body as JSON."""
        token = signed(claims(**PEOPLE[kind])) if kind in PEOPLE else None
        given = {part: text for part, text in {**self.parts, **parts}.items() if f"{{{part}}}" in BY_NAME[name].route}
        more = dict(REQUESTS.get(name, {}))
        status, body = self.call(token, name, more.pop("body", None), **more, **given)
        return status, msgspec.to_builtins(body) if isinstance(body, msgspec.Struct) else body

    def written(self) -> tuple[int, int, list[str]]:
        return self.tables.commits, self.azure.puts, self.azure.there()


@pytest.fixture
def one() -> Iterator[World]:
    world = World()
    yield world
    world.close()


@pytest.mark.parametrize(("name", "kind"), CELLS, ids=lambda value: str(value).strip("`"))
def test_the_cell_is_what_the_matrix_says(one, name, kind):
    operation, before = BY_NAME[name], one.written()

    status, body = one.ask(name, kind)

    match cell(operation, kind):
        case Cell.YES | Cell.OWN as told:
            assert status in operation.answers, body
            if told is Cell.OWN:
                assert_only_own(one, name, body, kind)
        case refused:
            assert str(status) == refused, body
            assert one.written() == before
            assert_tells_nothing(one, body)


def assert_only_own(one: World, name: str, body: Any, kind: Kind) -> None:
    """What is the caller's own, and no more."""
    if name == "ListProjects":
        own = {Kind.OTHER_ADMIN: ["other"], Kind.NO_DEV_BOX: []}.get(kind, ["demo"])
        assert [project["id"] for project in body["value"]] == own
        return
    session = {Kind.OWNER: one.alices, Kind.OTHER_MEMBER: one.bobs}[kind].session
    if name == "ListSessions":
        assert [row["id"] for row in body["value"]] == [session]
    else:
        everything = one.ask(name, Kind.ADMIN)[1]["totals"]
        assert (body["totals"]["sessions"], everything["sessions"]) == (1, 2)


def assert_tells_nothing(one: World, body: Any) -> None:
    assert not any(text in str(body) for text in (one.alices.session, USERS["alice"], "canary", "alice@"))


ABSENCES = [
    (name, kind, part)
    for name, kind in CELLS
    for part in ABSENT
    if f"{{{part}}}" in BY_NAME[name].route and cell(BY_NAME[name], kind) is Cell.NOT_FOUND
]


@pytest.mark.parametrize(("name", "kind", "part"), ABSENCES, ids=lambda value: str(value).strip("`"))
def test_what_is_anothers_answers_to_the_letter_as_what_does_not_exist(one, name, kind, part):
    assert one.ask(name, kind) == one.ask(name, kind, **{part: ABSENT[part]})


WITH_PROJECT = [operation.name for operation in OPERATIONS if "{project}" in operation.route]


@pytest.mark.parametrize("name", WITH_PROJECT)
def test_a_project_that_is_not_ones_own_answers_to_the_letter_as_one_that_does_not_exist(one, name):
    for kind in (Kind.NO_DEV_BOX, Kind.OTHER_ADMIN):
        assert one.ask(name, kind) == one.ask(name, kind, project="there-is-none")


REACHING = [name for name in WITH_PROJECT if "{session}" in BY_NAME[name].route or "{operation}" in BY_NAME[name].route]


@pytest.mark.parametrize("name", REACHING)
def test_an_administrator_of_another_project_reaches_nothing_through_that_one(one, name):
    before = one.written()

    status, body = one.ask(name, Kind.OTHER_ADMIN, project="other")

    assert status == 404
    assert_tells_nothing(one, body)
    assert one.written() == before


@pytest.mark.parametrize("kind", Kind, ids=lambda value: str(value).strip("`"))
def test_who_opens_a_shell_in_ones_own_name_is_a_member(one, kind):
    before = one.written()

    status, _ = one.ask("OpenShell", kind, user="me", shell="shell-of-mine")

    expected = own_name_cell(kind)
    assert status == (201 if expected is Cell.YES else int(expected))
    assert (one.written() == before) is (expected is not Cell.YES)


def test_every_kind_of_caller_that_signs_in_has_a_token_of_its_own():
    assert set(PEOPLE) == set(Kind) - {Kind.ANONYMOUS}
    assert set(NOT_SIGNED_IN) < set(Kind)
    assert set(BY_NAME) >= set(REQUESTS) | SHOWS_OWN_ONLY


def anybody(told, **_: Any) -> Caller:
    """Believe whatever a signed token says."""
    return Caller(user=UserId(told["oid"]), tenant=told["tid"], name="x", roles=frozenset(told.get("roles") or ()))


@pytest.mark.parametrize(
    ("place", "wrong", "name", "kind"),
    [
        ("api.rights.may", lambda *_: True, "GetShell", Kind.OTHER_MEMBER),
        ("api.rights.may", lambda *_: True, "ConnectShell", Kind.OPERATOR),
        ("api.rights.may", lambda *_: True, "SweepProject", Kind.ADMIN),
        ("api.serve.administers", lambda *_: True, "ListActivity", Kind.NO_DEV_BOX),
        ("api.serve.administers", lambda *_: True, "GetSession", Kind.OTHER_MEMBER),
        ("api.serve.administers", lambda *_: True, "ListSessions", Kind.OTHER_MEMBER),
        ("shared.ports.tokens.caller_of_token", anybody, "GetProject", Kind.EVENT_SENDER),
    ],
)
def test_a_rule_that_is_planted_wrong_is_found(one, monkeypatch, place, wrong, name, kind):
    test_the_cell_is_what_the_matrix_says(one, name, kind)
    monkeypatch.setattr(place, wrong)

    with pytest.raises(AssertionError):
        test_the_cell_is_what_the_matrix_says(one, name, kind)
