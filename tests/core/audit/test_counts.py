"""How many audit entries there are is counted with every write."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.db.models import Count, Sum

from core.audit.models import AuditCount, AuditEntry
from core.audit.services import recount, settle_counts
from tests.support.crowds import at_once

pytestmark = pytest.mark.django_db(transaction=True)

KEY = ("target_kind", "action", "outcome")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def write(count: int, *, project_id: int | None = 1, at: datetime = NOON) -> None:
    AuditEntry.objects.bulk_create(
        AuditEntry(
            recorded_at=at,
            action="tag.created" if number % 2 else "tag.deleted",
            outcome="success",
            actor_kind="user",
            actor_label="x",
            project_id=project_id,
            target_kind="tag",
            target_label=str(number),
        )
        for number in range(count)
    )


def ensure_right() -> None:
    """Expect the counts to say what counting the entries says."""
    by_project = AuditEntry.objects.values_list("project_id", *KEY).annotate(Count("pk"))
    counted = AuditCount.objects.filter(day=None).values_list("project_id", *KEY)
    found = counted.annotate(total=Sum("entries")).exclude(total=0)
    assert sorted(found, key=str) == sorted(by_project, key=str)
    by_day = AuditEntry.objects.values_list("recorded_at__date", *KEY).annotate(Count("pk"))
    counted = AuditCount.objects.filter(day__isnull=False).values_list("day", *KEY)
    found = counted.annotate(total=Sum("entries")).exclude(total=0)
    assert sorted(found, key=str) == sorted(by_day, key=str)


def test_what_is_written_and_removed_is_counted() -> None:
    write(5)
    write(4, project_id=None)
    write(3, at=NOON + timedelta(hours=12))
    write(2, at=NOON - timedelta(hours=12, microseconds=1))
    ensure_right()
    AuditEntry.objects.filter(target_label__in=("0", "1")).delete()
    ensure_right()


def test_settled_counts_say_the_same() -> None:
    for _ in range(3):
        write(4)
        write(2, project_id=None)
        assert settle_counts(5) == 5
        ensure_right()
        while settle_counts(5):
            ensure_right()
        assert not AuditCount.objects.filter(is_settled=False).exists()
    assert AuditCount.objects.count() == 6


def test_counts_are_settled_beside_writes() -> None:
    def work(number: int) -> object:
        for _ in range(5):
            write(2, project_id=number % 3)
            settle_counts(3)
        return None

    at_once(6, work)
    ensure_right()
    assert AuditCount.objects.filter(day=None).aggregate(Sum("entries"))["entries__sum"] == 60


def test_a_defect_is_corrected() -> None:
    write(5)
    assert recount() == 0
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_auditcount SET entries = entries + 1 WHERE day IS NULL")
        cursor.execute("DELETE FROM audit_auditcount WHERE action = 'tag.deleted'")
    assert recount() == 3
    ensure_right()
    assert recount() == 0
