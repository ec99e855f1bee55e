"""Publishing events after the transaction that caused them."""

from functools import cache
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from core.events.types import Event, Subscription

log = structlog.get_logger(__name__)


def publish(event: Event) -> None:
    """Hand the event to its subscribers once the current transaction has committed.

    Nothing is delivered when the transaction rolls back. A failing subscriber is logged and
    does not affect the others: the write it follows has already been acknowledged.
    """
    transaction.on_commit(lambda: _deliver(event))


def _deliver(event: Event) -> None:
    for subscription in subscriptions():
        if isinstance(event, subscription.event_type):
            try:
                subscription.handler(event)
            except Exception:
                log.exception("event_subscriber_failed", event_type=type(event).__name__)


@cache
def subscriptions() -> tuple[Subscription[Any], ...]:
    """Return every subscription that the modules of ``EVENT_SUBSCRIBERS`` declare."""
    found: list[Subscription[Any]] = []
    for path in settings.EVENT_SUBSCRIBERS:
        found.extend(import_string(path))
    return tuple(found)
