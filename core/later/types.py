"""What the table of later operations is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Answer(StrEnum):
    """What a later operation says to those who may call it."""

    ROWS = "an empty list with its paging headers"
    UNPAGED = "an empty list"
    SHOWN = "the object that a fresh installation shows"
    NOTHING_THERE = "404: nothing of that name can exist"
    REFUSED = "501: the feature is missing"


@dataclass(frozen=True, slots=True)
class Later:
    """One operation whose feature is missing.

    ``path`` is below the API's base, as routes are written. ``project_in`` leads to the id of
    the project within a request body that names it. ``own`` says that people may ask for
    themselves, so any caller with credentials is answered. ``shown`` is the object of ``SHOWN``;
    a value that can be called is asked for each time. ``only`` is a name in the path and the one
    value that it may have.
    """

    method: str
    path: str
    permission: str
    summary: str
    answer: Answer = Answer.REFUSED
    shown: Mapping[str, Any] = field(default_factory=dict, hash=False)
    project_in: tuple[str | int, ...] = ()
    own: bool = False
    only: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class LaterFeature:
    """A feature that is missing: its name in sentences, its tag in the API, its operations."""

    name: str
    tag: str
    operations: tuple[Later, ...]
