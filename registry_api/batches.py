"""Many requests, one statement.

Requests that arrive while a look-up is under way wait for the next one and share it: equal
questions become one, and all of them cost a single round trip to the database. Nothing is
remembered between two of them, so every request is answered from what the database held after
it had arrived.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Generic, TypeVar

from core.database.prepared import Tell

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
        self, answer: Callable[[Sequence[Question], Tell[Sequence[Answer]]], None]
    ) -> None:
        """Take the function that has an answer told for every question, in their order.

        It must not raise, and tell exactly once.
        """
        self._answer = answer
        self._loop: asyncio.AbstractEventLoop | None = None

    def _belong_to(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin afresh: a process has one loop, but a test may run one after another."""
        self._loop = loop
        self._waiting: Waiting[Question, Answer] = {}
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
        taken = self._take()
        self._under_way += 1
        # Nobody's task: a request that leaves does not take the others along.
        self._answer(tuple(taken), partial(self._end, taken))

    def _take(self) -> Waiting[Question, Answer]:
        waiting, self._waiting = self._waiting, {}
        if len(waiting) > MAXIMUM_BATCH:
            items = list(waiting.items())
            waiting, self._waiting = dict(items[:MAXIMUM_BATCH]), dict(items[MAXIMUM_BATCH:])
        return waiting

    def _end(
        self, taken: Waiting[Question, Answer], outcome: Sequence[Answer] | BaseException
    ) -> None:
        self._under_way -= 1
        if isinstance(outcome, BaseException):
            _fail(taken, outcome)
        else:
            for waiters, answer in zip(taken.values(), outcome, strict=True):
                for waiter in waiters:
                    if not waiter.done():
                        waiter.set_result(answer)
        if self._waiting and not self._is_scheduled:
            self._begin()


def _fail(taken: Waiting[Question, Answer], failure: BaseException) -> None:
    for waiters in taken.values():
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(failure)
