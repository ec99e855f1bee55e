"""Answers of the last minute, which hold for as long as the rows they rest on stay the same.

Nothing is answered from memory: whether it still holds is asked each time, after the request has
arrived. That goes by keys known from the last time and reads a few numbers, where the question
itself goes by names through several tables.
"""

from collections.abc import Callable, Coroutine, Hashable, Iterable
from time import monotonic
from typing import Any, Final, Generic, Protocol, TypeVar

from core.database.versions import Basis, Versions

# Long before the numbers of transactions could come again.
_REMEMBERED_SECONDS: Final = 60.0
_MAX_REMEMBERED: Final = 1_024


class Grounded(Protocol):
    """An answer that can say what it rests on."""

    @property
    def basis(self) -> Basis | None:
        """The rows, None where the question has to be asked anew each time."""


Question = TypeVar("Question", bound=Hashable)
Answer = TypeVar("Answer", bound=Grounded)


class Remembered(Generic[Question, Answer]):
    """Answers to one kind of question, for the event loop of one process."""

    def __init__(
        self,
        find: Callable[[Question], Coroutine[Any, Any, Answer]],
        find_versions: Callable[[Any], Coroutine[Any, Any, Versions]],
    ) -> None:
        """Take what answers a question, and what answers the one of a ``Basis``."""
        self._find = find
        self._find_versions = find_versions
        self._answers: dict[Question, tuple[Basis, Answer]] = {}
        self._since = 0.0

    async def ask(self, question: Question) -> Answer:
        """Return the answer, the same object for as long as it holds. Raises what is asked does."""
        known = self._answers.get(question)
        if known is not None and monotonic() - self._since < _REMEMBERED_SECONDS:
            basis, answer = known
            if await self._find_versions(basis.question) == basis.versions:
                return answer
        return await self._find(question)

    def keep(self, questions: Iterable[Question], answers: Iterable[Answer]) -> None:
        """Remember answers; call it for those who have proven that they may know them.

        What is remembered is answered sooner, which would tell anybody else that it exists.
        """
        if monotonic() - self._since >= _REMEMBERED_SECONDS:
            self._since, self._answers = monotonic(), {}
        for question, answer in zip(questions, answers, strict=True):
            if answer.basis is None:
                self._answers.pop(question, None)
            elif question in self._answers or len(self._answers) < _MAX_REMEMBERED:
                self._answers[question] = answer.basis, answer
