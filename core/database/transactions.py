"""The outermost transaction of every public write."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import transaction

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def durable_write(
    function: Callable[Parameters, Result],
) -> Callable[Parameters, Result]:
    """Run a service in one transaction that is committed when it returns.

    Refuses to nest (``RuntimeError``): a caller that is told a write succeeded may rely on its
    being durable, which an enclosing transaction could still undo.
    """

    @wraps(function)
    def wrapper(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        with transaction.atomic(durable=True):
            return function(*args, **kwargs)

    return wrapper
