"""Kinds of runs by name, registered where the work is defined."""

from collections.abc import Callable
from typing import Any, Protocol

Result = dict[str, Any]


class RunContext(Protocol):
    """What a run's work may ask and tell while it is carried out."""

    @property
    def arguments(self) -> dict[str, Any]:
        """The values the run was submitted with."""

    def report(self, done: int, total: int | None = None, message: str = "") -> None:
        """Record progress and prove life.

        Raises ``RunStopped`` when somebody asked to stop the run, ``RunLost`` when another
        worker has taken it over; let both pass.
        """


Work = Callable[[RunContext], Result]

_KINDS: dict[str, Work] = {}


def run_kind(name: str) -> Callable[[Work], Work]:
    """Register a function as the work of a kind of run. It must be safe to repeat."""

    def register(work: Work) -> Work:
        if name in _KINDS:
            raise ValueError(f"run kind {name} is registered twice")
        _KINDS[name] = work
        return work

    return register


def find_work(name: str) -> Work | None:
    """Return the work of a kind, or None when this worker does not know it."""
    return _KINDS.get(name)
