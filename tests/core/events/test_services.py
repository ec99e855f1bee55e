"""Events reach their subscribers after the commit, and only then."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from django.conf import settings
from django.db import transaction

from core.events import services
from core.events.types import Event, Subscription

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass(frozen=True)
class LampLit(Event):
    """An event of these tests."""

    name: str


@dataclass(frozen=True)
class LampBroken(Event):
    """An event nobody subscribes to."""


heard: list[str] = []


def fail(event: LampLit) -> None:
    """Break, as a faulty subscriber would."""
    raise RuntimeError(event.name)


def hear(event: LampLit) -> None:
    """Remember what was announced."""
    heard.append(event.name)


SUBSCRIPTIONS = (Subscription(LampLit, fail), Subscription(LampLit, hear))


@pytest.fixture(autouse=True)
def _subscribers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(settings, "EVENT_SUBSCRIBERS", (f"{__name__}.SUBSCRIPTIONS",))
    services.subscriptions.cache_clear()
    heard.clear()
    yield
    services.subscriptions.cache_clear()


def test_event_is_delivered_after_the_commit() -> None:
    with transaction.atomic():
        services.publish(LampLit("harbour"))
        assert heard == []
    assert heard == ["harbour"]


def test_nothing_is_delivered_after_a_rollback() -> None:
    def announce_and_fail() -> None:
        with transaction.atomic():
            services.publish(LampLit("harbour"))
            raise ValueError

    _expect(ValueError, announce_and_fail)
    assert heard == []


def test_other_events_do_not_reach_a_subscriber() -> None:
    services.publish(LampBroken())
    assert heard == []


def _expect(error: type[Exception], call: Callable[[], None]) -> None:
    with pytest.raises(error):
        call()
