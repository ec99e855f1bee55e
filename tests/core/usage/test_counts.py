"""Figures of many contents are kept for a while; one caller counts them at a time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Event, Lock

import pytest
from django.db import IntegrityError, OperationalError, connection
from django.test.utils import CaptureQueriesContext

from core.database import raw
from core.moves.services import rename_project
from core.projects.models import Project
from core.projects.services import delete_project
from core.rbac.types import Actor
from core.usage import queries, services
from core.usage.errors import StorageCountRunning
from core.usage.models import ProjectContent, StorageCount
from core.usage.queries import count_storage, top_repositories
from core.usage.services import reconcile, storage_of
from core.usage.types import CountedStorage
from tests.factories.artifacts import image_document, make_blob, make_image
from tests.factories.projects import make_project
from tests.support.crowds import at_once

pytestmark = pytest.mark.django_db(transaction=True)

SYSTEM = Actor.system()
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MANY = 240_000
KEPT_FOR = timedelta(seconds=24)
PATIENCE = 30
Count = Callable[[int | None, datetime], CountedStorage]


class Clock:
    """The time, as the test sets it."""

    time = NOON

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that stands still."""
    clock = Clock()
    monkeypatch.setattr(services, "now", clock)
    return clock


def make_large(project: Project) -> None:
    """Let a project hold so many contents, in the count that is kept of them."""
    ProjectContent.objects.create(
        project_id=project.pk, digest=b"\x01many", is_manifest=False, size_bytes=1, holders=MANY
    )


def bytes_of(project: Project | None) -> int:
    return storage_of(None if project is None else project.pk).figures.deduplicated_bytes


def count_with(monkeypatch: pytest.MonkeyPatch, count: Count) -> None:
    monkeypatch.setattr(queries, "count_storage", count)


def test_few_contents_are_counted_with_every_request(project: Project) -> None:
    for number in range(1, 4):
        make_blob(project, b"%d" % number)
        for scope in (project, None):
            with CaptureQueriesContext(connection) as statements:
                assert bytes_of(scope) == number
            assert len(statements) == 4
    assert not StorageCount.objects.exists()


def test_many_are_kept_until_they_are_due(project: Project, clock: Clock) -> None:
    make_large(project)
    make_blob(project, b"content")
    for _ in range(2):
        assert [bytes_of(scope) for scope in (project, None)] == [8, 8]
    make_blob(project, b"more")
    clock.time += KEPT_FOR
    for scope in (project, None):
        with CaptureQueriesContext(connection) as statements:
            found = storage_of(None if scope is None else scope.pk)
        assert (len(statements), found.figures.deduplicated_bytes) == (1, 8)
        assert found.figures.counted_at == NOON
    # The second content lasts a ten thousandth of a second longer.
    clock.time += timedelta(seconds=1)
    for scope in (project, None):
        counted = storage_of(None if scope is None else scope.pk)
        assert counted == count_storage(None if scope is None else scope.pk, clock.time)
        assert counted.figures.deduplicated_bytes == 12
        assert storage_of(None if scope is None else scope.pk) == counted
    assert StorageCount.objects.count() == 2
    ProjectContent.objects.filter(digest=b"\x01many").delete()
    clock.time += KEPT_FOR * 2
    assert [bytes_of(scope) for scope in (project, None)] == [11, 11]


def test_a_correction_is_told_when_the_figures_are_due(project: Project, clock: Clock) -> None:
    make_blob(project, b"content")
    make_large(project)
    assert bytes_of(project) == 8
    reconcile(actor=SYSTEM)
    assert bytes_of(project) == 8
    clock.time += KEPT_FOR + timedelta(seconds=1)
    assert bytes_of(project) == 7


def test_of_many_who_find_nothing_kept_one_counts(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_large(project)
    counts, lock = [], Lock()

    def count(project_id: int | None, at: datetime) -> CountedStorage:
        with lock:
            counts.append(project_id)
        return count_storage(project_id, at)

    count_with(monkeypatch, count)
    scopes = (project.pk, None)
    found = at_once(12, lambda number: storage_of(scopes[number % 2]))
    assert sorted(counts, key=str) == sorted(scopes, key=str)
    assert len(set(map(str, found))) == 2


def test_of_many_who_find_it_due_one_counts_and_nobody_waits(
    project: Project, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_large(project)
    kept = storage_of(project.pk)
    clock.time += KEPT_FOR * 2
    answered, others = [], Event()

    def count(project_id: int | None, at: datetime) -> CountedStorage:
        assert others.wait(PATIENCE), "somebody waits for the count"
        # Neither does a push, whose trigger changes what is counted.
        at_once(1, lambda _: make_blob(project, b"content"))
        return count_storage(project_id, at)

    def ask(number: int) -> object:
        found = storage_of(project.pk)
        answered.append(number)
        if len(answered) == 5:
            others.set()
        return found

    count_with(monkeypatch, count)
    found = at_once(6, ask)
    assert found.count(kept) == 5
    counted = storage_of(project.pk)
    assert counted in found
    assert counted.figures.deduplicated_bytes == 8


def time_out(project_id: int | None, at: datetime) -> CountedStorage:
    """Count for too long."""
    raw.execute("SET LOCAL statement_timeout = '20ms'")
    raw.fetch_all("SELECT pg_sleep(60)")
    raise AssertionError("It has ended.")


def test_a_count_that_fails_leaves_what_was_kept(
    project: Project, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_large(project)
    kept = storage_of(project.pk)
    clock.time += KEPT_FOR * 2

    with monkeypatch.context() as patched:
        count_with(patched, time_out)
        assert storage_of(project.pk) == kept == queries.kept_count(project.pk)
    assert storage_of(project.pk).figures.counted_at == clock.time


def test_a_first_count_that_fails_is_told(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_large(project)

    with monkeypatch.context() as patched:
        count_with(patched, time_out)
        with pytest.raises(OperationalError, match="statement timeout"):
            storage_of(project.pk)
    assert queries.kept_count(project.pk) is None


def test_a_first_count_is_not_waited_for_without_end(project: Project) -> None:
    make_large(project)
    name = f"core.usage.count.{project.pk}"
    with connection.cursor() as cursor, connection.copy().cursor() as other:
        other.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [name])
        cursor.execute("SET lock_timeout = '20ms'")
        try:
            with pytest.raises(StorageCountRunning) as refused:
                storage_of(project.pk)
        finally:
            cursor.execute("RESET lock_timeout")
            other.connection.close()
    assert refused.value.retry_after_seconds == 2
    assert bytes_of(project) == 1


def test_a_database_that_takes_no_writes_counts_and_keeps_nothing(
    project: Project, clock: Clock
) -> None:
    make_large(project)
    bytes_of(project)
    clock.time += KEPT_FOR * 2
    make_blob(project, b"content")
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
        try:
            assert [bytes_of(scope) for scope in (project, None)] == [8, 8]
        finally:
            cursor.execute("RESET default_transaction_read_only")
    assert StorageCount.objects.get().counted_at == NOON


def test_counts_go_with_their_project_and_there_is_one_of_each(project: Project) -> None:
    other = make_project("other")
    for each in (project, other):
        make_large(each)
        bytes_of(each)
    bytes_of(None)
    delete_project(project, actor=SYSTEM)
    # As by code that does not know the table.
    raw.execute("DELETE FROM quotas_quota WHERE project_id = %s", [other.pk])
    raw.execute("DELETE FROM projects_project WHERE id = %s", [other.pk])
    left = StorageCount.objects.get()
    assert left.project_id is None
    left.pk = None
    with pytest.raises(IntegrityError):
        left.save(force_insert=True)


def test_a_project_that_is_being_deleted_keeps_nothing(project: Project) -> None:
    make_large(project)
    with connection.copy().cursor() as other:
        other.execute("BEGIN; SELECT FROM projects_project FOR UPDATE")
        assert bytes_of(project) == 1
        other.connection.close()
    assert not StorageCount.objects.exists()
    assert bytes_of(project) == 1
    assert StorageCount.objects.count() == 1


def test_repositories_have_their_names_of_now(project: Project) -> None:
    make_large(project)
    for path, content in (("app", b"large content"), ("copy", b"content"), ("third", b"c")):
        make_blob(project, content, path)
    make_image(project, "v1", path="app")
    size = 13 + 7 + len(image_document(b"{}", [b"layer"]))
    other = make_project("other")
    for scope in (project.pk, None):
        storage_of(scope)
    rename_project(project, "squad", actor=SYSTEM)
    project.repositories.filter(name="squad/third").update(name="other/third", project=other)
    counted = storage_of(project.pk)
    shown = top_repositories(counted, project.pk, 3)
    assert [(row.name, row.bytes, row.blobs, row.manifests) for row in shown] == [
        ("squad/app", size, 3, 1),
        ("squad/copy", 7, 1, 0),
    ]
    assert top_repositories(counted, project.pk, 1) == shown[:1]
    everywhere = top_repositories(storage_of(None), None, 100)
    assert [row.name for row in everywhere] == ["squad/app", "squad/copy", "other/third"]
