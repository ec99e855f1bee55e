"""Questions that wait together are answered together, and each from after it was asked."""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from registry_api.batches import MAXIMUM_BATCH, UNDER_WAY, Batches

pytestmark = pytest.mark.pure


class Oracle:
    """Answers with the square, and keeps what it was asked together."""

    def __init__(self) -> None:
        self.asked: list[Sequence[int]] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.was_asked = threading.Event()

    def answer(self, questions: Sequence[int]) -> Mapping[int, int]:
        """Return the squares once it may."""
        self.asked.append(questions)
        self.was_asked.set()
        self.may_answer.wait(5)
        if -1 in questions:
            raise LookupError("no answer")
        return {question: question**2 for question in questions}


def run(oracle: Oracle, *questions: int) -> list[int | BaseException]:
    """Ask all questions at once in a loop of their own."""

    async def ask_all() -> list[int | BaseException]:
        batches = Batches(lambda: pool, oracle.answer)
        asking = [batches.ask(question) for question in questions]
        return await asyncio.gather(*asking, return_exceptions=True)

    with ThreadPoolExecutor(UNDER_WAY) as pool:
        return asyncio.run(ask_all())


def test_questions_of_one_moment_share_a_statement() -> None:
    oracle = Oracle()
    assert run(oracle, 2, 3, 2, 4) == [4, 9, 4, 16]
    assert oracle.asked == [(2, 3, 4)]


def test_a_large_crowd_is_split() -> None:
    oracle = Oracle()
    crowd = list(range(MAXIMUM_BATCH + 5))
    assert run(oracle, *crowd) == [number**2 for number in crowd]
    assert [len(batch) for batch in oracle.asked] == [MAXIMUM_BATCH, 5]


def test_a_failure_reaches_everybody_of_its_batch_and_nobody_else() -> None:
    oracle = Oracle()
    answers = run(oracle, -1, 2)
    assert [type(answer) for answer in answers] == [LookupError, LookupError]
    assert run(oracle, 2) == [4]


def test_an_equal_question_asked_later_is_asked_anew() -> None:
    """An answer from before the question could be older than a write the client knows of."""
    oracle = Oracle()
    oracle.may_answer.clear()

    async def ask_twice() -> None:
        batches = Batches(lambda: pool, oracle.answer)
        first = asyncio.ensure_future(batches.ask(2))
        await asyncio.to_thread(oracle.was_asked.wait, 5)
        second = asyncio.ensure_future(batches.ask(2))
        await asyncio.sleep(0.01)
        oracle.may_answer.set()
        assert await asyncio.gather(first, second) == [4, 4]

    with ThreadPoolExecutor(UNDER_WAY) as pool:
        asyncio.run(ask_twice())
    assert oracle.asked == [(2,), (2,)]


def test_who_leaves_does_not_take_the_others_along() -> None:
    oracle = Oracle()
    oracle.may_answer.clear()

    async def leave_early() -> int:
        batches = Batches(lambda: pool, oracle.answer)
        leaving = asyncio.ensure_future(batches.ask(3))
        staying = asyncio.ensure_future(batches.ask(3))
        await asyncio.to_thread(oracle.was_asked.wait, 5)
        leaving.cancel()
        oracle.may_answer.set()
        return await staying

    with ThreadPoolExecutor(UNDER_WAY) as pool:
        assert asyncio.run(leave_early()) == 9


def test_a_pool_without_threads_fails_requests_and_is_asked_again() -> None:
    oracle = Oracle()
    pools = [ThreadPoolExecutor(1), ThreadPoolExecutor(1), ThreadPoolExecutor(1)]
    pools[0].shutdown()
    pools[1].shutdown()

    async def ask_three_times() -> list[int | BaseException]:
        batches = Batches(lambda: pools.pop(0), oracle.answer)
        answers: list[int | BaseException] = []
        for _ in range(3):
            answers += await asyncio.gather(batches.ask(2), return_exceptions=True)
        return answers

    with pools[2]:
        answers = asyncio.run(ask_three_times())
    assert [type(answer) for answer in answers] == [RuntimeError, RuntimeError, int]


def test_a_second_loop_begins_afresh() -> None:
    oracle = Oracle()
    with ThreadPoolExecutor(UNDER_WAY) as pool:
        batches = Batches(lambda: pool, oracle.answer)
        assert asyncio.run(batches.ask(2)) == 4
        assert asyncio.run(batches.ask(3)) == 9
