"""The outermost transaction of every public write."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import IntegrityError, transaction

from core.database.refusals import refusal_of

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


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
        try:
            with transaction.atomic(durable=True):
                return function(*args, **kwargs)
        except IntegrityError as error:
            refusal = refusal_of(error)
            if refusal is None:
                raise
            raise refusal from error

    return wrapper
