from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest
from django.db import connection, transaction
from pytest_django import DjangoAssertNumQueries

from core.users.models import Revocation
from core.users.revocations import (
    Generations,
    find_generations,
    revoke_registry_tokens_locked,
    revoke_subject_locked,
)
from tests.support.locks import wait_for_lock


@pytest.mark.django_db
def test_nothing_was_revoked_yet() -> None:
    assert find_generations("user:1") == Generations(present=0, credentials=0)


@pytest.mark.django_db
def test_every_revocation_begins_a_generation() -> None:
    revoke_registry_tokens_locked("user:1")
    assert find_generations("user:1") == Generations(present=1, credentials=0)
    revoke_subject_locked("user:1")
    assert find_generations("user:1") == Generations(present=2, credentials=2)
    revoke_registry_tokens_locked("user:1", "user:1", "user:2")
    assert find_generations("user:1") == Generations(present=3, credentials=2)
    assert find_generations("user:2") == Generations(present=1, credentials=0)
    revoke_subject_locked("user:3")
    assert find_generations("user:3") == Generations(present=1, credentials=1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("revoke", [revoke_subject_locked, revoke_registry_tokens_locked])
def test_a_revocation_outside_a_transaction_is_a_mistake(revoke: object) -> None:
    with pytest.raises(RuntimeError):
        revoke("user:1")  # type: ignore[operator]


@pytest.mark.django_db(transaction=True)
def test_parallel_revocations_of_the_same_subjects_all_count() -> None:
    barrier = Barrier(12)
    subjects = [f"user:{number}" for number in range(20)]

    def revoke(number: int) -> None:
        barrier.wait()
        try:
            with transaction.atomic():
                revoke_registry_tokens_locked(*(subjects if number % 2 else reversed(subjects)))
        finally:
            connection.close()

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(revoke, range(12)))
    assert set(Revocation.objects.values_list("generation", flat=True)) == {12}
    assert Revocation.objects.count() == len(subjects)


@pytest.mark.django_db(transaction=True)
def test_revocations_of_one_subject_queue_and_readers_see_the_last_commit() -> None:
    first_done, may_commit = Event(), Event()

    def first() -> None:
        try:
            with transaction.atomic():
                revoke_subject_locked("user:1")
                first_done.set()
                assert may_commit.wait(10)
        finally:
            connection.close()

    def second() -> None:
        try:
            with transaction.atomic():
                revoke_registry_tokens_locked("user:1")
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        revoking = [pool.submit(first)]
        assert first_done.wait(10)
        assert find_generations("user:1").present == 0
        revoking.append(pool.submit(second))
        wait_for_lock()
        may_commit.set()
        for future in revoking:
            future.result(10)
    assert find_generations("user:1") == Generations(present=2, credentials=1)


@pytest.mark.django_db
def test_many_subjects_cost_one_statement(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    with django_assert_num_queries(1):
        revoke_registry_tokens_locked(*(f"user:{number}" for number in range(5_000)))
    assert Revocation.objects.count() == 5_000
    with django_assert_num_queries(0):
        revoke_registry_tokens_locked()
