"""Entries are found by a part of what they are about, whoever writes them."""

from threading import Barrier

import pytest
from django.db import connection

from core.audit import queries
from core.audit.models import AuditEntry, AuditStretch
from core.audit.queries import find_by_resource
from core.audit.services import pack_again, settle_stretches
from core.common.clock import now
from tests.support.crowds import at_once

pytestmark = pytest.mark.django_db(transaction=True)

LABELS = [
    "team/app:v1",
    "team/app:V1_0%",
    "team/b\\c@sha256:00",
    "gr\u00f6\u00dfe/\u0130",
    "two\nlines",
    "",
]
TEXTS = [
    "app",
    "APP:V",
    "v1",
    "1_0",
    "%",
    "\\",
    "gr\u00d6",
    "\u0130",
    "o\nl",
    "\n",
    "",
    "\u00df",
    "none",
    "x" * 2_000,
]


def write(*labels: str) -> None:
    AuditEntry.objects.bulk_create(
        AuditEntry(
            recorded_at=now(),
            action="tag.created",
            outcome="success",
            actor_kind="user",
            actor_label="x",
            target_kind="tag",
            target_label=label,
        )
        for label in labels
    )


def ensure_found(*texts: str) -> None:
    """Expect to find by each text what reading all entries finds."""
    for text in texts:
        found = find_by_resource(text)
        assert found is not None
        wanted = AuditEntry.objects.filter(target_label__icontains=text)
        assert sorted(found) == sorted(wanted.values_list("pk", flat=True)), text


def settle() -> None:
    while settle_stretches(7):
        pass


def test_parts_are_found_whatever_is_settled() -> None:
    for _ in range(3):
        write(*LABELS * 9)
        for label in LABELS:
            write(label)
        ensure_found(*TEXTS)
        assert settle_stretches(3) == 3
        ensure_found(*TEXTS)
        settle()
        ensure_found(*TEXTS)
    assert not AuditStretch.objects.filter(is_settled=False).exists()
    assert AuditStretch.objects.count() <= 3 * 60 // 32 + 2
    assert pack_again() == 0


def test_what_is_removed_is_not_found() -> None:
    write(*LABELS * 30)
    settle()
    newest = AuditEntry.objects.latest("id").pk
    AuditEntry.objects.exclude(pk=newest).delete()
    ensure_found(*TEXTS)
    assert pack_again() == 0
    assert AuditStretch.objects.get().number == newest // 32
    ensure_found(*TEXTS)


def test_entries_are_found_beside_runs() -> None:
    """Stretches are settled and removed while entries of the same ones come and go."""
    barrier = Barrier(6)

    def work(number: int) -> object:
        for turn in range(6):
            barrier.wait(10)
            if number < 3:
                write(f"app-{number}:{turn}", f"APP-{number}:{turn}")
            elif number == 3:
                AuditEntry.objects.filter(target_label__startswith="app-1").delete()
            elif number == 4:
                settle_stretches(4)
            else:
                assert pack_again() == 0
        return None

    assert at_once(6, work) == [None] * 6
    settle()
    assert pack_again() == 0
    ensure_found("app", "app-0:", "p-1:3", "-2:5")
    assert len(find_by_resource("app-2") or ()) == 12


def test_more_than_can_be_told_are_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "MAXIMUM_FOUND", 3)
    write("a", "a", "a", "ab")
    assert find_by_resource("a") is None
    assert len(find_by_resource("B") or ()) == 1


def test_a_defect_is_corrected() -> None:
    write(*LABELS * 20)
    settle()
    write("team/late")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_auditstretch SET resources = 'TEAM' WHERE is_settled")
        cursor.execute("DELETE FROM audit_auditstretch WHERE NOT is_settled")
    assert find_by_resource("late") == []
    assert pack_again() >= 4
    ensure_found("late", *TEXTS)
    assert pack_again() == 0
