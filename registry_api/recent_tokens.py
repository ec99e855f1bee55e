"""The tokens of the present second, for clients that ask for the same with the same credentials.

A hundred nodes that pull one image ask for one token at once. What a token rests on is looked up
for each of them; only what follows from equal answers is not worked out again. So nothing is
answered from the past, and a token signed earlier in the same second does not end later.
"""

from collections.abc import Callable, Coroutine, Hashable, Sequence
from time import time
from typing import Any, Final, NamedTuple

from core.common.origin import Origin
from core.rbac.types import Actor
from registry_api.answers import Headers
from registry_api.logins import Answers

_MAX_REMEMBERED: Final = 1_024


class RecentToken(NamedTuple):
    """An answer with a token, and what was looked up for it.

    The answer stays right for as long as ``look_up`` returns ``answers``. ``without_repository``
    are the names that were asked about and are none of a repository.
    """

    look_up: Callable[[Origin], Coroutine[Any, Any, Answers]]
    answers: Answers
    actor: Actor
    without_repository: Sequence[str]
    body: bytes
    headers: Headers


class RecentTokens:
    """The tokens of one process, by what was asked with which credentials."""

    def __init__(self) -> None:
        self._second = 0
        self._tokens: dict[Hashable, RecentToken] = {}

    def get(self, question: Hashable) -> RecentToken | None:
        """Return what the question was answered with in this second."""
        return self._tokens.get(question) if int(time()) == self._second else None

    def put(self, question: Hashable, token: RecentToken) -> None:
        """Keep an answer that has just been given."""
        second = int(time())
        if second != self._second:
            self._second, self._tokens = second, {}
        if len(self._tokens) < _MAX_REMEMBERED:
            self._tokens[question] = token
