"""What projects hold is counted with every write, whoever makes it."""

from collections.abc import Callable
from threading import Thread

import pytest
from django.db import connection, transaction

from core.artifacts.models import (
    Manifest,
    ManifestReference,
    Repository,
    RepositoryBlob,
    TrashEntry,
)
from core.artifacts.services.blobs import delete_blob
from core.artifacts.services.manifests import delete_manifest
from core.artifacts.services.repositories import delete_repository
from core.oci.digest import Digest
from core.projects.models import Project
from core.quotas.errors import QuotaExceeded
from core.quotas.rules import exceeded
from core.trash.services import empty_trash, restore_entry
from core.usage.models import ProjectContent
from tests.factories.artifacts import (
    PUSHER,
    image_document,
    make_blob,
    make_image,
    push,
)
from tests.factories.projects import make_project
from tests.factories.quotas import limit, truly_held, used
from tests.support.locks import wait_for_lock

pytestmark = pytest.mark.django_db(transaction=True)

IMAGE = image_document(b"{}", [b"layer"])
FOREIGN = (
    b'{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",'
    b'"config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":2,'
    b'"digest":"' + str(Digest.of(b"{}")).encode() + b'"},"layers":[{"mediaType":'
    b'"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","size":5000,'
    b'"digest":"' + str(Digest.of(b"elsewhere")).encode() + b'",'
    b'"urls":["https://example.org/layer"]}]}'
)


def holders(project: Project) -> list[int]:
    """Return how many repositories hold each content, the smallest content first."""
    contents = ProjectContent.objects.filter(project_id=project.pk).order_by("size_bytes")
    return list(contents.values_list("holders", flat=True))


def test_every_write_keeps_the_count(project: Project) -> None:
    steps: list[tuple[Callable[[], object], list[int], int]] = [
        (lambda: make_image(project, "v1"), [1, 1, 1], 7 + len(IMAGE)),
        (lambda: make_image(project, "v1", path="other"), [2, 2, 2], 7 + len(IMAGE)),
        (lambda: make_image(project, "v2"), [2, 2, 2], 7 + len(IMAGE)),
        (lambda: delete("app"), [2, 2, 1], 7 + len(IMAGE)),
        (
            lambda: delete_blob("team/app", Digest.of(b"layer"), actor=PUSHER),
            [2, 1, 1],
            7 + len(IMAGE),
        ),
        (lambda: delete("other"), [2, 1], 7),
        (lambda: delete_repository("team/other", actor=PUSHER), [1], 2),
        (lambda: delete_repository("team/app", actor=PUSHER), [], 0),
    ]

    def delete(path: str) -> None:
        delete_manifest(f"team/{path}", Digest.of(IMAGE), actor=PUSHER)

    for number, (step, expected, size) in enumerate(steps):
        step()
        assert holders(project) == expected, number
        assert used(project) == truly_held(project), number
        assert used(project) == size, number


def test_room_comes_from_blobs_that_leave_not_from_the_trash(project: Project) -> None:
    def free() -> None:
        for content in (b"{}", b"layer"):
            delete_blob("team/app", Digest.of(content), actor=PUSHER)

    make_image(project, "v1")
    limit(project, 7 + len(IMAGE))
    delete_manifest("team/app", Digest.of(IMAGE), actor=PUSHER)
    assert used(project) == 7
    with pytest.raises(QuotaExceeded):
        make_blob(project, b"x" * (len(IMAGE) + 1))
    free()
    assert used(project) == 0
    # What is in the trash comes back all the same, when there is room.
    entry = TrashEntry.objects.get()
    make_blob(project, b"other")
    with pytest.raises(QuotaExceeded):
        restore_entry(project, entry.pk, actor=PUSHER)
    delete_blob("team/app", Digest.of(b"other"), actor=PUSHER)
    restore_entry(project, entry.pk, actor=PUSHER)
    assert used(project) == 7 + len(IMAGE)
    delete_manifest("team/app", Digest.of(IMAGE), actor=PUSHER)
    assert empty_trash(project, actor=PUSHER) == 1
    assert used(project) == truly_held(project) == 7
    free()
    assert used(project) == 0


def test_foreign_layers_do_not_count(project: Project) -> None:
    make_blob(project, b"{}")
    push(project, FOREIGN, "v1")
    assert used(project) == 2 + len(FOREIGN)


def test_one_document_as_blob_and_as_manifest_is_two_contents(project: Project) -> None:
    make_image(project)
    make_blob(project, IMAGE)
    assert used(project) == truly_held(project) == 7 + 2 * len(IMAGE)


def test_many_rows_of_one_statement_are_counted(project: Project) -> None:
    for number in range(5):
        make_blob(project, b"%d" % number)
        make_blob(project, b"%d" % number, "other")
    assert RepositoryBlob.objects.filter(repository__name="team/app").delete()[0] == 5
    assert holders(project) == [1] * 5
    # As an expiry of leases does it.
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM artifacts_repositoryblob")
    assert (holders(project), used(project)) == ([], 0)


def test_what_is_undone_does_not_count(project: Project) -> None:
    make_blob(project, b"content")
    with transaction.atomic():
        RepositoryBlob.objects.all().delete()
        transaction.set_rollback(True)
    assert (holders(project), used(project)) == ([1], 7)


def test_a_net_change_is_what_counts(project: Project) -> None:
    """A transaction may hold more on the way, as one that replaces something does."""
    make_blob(project, b"content")
    other = make_project("other")
    blob = make_blob(other, b"other")
    limit(project, 10)
    with transaction.atomic():
        own = RepositoryBlob.objects.get(repository__project=project)
        RepositoryBlob.objects.create(
            repository=own.repository, blob_id=blob.id, leased_until=own.leased_until
        )
        own.delete()
    assert used(project) == truly_held(project) == 5


def move(repository: Repository, project: Project) -> None:
    Repository.objects.filter(pk=repository.pk).update(project=project)


def test_a_repository_takes_what_it_holds_to_another_project(project: Project) -> None:
    make_image(project, "v1")
    make_blob(project, b"layer", "stays")
    other = make_project("other")
    repository = Repository.objects.get(name="team/app")
    move(repository, other)
    assert (used(project), used(other)) == (5, 7 + len(IMAGE))
    assert (truly_held(project), truly_held(other)) == (5, 7 + len(IMAGE))
    limit(project, 20)
    with pytest.raises(Exception, match="more than its limit") as refused, transaction.atomic():
        move(repository, project)
    cause = refused.value.__cause__
    assert isinstance(exceeded(cause.diag.message_detail), QuotaExceeded)  # type: ignore[union-attr]
    assert (used(project), used(other)) == (5, 7 + len(IMAGE))


def test_a_move_waits_for_those_who_write_into_the_repository(project: Project) -> None:
    blob = make_blob(project, b"content")
    make_blob(project, b"{}", "other")
    other, repository = make_project("other"), Repository.objects.get(name="team/other")
    expiry = RepositoryBlob.objects.latest("id").leased_until

    def work() -> None:
        move(repository, other)
        connection.close()

    mover = Thread(target=work)
    with transaction.atomic():
        # As a push does before it links anything.
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM artifacts_repository WHERE id = %s FOR KEY SHARE", [repository.pk]
            )
        mover.start()
        wait_for_lock()
        RepositoryBlob.objects.create(repository=repository, blob_id=blob.id, leased_until=expiry)
    mover.join(10)
    for each in (project, other):
        assert used(each) == truly_held(each)
    assert used(other) == 9


def test_cascades_of_the_orm_are_counted(project: Project) -> None:
    make_image(project, layers=())
    ManifestReference.objects.all().delete()
    Manifest.objects.all().delete()
    Repository.objects.all().delete()
    assert (holders(project), used(project)) == ([], 0)
