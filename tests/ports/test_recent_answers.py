"""What is remembered of a service: for how long it is fresh, for how long it stands in, and who asks."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.ports.recent_answers import RecentAnswers


class Unknown(Exception):
    pass


@pytest.fixture
def answers() -> RecentAnswers[str, int]:
    return RecentAnswers(fresh_s=30, usable_s=600, again_s=15, unknown=Unknown)


class Service:
    """Counts how often it is asked, and fails while it is away."""

    def __init__(self) -> None:
        self.asked = 0
        self.away = False

    def __call__(self) -> int:
        self.asked += 1
        if self.away:
            raise Unknown("503")
        return self.asked


def test_an_answer_is_given_again_while_it_is_fresh(answers, pass_time):
    service = Service()

    assert [answers.recall("a", service), answers.recall("a", service)] == [1, 1]
    pass_time(29.9)
    assert answers.recall("a", service) == 1
    pass_time(0.2)
    assert answers.recall("a", service) == 2
    assert answers.recall("b", service) == 3


def test_an_old_answer_stands_in_while_asking_fails_but_not_for_ever(answers, pass_time):
    service = Service()
    answers.recall("a", service)
    service.away = True

    pass_time(599)
    assert answers.recall("a", service) == 1
    assert answers.known("a") == 1
    pass_time(2)
    with pytest.raises(Unknown, match="503"):
        answers.recall("a", service)
    assert answers.known("a") is None


def test_a_failed_question_is_not_repeated_at_once(answers, pass_time):
    service = Service()
    service.away = True
    for _ in range(3):
        with pytest.raises(Unknown, match="503"):
            answers.recall("a", service)
    assert service.asked == 1

    service.away = False
    pass_time(15)
    assert answers.recall("a", service) == 2


def test_what_was_never_asked_is_not_known(answers):
    assert answers.known("a") is None


def test_an_error_of_another_kind_is_a_bug_and_is_not_swallowed(answers):
    def broken() -> int:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        answers.recall("a", broken)


def test_many_ask_at_once_and_one_question_is_put(answers):
    begun, go_on, asked = threading.Event(), threading.Event(), []

    def slow() -> int:
        asked.append(1)
        begun.set()
        assert go_on.wait(10)
        return 7

    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(answers.recall, "a", slow) for _ in range(8)]
        assert begun.wait(10)
        assert answers.known("a") is None, "known() does not wait for who asks"
        go_on.set()
        assert {found.result(10) for found in waiting} == {7}
    assert len(asked) == 1
