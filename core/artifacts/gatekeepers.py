"""Asking those who may refuse a write: immutable tags, policies.

A gatekeeper is a function named by dotted path in the setting ``GATEKEEPERS``. It is asked
inside the transaction of the write, with the locks on tags and content held, so what it reads
stays true until the commit; it must not touch network or storage. It refuses by raising a
``DomainError``, which undoes the whole write. What it changes itself goes along with the write.
"""

from collections.abc import Callable
from functools import cache

from django.conf import settings
from django.utils.module_loading import import_string

from core.artifacts.types import PendingWrite

Gatekeeper = Callable[[PendingWrite], None]


def ask_gatekeepers(write: PendingWrite) -> None:
    """Ask each in order; the first that objects decides."""
    for gatekeeper in _load(tuple(settings.GATEKEEPERS)):
        gatekeeper(write)


@cache
def _load(paths: tuple[str, ...]) -> tuple[Gatekeeper, ...]:
    return tuple(import_string(path) for path in paths)
