"""Many requests, one statement.

Requests that arrive while a look-up is under way wait for the next one and share it: equal
questions become one, and all of them cost a single round trip to the database. Nothing is
remembered between two of them, so every request is answered from what the database held after
it had arrived.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Generic, TypeVar

from registry_api.awake import Awake

Question = TypeVar("Question")
Answer = TypeVar("Answer")
Waiting = dict[Question, list[asyncio.Future[Answer]]]

MAXIMUM_BATCH: Final = 128
"""How many different questions one statement answers."""

UNDER_WAY: Final = 2
"""How many statements are under way at once: one is being prepared while one is answered."""


class Batches(Generic[Question, Answer]):
    """Questions of one event loop, answered together.

    Add a kind of look-up by describing it (``core.database.prepared.Lookup``) and asking it
    through the connections that all of them share (``registry_api.lookups``)::

        _SIZES = Batches(partial(SIZES.ask, CONNECTIONS))
        size = await _SIZES.ask(SizeQuestion(digest))
    """

    def __init__(
        self, answer: Callable[[Sequence[Question]], Coroutine[Any, Any, Sequence[Answer]]]
    ) -> None:
        """Take the function that returns an answer for every question, in their order."""
        self._answer = answer
        self._loop: asyncio.AbstractEventLoop | None = None

    def _belong_to(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin afresh: a process has one loop, but a test may run one after another."""
        self._loop = loop
        self._waiting: Waiting[Question, Answer] = {}
        self._under_way = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_scheduled = False
        self._is_crowded = False
        self._awake = Awake()

    async def ask(self, question: Question) -> Answer:
        """Return the answer. Raises whatever the function raises for the whole batch."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._belong_to(loop)
        if not self._under_way and not self._is_crowded:
            return await self._ask_alone(question)
        waiter: asyncio.Future[Answer] = loop.create_future()
        self._waiting.setdefault(question, []).append(waiter)
        if not self._is_scheduled and self._under_way < UNDER_WAY:
            # Whatever else becomes ready in this turn of the loop comes along. A task of its own:
            # a request that leaves does not take the others along.
            self._is_scheduled = True
            self._under_way += 1
            task = loop.create_task(self._answer_waiting())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await waiter

    async def _ask_alone(self, question: Question) -> Answer:
        """Ask at once, in the task of the request: with nobody to share with, waiting is lost."""
        self._under_way += 1
        try:
            [answer] = await self._answer_alone((question,))
        finally:
            self._under_way -= 1
        return answer

    async def _answer_waiting(self) -> None:
        """Answer what waits, and what comes to wait meanwhile."""
        self._is_scheduled = False
        try:
            await self._answer_all()
        finally:
            # In the very moment in which nothing waits: whoever asks next begins anew.
            self._under_way -= 1

    async def _answer_all(self) -> None:
        while self._waiting:
            taken = self._take()
            self._is_crowded = len(taken) > 1
            try:
                if len(taken) == 1:
                    answers = await self._answer_alone(tuple(taken))
                else:
                    answers = await self._answer(tuple(taken))
            except asyncio.CancelledError as end:
                _fail(taken, end)
                raise
            except Exception as failure:  # noqa: BLE001  # whoever asked is told
                _fail(taken, failure)
            else:
                _give(taken, answers)

    async def _answer_alone(self, questions: Sequence[Question]) -> Sequence[Answer]:
        """Answer one question, awake if the last one was answered before it made no sense."""
        self._awake.begin(asyncio.get_running_loop())
        try:
            return await self._answer(questions)
        finally:
            self._awake.end()

    def _take(self) -> Waiting[Question, Answer]:
        waiting, self._waiting = self._waiting, {}
        if len(waiting) > MAXIMUM_BATCH:
            items = list(waiting.items())
            waiting, self._waiting = dict(items[:MAXIMUM_BATCH]), dict(items[MAXIMUM_BATCH:])
        return waiting


def _give(taken: Waiting[Question, Answer], answers: Sequence[Answer]) -> None:
    for waiters, answer in zip(taken.values(), answers, strict=True):
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(answer)


def _fail(taken: Waiting[Question, Answer], failure: BaseException) -> None:
    for waiters in taken.values():
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(failure)
