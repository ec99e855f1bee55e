"""The outermost transaction of every public write."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import IntegrityError, connection, transaction

from core.database.refusals import refusal_of

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Step = Callable[[], None]

_first_steps: ContextVar[list[Step] | None] = ContextVar("first_steps", default=None)

_rehearsing: ContextVar[bool] = ContextVar("rehearsing", default=False)

_joining: ContextVar[bool] = ContextVar("joining", default=False)


def durable_write(
    function: Callable[Parameters, Result],
) -> Callable[Parameters, Result]:
    """Run a service in one transaction that is committed when it returns.

    Refuses to nest (``RuntimeError``): a caller that is told a write succeeded may rely on its
    being durable, which an enclosing transaction could still undo. A constraint that stands in
    the setting ``CONSTRAINT_REFUSALS`` becomes the refusal that it means there.
    """

    @wraps(function)
    def wrapper(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        if _joining.get():
            with transaction.atomic():
                return function(*args, **kwargs)
        steps = _first_steps.get()
        try:
            if _rehearsing.get():
                return _rehearsed(lambda: function(*args, **kwargs))
            with transaction.atomic(durable=True):
                for step in steps or ():
                    step()
                if steps:
                    # Before subscribers of the write, which may have something to write themselves.
                    transaction.on_commit(steps.clear)
                result = function(*args, **kwargs)
        except IntegrityError as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            raise refusal from error
        if steps:
            steps.clear()
        return result

    return wrapper


@contextmanager
def first_steps() -> Iterator[list[Step]]:
    """Yield a list of what the next durable write inside does first, in its transaction.

    A step that raises undoes the write. When a write with the steps has been committed, the
    list is empty, and further writes go without.
    """
    steps: list[Step] = []
    token = _first_steps.set(steps)
    try:
        yield steps
    finally:
        _first_steps.reset(token)


@contextmanager
def joined_writes() -> Iterator[None]:
    """Make the durable writes inside parts of the caller's own, which commits all or none.

    Each may still be refused by itself; deferred constraints judge them together, at the commit.
    Their locks are held until then, so this is for few and quick ones.
    """
    token = _joining.set(True)
    try:
        yield
    finally:
        _joining.reset(token)


def _rehearsed(write: Callable[[], Result]) -> Result:
    """Carry out one write of a rehearsal, and judge it as its commit would be judged."""
    with transaction.atomic():
        result = write()
        connection.check_constraints()
        return result


@contextmanager
def rehearsal() -> Iterator[None]:
    """Let the durable writes inside see each other, and be undone in the end, all of them.

    Each raises what it would raise in earnest. Nothing they announce is delivered. Their locks
    are held until the end, so whoever rehearses several writes first takes a lock that keeps
    those apart who would otherwise take the same locks in another order.
    """
    with transaction.atomic(durable=True):
        token = _rehearsing.set(True)
        try:
            yield
        finally:
            _rehearsing.reset(token)
            transaction.set_rollback(True)
