"""References that wait for content which arrives later."""

from dataclasses import replace
from threading import Event, Thread

import pytest
from django.db import connection, transaction
from pytest_django.fixtures import Settings

from core.artifacts.errors import BlobUnknown, ContentInUse, ManifestBlobUnknown
from core.artifacts.models import Manifest, ManifestReference, Repository
from core.artifacts.services.blobs import delete_blob, mount_blob
from core.artifacts.services.manifests import delete_manifest
from core.artifacts.services.repositories import delete_repository
from core.artifacts.types import PushedManifest, StoredBlob
from core.oci.digest import Digest
from core.oci.media_types import OCI_IMAGE_INDEX
from core.projects.models import Project
from tests.factories.artifacts import (
    PUSHER,
    find_manifest,
    image_document,
    index_document,
    make_blob,
    make_image,
    push,
)
from tests.support.crowds import at_once

pytestmark = pytest.mark.django_db(transaction=True)

CHILD = image_document(b"{}", [b"layer"])
OTHER = image_document(b"{}", [b"other layer"])
CHILD_DIGEST = Digest.of(CHILD).to_bytes()
CONTENT_BYTES = len(b"{}") + len(b"layer")


@pytest.fixture
def missing_blobs_are_accepted(settings: Settings) -> None:
    limits = replace(settings.ROADSTEAD.limits, accepts_missing_blobs=True)
    settings.ROADSTEAD = replace(settings.ROADSTEAD, limits=limits)


def children(parent: PushedManifest) -> list[int | None]:
    rows = ManifestReference.objects.filter(parent=parent.id).order_by("position")
    return list(rows.values_list("child", flat=True))


def blobs(parent: PushedManifest) -> list[int | None]:
    rows = ManifestReference.objects.filter(parent=parent.id).order_by("position")
    return list(rows.values_list("blob", flat=True))


def total_bytes(pushed: PushedManifest) -> int:
    return Manifest.objects.get(pk=pushed.id).total_bytes


def test_an_index_may_come_first_and_is_bound_when_the_child_comes(project: Project) -> None:
    index = index_document(CHILD, OTHER)
    pushed = push(project, index, "all")
    found = find_manifest("team/app", "all").manifest
    assert found is not None
    assert found.payload == index
    assert children(pushed) == [None, None]
    assert total_bytes(pushed) == len(index) + len(CHILD) + len(OTHER)
    child = make_image(project)
    assert children(pushed) == [child.id, None]
    assert total_bytes(pushed) == len(index) + len(CHILD) + len(OTHER) + CONTENT_BYTES


def test_a_child_is_bound_to_every_index_that_waits_for_it(project: Project) -> None:
    indexes = [push(project, index_document(*kids)) for kids in ([CHILD], [CHILD, OTHER, CHILD])]
    elsewhere = push(project, index_document(CHILD), path="elsewhere")
    child = make_image(project)
    assert children(indexes[0]) == [child.id]
    assert children(indexes[1]) == [child.id, None, child.id]
    assert children(elsewhere) == [None]
    with pytest.raises(ContentInUse):
        delete_manifest("team/app", child.digest, actor=PUSHER)


def test_the_outermost_index_grows_with_the_innermost_child(project: Project) -> None:
    inner = index_document(CHILD)
    lattice = [index_document(inner, media_type=OCI_IMAGE_INDEX)]
    lattice.append(index_document(inner, *lattice, media_type=OCI_IMAGE_INDEX))
    pushed = [push(project, document) for document in reversed(lattice)]
    innermost = push(project, inner)
    before = [total_bytes(manifest) for manifest in (*pushed, innermost)]
    make_image(project)
    after = [total_bytes(manifest) for manifest in (*pushed, innermost)]
    # The outermost lists the innermost itself and through the one between.
    assert [new - old for old, new in zip(before, after, strict=True)] == [
        2 * CONTENT_BYTES,
        CONTENT_BYTES,
        CONTENT_BYTES,
    ]
    document = index_document(*lattice, inner, media_type=OCI_IMAGE_INDEX)
    assert total_bytes(push(project, document)) == len(document) + sum(after)


def test_a_reference_with_another_size_waits_on(project: Project) -> None:
    lie = index_document(CHILD).replace(b'"size": %d' % len(CHILD), b'"size": 1')
    pushed = push(project, lie)
    child = make_image(project)
    assert children(pushed) == [None]
    delete_manifest("team/app", child.digest, actor=PUSHER)


def test_an_index_without_its_child_can_be_deleted_and_pushed_again(project: Project) -> None:
    index = index_document(CHILD)
    pushed = push(project, index)
    assert not push(project, index, "again").created
    delete_manifest("team/app", pushed.digest, actor=PUSHER)
    make_image(project)
    assert children(push(project, index)) == [Manifest.objects.get(digest=CHILD_DIGEST).pk]
    delete_repository("team/app", actor=PUSHER)
    assert not ManifestReference.objects.exists()


def test_an_index_is_the_first_push_into_a_repository(project: Project) -> None:
    push(project, index_document(CHILD), "all", "new")
    assert Repository.objects.get().name == "team/new"


def test_entries_of_an_index_that_are_no_manifests_must_be_there(project: Project) -> None:
    with pytest.raises(ManifestBlobUnknown):
        push(project, index_document(b"cache", media_type="application/x.cache"))


@pytest.mark.usefixtures("missing_blobs_are_accepted")
def test_blobs_are_bound_when_they_are_uploaded_or_mounted(project: Project) -> None:
    image = push(project, CHILD, "v1")
    assert blobs(image) == [None, None]
    size = total_bytes(image)
    config = make_blob(project, b"{}")
    layer = make_blob(project, b"layer", "elsewhere")
    assert blobs(image) == [config.id, None]
    mount_blob(
        layer.digest,
        source="team/elsewhere",
        target_name="team/app",
        project_id=project.pk,
        actor=PUSHER,
        readable=lambda _: True,
    )
    assert blobs(image) == [config.id, layer.id]
    assert total_bytes(image) == size == len(CHILD) + CONTENT_BYTES
    with pytest.raises(ContentInUse):
        delete_blob("team/app", layer.digest, actor=PUSHER)


@pytest.mark.usefixtures("missing_blobs_are_accepted")
def test_a_missing_blob_is_unknown_until_it_comes(project: Project) -> None:
    push(project, CHILD)
    with pytest.raises(BlobUnknown):
        delete_blob("team/app", Digest.of(b"layer"), actor=PUSHER)


def test_index_and_children_pushed_at_once_are_bound(project: Project) -> None:
    documents = [CHILD, OTHER, index_document(CHILD, OTHER), index_document(OTHER, CHILD)]
    documents.append(index_document(*documents[2:], media_type=OCI_IMAGE_INDEX))
    sizes: set[tuple[int, ...]] = set()
    for round_number in range(8):
        path = f"app-{round_number}"
        for content in (b"{}", b"layer", b"other layer"):
            make_blob(project, content, path)
        results = at_once(
            10,
            lambda number, p=path: push(project, documents[number % 5], path=p),  # type: ignore[misc]
        )
        assert all(isinstance(result, PushedManifest) for result in results), results
        found = Manifest.objects.filter(repository__name=f"team/{path}").order_by("digest")
        sizes.add(tuple(found.values_list("total_bytes", flat=True)))
    assert not ManifestReference.objects.filter(role="child", child=None).exists()
    # Whatever the order, the sizes come out the same.
    assert len(sizes) == 1


@pytest.mark.usefixtures("missing_blobs_are_accepted")
def test_image_and_blobs_pushed_at_once_are_bound(project: Project) -> None:
    for round_number in range(8):
        path = f"app-{round_number}"

        def work(number: int, path: str = path) -> object:
            if number % 2:
                return make_blob(project, (b"{}", b"layer")[number % 4 // 2], path)
            return push(project, CHILD, f"t{number}", path)

        results = at_once(8, work)
        assert all(isinstance(result, PushedManifest | StoredBlob) for result in results), results
    assert not ManifestReference.objects.filter(blob=None).exists()


def test_an_index_waits_for_the_push_of_its_child_to_commit(project: Project) -> None:
    """The race step by step: the child is stored, not committed, when the index comes."""
    make_blob(project, b"{}")
    make_blob(project, b"layer")
    stored, may_commit = Event(), Event()
    outcome: list[object] = []

    def push_child() -> None:
        try:
            with transaction.atomic():
                repository = Repository.objects.raw(
                    "SELECT id FROM artifacts_repository WHERE name = 'team/app' FOR KEY SHARE"
                )[0]
                with connection.cursor() as cursor:
                    cursor.execute(
                        "INSERT INTO artifacts_manifest (repository_id, digest, media_type,"
                        " size_bytes, payload, annotations, total_bytes, pushed_at, pushed_by,"
                        " touched_at) VALUES (%s, %s, '', %s, %s, '{}', 1, now(), '', now())",
                        [repository.pk, CHILD_DIGEST, len(CHILD), CHILD],
                    )
                stored.set()
                may_commit.wait(10)
        finally:
            connection.close()

    def push_index() -> None:
        outcome.extend(at_once(1, lambda _: push(project, index_document(CHILD))))

    first, second = Thread(target=push_child), Thread(target=push_index)
    first.start()
    assert stored.wait(10)
    second.start()
    second.join(0.5)
    assert outcome == []
    may_commit.set()
    first.join(10)
    second.join(10)
    (pushed,) = outcome
    assert isinstance(pushed, PushedManifest)
    assert children(pushed) == [Manifest.objects.get(digest=CHILD_DIGEST).pk]
