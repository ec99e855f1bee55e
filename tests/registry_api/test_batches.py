"""Questions that wait together are answered together, and each from after it was asked."""

import asyncio
from collections.abc import Sequence

import pytest

from registry_api.batches import MAXIMUM_BATCH, Batches

pytestmark = pytest.mark.pure


class Oracle:
    """Answers with the square once it may, and keeps what it was asked together."""

    def __init__(self) -> None:
        self.asked: list[Sequence[int]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.was_asked = asyncio.Event()

    async def answer(self, questions: Sequence[int]) -> Sequence[int]:
        """Return the squares."""
        self.asked.append(questions)
        self.was_asked.set()
        await asyncio.sleep(0)
        await self.may_answer.wait()
        if -1 in questions:
            raise LookupError("no answer")
        return [question**2 for question in questions]


def run(oracle: Oracle, *questions: int) -> list[int | BaseException]:
    """Ask all questions at once in a loop of their own."""

    async def ask_all() -> list[int | BaseException]:
        batches = Batches(oracle.answer)
        asking = [batches.ask(question) for question in questions]
        return await asyncio.gather(*asking, return_exceptions=True)

    return asyncio.run(ask_all())


def test_questions_of_one_moment_share_a_statement() -> None:
    oracle = Oracle()
    assert run(oracle, 5, 2, 3, 2, 4) == [25, 4, 9, 4, 16]
    # The first does not know that others will come.
    assert oracle.asked == [(5,), (2, 3, 4)]


def test_in_a_crowd_the_first_waits_for_the_others() -> None:
    oracle = Oracle()

    async def ask_twice() -> None:
        batches = Batches(oracle.answer)
        for _ in range(2):
            await asyncio.gather(*[batches.ask(question) for question in (1, 2, 3)])
        await batches.ask(4)
        await batches.ask(5)
        await asyncio.gather(*[batches.ask(question) for question in (6, 7)])

    asyncio.run(ask_twice())
    assert oracle.asked == [(1,), (2, 3), (1, 2, 3), (4,), (5,), (6,), (7,)]


def test_a_large_crowd_is_split() -> None:
    oracle = Oracle()
    crowd = list(range(1 + MAXIMUM_BATCH + 5))
    assert run(oracle, *crowd) == [number**2 for number in crowd]
    assert [len(batch) for batch in oracle.asked] == [1, MAXIMUM_BATCH, 5]


def test_a_failure_reaches_everybody_of_its_batch_and_nobody_else() -> None:
    oracle = Oracle()
    answers = run(oracle, 1, -1, 2)
    assert [type(answer) for answer in answers] == [int, LookupError, LookupError]
    answers = run(oracle, -1, 2)
    assert [type(answer) for answer in answers] == [LookupError, int]


def test_an_equal_question_asked_later_is_asked_anew() -> None:
    """An answer from before the question could be older than a write the client knows of."""
    oracle = Oracle()
    oracle.may_answer.clear()

    async def ask_twice() -> None:
        batches = Batches(oracle.answer)
        first = asyncio.ensure_future(batches.ask(2))
        await oracle.was_asked.wait()
        second = asyncio.ensure_future(batches.ask(2))
        await asyncio.sleep(0.01)
        oracle.may_answer.set()
        assert await asyncio.gather(first, second) == [4, 4]

    asyncio.run(ask_twice())
    assert oracle.asked == [(2,), (2,)]


def test_who_comes_while_all_are_under_way_waits_for_one_statement() -> None:
    oracle = Oracle()
    oracle.may_answer.clear()

    async def ask_in_turn() -> None:
        batches = Batches(oracle.answer)
        asking = []
        for question in range(6):
            asking.append(asyncio.ensure_future(batches.ask(question)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        oracle.may_answer.set()
        assert await asyncio.gather(*asking) == [0, 1, 4, 9, 16, 25]

    asyncio.run(ask_in_turn())
    assert oracle.asked == [(0,), (1,), (2, 3, 4, 5)]


def test_who_asks_as_the_last_answers_are_given_is_answered() -> None:
    oracle = Oracle()
    oracle.may_answer.clear()

    async def ask_again() -> None:
        batches = Batches(oracle.answer)

        async def ask_twice() -> int:
            assert await batches.ask(1) == 1
            return await batches.ask(3)

        asking = [asyncio.ensure_future(ask_twice())]
        await oracle.was_asked.wait()
        asking.append(asyncio.ensure_future(batches.ask(2)))
        await asyncio.sleep(0.01)
        assert oracle.asked == [(1,), (2,)]
        oracle.may_answer.set()
        assert await asyncio.wait_for(asyncio.gather(*asking), 5) == [9, 4]

    asyncio.run(ask_again())


def test_who_leaves_does_not_take_the_others_along() -> None:
    oracle = Oracle()
    oracle.may_answer.clear()

    async def leave_early() -> int:
        batches = Batches(oracle.answer)
        leaving = asyncio.ensure_future(batches.ask(3))
        staying = asyncio.ensure_future(batches.ask(3))
        await oracle.was_asked.wait()
        leaving.cancel()
        oracle.may_answer.set()
        return await staying

    assert asyncio.run(leave_early()) == 9


def test_a_second_loop_begins_afresh() -> None:
    oracle = Oracle()
    batches = Batches(oracle.answer)
    assert asyncio.run(batches.ask(2)) == 4
    assert asyncio.run(batches.ask(3)) == 9
