"""The throttle under real concurrent connections."""

import pytest
import time_machine

from core.authn import services
from core.authn.errors import InvalidCredentials, LoginThrottled
from core.authn.models import LoginFailure
from core.authn.types import Credentials
from core.users import passwords
from tests.factories.users import ORIGIN, make_user
from tests.support.crowds import at_once

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count the secrets that were compared, without the cost of it."""
    secrets: list[str] = []

    def is_correct(password: str, _stored: str | None) -> bool:
        secrets.append(password)
        return False

    monkeypatch.setattr(passwords, "is_correct", is_correct)
    return secrets


def test_fifty_parallel_guesses_get_at_most_ten_looks(looked_at: list[str]) -> None:
    make_user()
    results = at_once(
        50,
        lambda number: services.authenticate(
            Credentials("alice", f"guess {number}"), origin=ORIGIN
        ),
    )
    assert {type(result) for result in results} <= {InvalidCredentials, LoginThrottled}
    assert len(looked_at) <= 10
    refused = sum(isinstance(result, InvalidCredentials) for result in results)
    assert refused == len(looked_at) == LoginFailure.objects.count()


def test_fifty_parallel_equal_attempts_are_one_failure(looked_at: list[str]) -> None:
    make_user()
    with time_machine.travel("2031-01-02T03:04:05.9Z", tick=False):
        results = at_once(
            50, lambda _: services.authenticate(Credentials("alice", "wrong"), origin=ORIGIN)
        )
    assert all(isinstance(result, InvalidCredentials) for result in results)
    assert LoginFailure.objects.count() == 1


def test_fifty_parallel_failures_of_different_people_are_fifty(looked_at: list[str]) -> None:
    results = at_once(
        50,
        lambda number: services.authenticate(Credentials(f"user{number}", "wrong"), origin=ORIGIN),
    )
    assert all(isinstance(result, InvalidCredentials) for result in results)
    assert LoginFailure.objects.count() == 50
