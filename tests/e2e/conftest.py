"""One running local cloud for all end-to-end tests of a worker; after each test nothing may be left over."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.e2e.command_line import CommandLine
from tests.e2e.kept import found_in, secrets_of
from tests.e2e.people import Person
from tests.e2e.running_stack import RunningStack

_next_user = count(1)
HAS_FAILED = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.stack)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[HAS_FAILED] = True
    return report


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    one = RunningStack(tmp_path_factory.mktemp("cloud") / "state")
    one.up()
    yield one
    one.cloud.down()
    assert found_in(one.state, secrets_of(one.state)) == [], "a secret was kept somewhere in the whole run"


@pytest.fixture
def stack(running: RunningStack, request: pytest.FixtureRequest) -> Iterator[RunningStack]:
    """The running stack, in order; found in order again, with nothing left over, after the test."""
    if not running.is_in_order:
        running.calm()
    running.is_in_order = False
    yield running
    running.calm()
    if request.node.stash.get(HAS_FAILED, False):
        print(running.account())
        running.sweep_away()
    try:
        running.nothing_left()
    except AssertionError:
        print(running.account())
        running.sweep_away()
        raise
    running.is_in_order = True


@pytest.fixture
def somebody(stack: RunningStack) -> Callable[[], Person]:
    """Return a developer of project `demo` whom no other test uses."""
    return lambda: stack.person(f"load-{next(_next_user)}")


@pytest.fixture
def dev(somebody: Callable[[], Person]) -> Person:
    return somebody()


@pytest.fixture
def line(stack: RunningStack, dev: Person, tmp_path: Path) -> CommandLine:
    """The command line of a developer whom no other test uses."""
    return CommandLine(stack, dev, tmp_path)
