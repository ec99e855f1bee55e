"""Answers of the last minute, which hold for as long as the rows they rest on stay the same.

Nothing is answered from memory: whether it still holds is asked each time, after the request has
arrived. That goes by keys known from the last time and reads a few numbers, where the question
itself goes by names through several tables.
"""

import os
from collections.abc import Callable, Coroutine, Hashable, Iterable
from hashlib import blake2b
from time import monotonic
from typing import Any, Final, Generic, Protocol, TypeVar

from core.database.versions import Basis, Versions

# Long before the numbers of transactions could come again.
_REMEMBERED_SECONDS: Final = 60.0
_MAX_REMEMBERED: Final = 1_024
_KEY: Final = os.urandom(32)


class Grounded(Protocol):
    """An answer that can say what it rests on."""

    @property
    def basis(self) -> Basis | None:
        """The rows, None where the question has to be asked anew each time."""


Question = TypeVar("Question", bound=Hashable)
Answer = TypeVar("Answer", bound=Grounded)


class Remembered(Generic[Question, Answer]):
    """Answers to one kind of question, for the event loop of one process.

    What is remembered is answered sooner, which tells that it exists. So an answer is remembered
    for who has proven that they may know it, and for nobody else: ``proof`` stands for the secret
    that was presented, and is none itself.
    """

    def __init__(
        self,
        find: Callable[[Question], Coroutine[Any, Any, Answer]],
        find_versions: Callable[[Any], Coroutine[Any, Any, Versions]],
    ) -> None:
        """Take what answers a question, and what answers the one of a ``Basis``."""
        self._find = find
        self._find_versions = find_versions
        self._answers: dict[tuple[Question, bytes], tuple[float, Basis, Answer]] = {}

    async def ask(self, question: Question, proof: bytes) -> Answer:
        """Return the answer, the same object for as long as it holds. Raises what is asked does."""
        key = question, proof
        known = self._answers.get(key)
        if known is not None:
            until, basis, answer = known
            if monotonic() < until and await self._find_versions(basis.question) == basis.versions:
                return answer
            if self._answers.get(key) is known:
                del self._answers[key]
        return await self._find(question)

    def keep(self, questions: Iterable[Question], proof: bytes, answers: Iterable[Answer]) -> None:
        """Remember answers for a minute from now; call it once the proof holds."""
        until = monotonic() + _REMEMBERED_SECONDS
        for question, answer in zip(questions, answers, strict=True):
            key = question, proof
            if answer.basis is None or key in self._answers:
                continue
            if len(self._answers) >= _MAX_REMEMBERED:
                del self._answers[next(iter(self._answers))]
            self._answers[key] = until, answer.basis, answer


def fingerprint(presented: str) -> bytes:
    """Return what stands for credentials, so that no secret is kept."""
    return blake2b(presented.encode(), key=_KEY, digest_size=16).digest()
