"""Many requests, one statement.

Requests that arrive while a look-up is under way wait for the next one and share it: equal
questions become one, and all of them cost a single round trip to the database. Nothing is
remembered between two of them, so every request is answered from what the database held after
it had arrived.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Final, Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")

MAXIMUM_BATCH: Final = 128
"""How many different questions one statement answers."""

UNDER_WAY: Final = 2
"""How many statements are under way at once: one is being prepared while one is answered."""


class Batches(Generic[Question, Answer]):
    """Questions of one event loop, answered together by a function that blocks."""

    def __init__(
        self,
        executor: Callable[[], Executor],
        answer: Callable[[Sequence[Question]], Mapping[Question, Answer]],
    ) -> None:
        """Take where to run ``answer``, which returns an answer for every question."""
        self._executor = executor
        self._answer = answer
        self._loop: asyncio.AbstractEventLoop | None = None

    def _belong_to(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin afresh: a process has one loop, but a test may run one after another."""
        self._loop = loop
        self._waiting: dict[Question, list[asyncio.Future[Answer]]] = {}
        self._under_way = 0
        self._is_scheduled = False

    async def ask(self, question: Question) -> Answer:
        """Return the answer. Raises whatever the function raises for the whole batch."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._belong_to(loop)
        waiter: asyncio.Future[Answer] = loop.create_future()
        self._waiting.setdefault(question, []).append(waiter)
        if not self._is_scheduled and self._under_way < UNDER_WAY:
            # Whatever else becomes ready in this turn of the loop comes along.
            self._is_scheduled = True
            loop.call_soon(self._begin)
        return await waiter

    def _begin(self) -> None:
        self._is_scheduled = False
        if not self._waiting:
            return
        taken, self._waiting = self._take()
        loop = asyncio.get_running_loop()
        try:
            future = loop.run_in_executor(self._executor(), self._answer, tuple(taken))
        except RuntimeError as error:
            # No thread can be started, or the process is about to end.
            _fail(taken, error)
            return
        self._under_way += 1
        future.add_done_callback(lambda done: self._end(taken, done))

    def _take(
        self,
    ) -> tuple[
        dict[Question, list["asyncio.Future[Answer]"]],
        dict[Question, list["asyncio.Future[Answer]"]],
    ]:
        if len(self._waiting) <= MAXIMUM_BATCH:
            return self._waiting, {}
        items = list(self._waiting.items())
        return dict(items[:MAXIMUM_BATCH]), dict(items[MAXIMUM_BATCH:])

    def _end(
        self,
        taken: dict[Question, list["asyncio.Future[Answer]"]],
        done: "asyncio.Future[Mapping[Question, Answer]]",
    ) -> None:
        self._under_way -= 1
        failure = asyncio.CancelledError() if done.cancelled() else done.exception()
        if failure is not None:
            _fail(taken, failure)
        else:
            answers = done.result()
            for question, waiters in taken.items():
                for waiter in waiters:
                    if not waiter.done():
                        waiter.set_result(answers[question])
        if self._waiting and not self._is_scheduled:
            self._begin()


def _fail(
    taken: Mapping[Question, Sequence["asyncio.Future[Answer]"]], failure: BaseException
) -> None:
    for waiters in taken.values():
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(failure)
