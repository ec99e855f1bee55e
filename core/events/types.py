"""What an event and a subscription are."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar


@dataclass(frozen=True)
class Event:
    """Base of every event. Fields are plain values: ids, names, digests as text."""


EventType = TypeVar("EventType", bound=Event)


@dataclass(frozen=True, slots=True)
class Subscription(Generic[EventType]):
    """A handler for one type of event.

    A feature's ``subscribers.py`` lists its own in the module variable ``SUBSCRIPTIONS``,
    whose dotted path is named in ``EVENT_SUBSCRIBERS``.
    """

    event_type: type[EventType]
    handler: Callable[[EventType], None]
