from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Barrier, Event

import pytest
from django.db import connection, transaction
from pytest_django import DjangoAssertNumQueries

from core.common.clock import now
from core.users.models import Revocation
from core.users.revocations import (
    SUBJECTS_LOCKED_ONE_BY_ONE,
    revoke_registry_tokens_locked,
    revoke_registry_tokens_of_many_locked,
    revoke_subject_locked,
    stable_rights,
)
from tests.support.locks import wait_for_lock


def in_thread(pool: ThreadPoolExecutor, work: Callable[[], object]) -> Callable[[], object]:
    """Start the work and return what waits for its result."""

    def run() -> object:
        try:
            return work()
        finally:
            connection.close()

    return pool.submit(run).result


@pytest.mark.django_db
def test_instants_only_move_forward() -> None:
    later = now() + timedelta(hours=1)
    revoke_subject_locked("user:1", later)
    revoke_subject_locked("user:1", now())
    revoke_registry_tokens_locked("user:1", now())
    revocation = Revocation.objects.get(subject="user:1")
    assert revocation.revoked_at == revocation.credentials_revoked_at == later


@pytest.mark.django_db
def test_smaller_rights_leave_logins_alone() -> None:
    revoke_registry_tokens_of_many_locked(["user:10", "user:9", "user:9"], now())
    stored = Revocation.objects.order_by("subject")
    assert [row.subject for row in stored] == ["user:10", "user:9"]
    assert all(row.credentials_revoked_at is None for row in stored)
    revoke_subject_locked("user:9", now())
    assert Revocation.objects.get(subject="user:9").credentials_revoked_at is not None


@pytest.mark.django_db(transaction=True)
def test_a_revocation_outside_a_transaction_is_a_mistake() -> None:
    with pytest.raises(RuntimeError):
        revoke_subject_locked("user:1", now())


@pytest.mark.django_db(transaction=True)
def test_parallel_revocations_of_the_same_subjects_all_succeed() -> None:
    barrier = Barrier(12)
    subjects = [f"user:{number}" for number in range(20)]

    def revoke(number: int) -> None:
        barrier.wait()
        with transaction.atomic():
            order = subjects if number % 2 else list(reversed(subjects))
            revoke_registry_tokens_of_many_locked(order, now())

    started_at = now()
    with ThreadPoolExecutor(12) as pool:
        waits = [in_thread(pool, partial(revoke, number)) for number in range(12)]
        for wait in waits:
            wait()
    assert Revocation.objects.filter(revoked_at__gt=started_at).count() == len(subjects)


@pytest.mark.django_db(transaction=True)
def test_issue_and_revocation_of_one_subject_never_overlap() -> None:
    revoking, may_commit = Event(), Event()

    def revoke() -> None:
        with transaction.atomic():
            revoke_subject_locked("user:1", now())
            revoking.set()
            assert may_commit.wait(10)

    def issue() -> bool:
        with stable_rights("user:1") as issued_at:
            return Revocation.objects.get(subject="user:1").revoked_at < issued_at

    with ThreadPoolExecutor(2) as pool:
        revoked = in_thread(pool, revoke)
        assert revoking.wait(10)
        issued = in_thread(pool, issue)
        may_commit.set()
        revoked()
        assert issued() is True


@pytest.mark.django_db(transaction=True)
def test_a_revocation_waits_for_an_issue_under_way_and_is_later() -> None:
    issuing, may_finish = Event(), Event()

    def issue() -> object:
        with stable_rights("user:1") as issued_at:
            issuing.set()
            assert may_finish.wait(10)
        return issued_at

    def revoke() -> None:
        with transaction.atomic():
            revoke_subject_locked("user:1", now())

    with ThreadPoolExecutor(2) as pool:
        issued = in_thread(pool, issue)
        assert issuing.wait(10)
        revoked = in_thread(pool, revoke)
        may_finish.set()
        issued_at = issued()
        revoked()
    assert Revocation.objects.get(subject="user:1").revoked_at > issued_at  # type: ignore[operator]


@pytest.mark.django_db
def test_many_subjects_cost_two_statements(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for count in (1, SUBJECTS_LOCKED_ONE_BY_ONE, 5 * SUBJECTS_LOCKED_ONE_BY_ONE):
        with django_assert_num_queries(2):
            revoke_registry_tokens_of_many_locked((f"user:{n}" for n in range(count)), now())
        assert Revocation.objects.count() == count
    revoke_registry_tokens_of_many_locked([], now())


@pytest.mark.django_db(transaction=True)
def test_a_revocation_of_many_waits_for_an_issue_under_way() -> None:
    issuing, may_finish = Event(), Event()
    subjects = [f"user:{number}" for number in range(SUBJECTS_LOCKED_ONE_BY_ONE + 1)]

    def issue() -> object:
        with stable_rights("user:1") as issued_at:
            issuing.set()
            assert may_finish.wait(10)
        return issued_at

    def revoke() -> None:
        with transaction.atomic():
            revoke_registry_tokens_of_many_locked(subjects, now())

    with ThreadPoolExecutor(2) as pool:
        issued = in_thread(pool, issue)
        assert issuing.wait(10)
        revoked = in_thread(pool, revoke)
        wait_for_lock()
        may_finish.set()
        issued_at = issued()
        revoked()
    assert Revocation.objects.get(subject="user:1").revoked_at > issued_at  # type: ignore[operator]
