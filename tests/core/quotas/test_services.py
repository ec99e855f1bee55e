"""Limits that refuse, usage that is added up, and projects that are nearly full."""

from contextlib import suppress

import pytest
from django.db import IntegrityError, connection, transaction
from pytest_django.fixtures import Settings

from core.artifacts.models import Repository, RepositoryBlob
from core.artifacts.services.blobs import mount_blob
from core.audit.models import AuditEntry
from core.blobs.models import Upload
from core.common.clock import now
from core.configurations.services import update_settings
from core.database import raw
from core.events import services as events
from core.events.types import Subscription
from core.oci.digest import Digest
from core.projects.models import Project
from core.projects.services import delete_project
from core.quotas.errors import QuotaExceeded, QuotaInvalid, QuotaUnknown
from core.quotas.events import QuotaNearlyReached
from core.quotas.models import Quota, UsageChange
from core.quotas.queries import usage_of
from core.quotas.rules import UNLIMITED
from core.quotas.services import create_project, fold_usage, set_limit
from core.rbac.types import Actor
from tests.factories.artifacts import PUSHER, image_document, make_blob, push, stored_files
from tests.factories.projects import make_project
from tests.factories.quotas import limit, truly_held, used

pytestmark = pytest.mark.django_db(transaction=True)


def test_every_project_has_one_quota(project: Project) -> None:
    quota = Quota.objects.get(project=project)
    assert (quota.hard_bytes, quota.used_bytes) == (UNLIMITED, 0)
    with pytest.raises(IntegrityError):
        Quota.objects.create(project=project, created_at=now(), updated_at=now())
    delete_project(project, actor=PUSHER)
    assert not Quota.objects.exists()
    with pytest.raises(QuotaUnknown):
        usage_of(project)


def test_a_new_project_gets_the_limit_of_the_settings() -> None:
    update_settings({"storage_per_project": 500}, actor=Actor.system())
    assert usage_of(create_project("new", actor=Actor.system())) == (500, 0)
    assert AuditEntry.objects.filter(action="quotas.quota.updated").get().detail == {
        "hard_bytes": 500,
        "hard_bytes_before": UNLIMITED,
    }
    update_settings({"quota_per_project_enable": False}, actor=Actor.system())
    assert usage_of(create_project("other", actor=Actor.system())) == (UNLIMITED, 0)


def test_a_blob_that_does_not_fit_leaves_nothing(project: Project) -> None:
    limit(project, 10)
    make_blob(project, b"123456")
    files = stored_files()
    with pytest.raises(QuotaExceeded) as refused:
        make_blob(project, b"abcde", "other")
    assert refused.value.detail == {"adding": 5, "used": 6, "hard": 10}
    assert "adding 5 B of storage resource" in refused.value.message
    assert used(project) == truly_held(project) == 6
    assert stored_files() == files
    assert not Upload.objects.filter(committed_digest=None).exists()
    assert not Repository.objects.filter(name="team/other").exists()
    assert not AuditEntry.objects.filter(target_label__startswith="team/other").exists()
    make_blob(project, b"abcd")
    assert used(project) == 10


def _add(project: Project, count: int) -> None:
    raw.execute(
        "INSERT INTO quotas_usagechange (project_id, transaction_id, bytes)"
        " VALUES (%s, pg_current_xact_id()::text::bigint, %s)",
        (project.pk, count),
    )


@transaction.atomic
def _add_in_two_steps(project: Project, first: int, second: int) -> None:
    _add(project, first)
    raw.execute("SET CONSTRAINTS ALL IMMEDIATE")
    raw.execute("SET CONSTRAINTS ALL DEFERRED")
    _add(project, second)


def test_changes_are_settled_once_however_often_a_transaction_does_it(project: Project) -> None:
    limit(project, 100)
    with transaction.atomic():
        other = make_project("unlimited")
        for _ in range(2):
            for changed in (project, other):
                _add(changed, 10)
                _add(changed, 5)
            raw.execute("SET CONSTRAINTS ALL IMMEDIATE")
            raw.execute("SET CONSTRAINTS ALL DEFERRED")
        with suppress(ZeroDivisionError), transaction.atomic():
            _add(project, 30)
            raw.execute("SET CONSTRAINTS ALL IMMEDIATE")
            raise ZeroDivisionError
        raw.execute("SET CONSTRAINTS ALL DEFERRED")
        _add(project, 7)
    assert (used(project), used(other)) == (37, 30)
    assert Quota.objects.get(project=project).used_bytes == 37
    with pytest.raises(IntegrityError):
        _add_in_two_steps(project, 60, 4)
    assert used(project) == 37


def test_what_the_project_has_costs_nothing_when_it_is_full(project: Project) -> None:
    config, document = b"{}", image_document()
    limit(project, len(config) + len(document))
    for path in ("app", "other"):
        make_blob(project, config, path)
        push(project, document, "v1", path)
        push(project, document, "v2", path)
    assert used(project) == truly_held(project) == len(config) + len(document)
    mounted = mount_blob(
        Digest.of(config),
        source="team/app",
        target_name="team/third",
        project_id=project.pk,
        actor=PUSHER,
        readable=lambda _: True,
    )
    assert mounted is not None
    with pytest.raises(QuotaExceeded):
        push(project, document + b" ")
    assert used(project) == len(config) + len(document)


def test_a_mount_from_another_project_counts(project: Project) -> None:
    make_blob(make_project("source"), b"123456")
    limit(project, 5)
    with pytest.raises(QuotaExceeded):
        mount_blob(
            Digest.of(b"123456"),
            source="source/app",
            target_name="team/app",
            project_id=project.pk,
            actor=PUSHER,
            readable=lambda _: True,
        )
    assert not RepositoryBlob.objects.filter(repository__project=project).exists()
    assert used(project) == 0


def test_limits_follow_what_is_there(project: Project) -> None:
    make_blob(project, b"123456")
    assert UsageChange.objects.count() == 1
    limit(project, 3)
    assert (UsageChange.objects.count(), used(project)) == (0, 6)
    with pytest.raises(QuotaExceeded):
        make_blob(project, b"1")
    RepositoryBlob.objects.all().delete()
    assert used(project) == 0
    make_blob(project, b"1")
    limit(project, UNLIMITED)
    make_blob(project, b"123456")
    assert used(project) == truly_held(project) == 7
    assert fold_usage(now()) == 1
    assert Quota.objects.get().used_bytes == 7
    assert fold_usage(now()) == 0


@pytest.mark.parametrize("wanted", [0, -2, 2**63])
def test_impossible_limits(project: Project, wanted: int) -> None:
    with pytest.raises(QuotaInvalid):
        limit(project, wanted)
    with pytest.raises(IntegrityError), connection.cursor() as cursor:
        cursor.execute("UPDATE quotas_quota SET hard_bytes = %s", [min(wanted, 0)])


def test_a_limit_of_a_deleted_project(project: Project) -> None:
    quota = Quota.objects.get()
    delete_project(project, actor=PUSHER)
    with pytest.raises(QuotaUnknown):
        set_limit(quota, 5, actor=Actor.system())


@pytest.fixture
def announced(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Collect what is announced."""
    found: list[object] = []
    subscription = Subscription(QuotaNearlyReached, found.append)
    monkeypatch.setattr(events, "subscriptions", lambda: (subscription,))
    return found


def test_a_nearly_full_project_is_announced_once(project: Project, announced: list[object]) -> None:
    limit(project, 100)
    make_blob(project, b"x" * 84)
    fold_usage(now())
    assert announced == []
    make_blob(project, b"y")
    for _ in range(2):
        fold_usage(now())
    assert announced == [QuotaNearlyReached(project.pk, "team", 85, 100)]
    limit(project, 200)
    fold_usage(now())
    assert Quota.objects.get().warned_at is None
    limit(project, 50)
    fold_usage(now())
    assert announced[1:] == [QuotaNearlyReached(project.pk, "team", 85, 50)]
