"""The marks that lists of artifacts go by say what references and tags say, whoever writes."""

from collections.abc import Callable
from threading import Thread

import pytest
from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from core.artifacts.models import Manifest, ManifestReference, Tag
from core.artifacts.services.manifests import delete_manifest
from core.artifacts.services.marks import correct_marks
from core.artifacts.services.repositories import delete_repository
from core.artifacts.services.tags import create_tag, delete_tag
from core.artifacts.types import PushedManifest
from core.audit.models import AuditEntry
from core.oci.digest import Digest
from core.projects.models import Project
from tests.factories.artifacts import (
    PUSHER,
    image_document,
    index_document,
    make_blob,
    make_image,
    push,
)
from tests.support.crowds import at_once
from tests.support.locks import wait_for_lock

pytestmark = pytest.mark.django_db(transaction=True)

CHILD = image_document(b"{}", [b"layer"])
INDEX, OTHER_INDEX = index_document(CHILD), index_document(CHILD, CHILD)
APP = "team/app"


def marks(payload: bytes = CHILD) -> tuple[bool, bool]:
    manifest = Manifest.objects.get(digest=Digest.of(payload).to_bytes())
    return manifest.is_child, manifest.may_be_tagged


def ensure_right() -> None:
    """Expect every mark to say what is there."""
    rows = Manifest.objects.annotate(
        listed=Exists(ManifestReference.objects.filter(child=OuterRef("pk"))),
        tagged=Exists(Tag.objects.filter(manifest=OuterRef("pk"))),
    )
    for row in rows:
        assert row.is_child == row.listed
        assert row.may_be_tagged or not row.tagged


def test_every_write_keeps_the_marks(project: Project) -> None:
    steps: list[tuple[Callable[[], object], tuple[bool, bool]]] = [
        (lambda: make_image(project), (False, False)),
        (lambda: push(project, INDEX, "all"), (True, False)),
        (lambda: push(project, OTHER_INDEX), (True, False)),
        (lambda: create_tag(APP, Digest.of(CHILD), "amd64", actor=PUSHER), (True, True)),
        (lambda: delete_tag(APP, "amd64", actor=PUSHER), (True, True)),
        (lambda: delete_manifest(APP, Digest.of(INDEX), actor=PUSHER), (True, True)),
        (lambda: delete_manifest(APP, Digest.of(OTHER_INDEX), actor=PUSHER), (False, True)),
        (lambda: push(project, CHILD, "v1"), (False, True)),
    ]
    for number, (step, expected) in enumerate(steps):
        step()
        assert marks() == expected, number
        ensure_right()
    assert marks(CHILD) == (False, True)
    delete_repository(APP, actor=PUSHER)
    assert not ManifestReference.objects.exists()


def test_a_child_that_comes_after_its_index_is_marked(project: Project) -> None:
    make_blob(project, b"{}")
    make_blob(project, b"layer")
    push(project, INDEX, "all")
    push(project, CHILD)
    assert marks() == (True, False)
    assert marks(INDEX) == (False, True)


def test_writes_beside_the_services_are_noticed(project: Project) -> None:
    child = make_image(project).id
    first, second = push(project, INDEX).id, push(project, OTHER_INDEX).id
    ManifestReference.objects.filter(parent=second).update(child=None)
    assert marks() == (True, False)
    ManifestReference.objects.filter(parent=first).update(child=None)
    assert marks() == (False, False)
    ManifestReference.objects.filter(parent=first).update(child=child)
    assert marks() == (True, False)
    with transaction.atomic():
        ManifestReference.objects.filter(parent=first).delete()
        assert marks() == (False, False)
        transaction.set_rollback(True)
    assert marks() == (True, False)


def test_indexes_that_come_and_go_at_once(project: Project) -> None:
    """Two indexes of the same children, in another order, and a tag of a child beside them."""
    make_blob(project, b"{}")
    images = [image_document(annotations={"number": str(number)}) for number in range(3)]
    indexes = [index_document(*images), index_document(*reversed(images))]

    def work(number: int) -> object:
        if number == 4:
            return push(project, images[1], "latest")
        payload = indexes[number % 2]
        if number < 2:
            return push(project, payload, "latest")
        return delete_manifest(APP, Digest.of(payload), actor=PUSHER)

    for _ in range(8):
        for image in images:
            push(project, image)
        results = at_once(5, work)
        assert all(isinstance(result, PushedManifest) for result in (*results[:2], results[4]))
        ensure_right()


@pytest.mark.parametrize("comes_first", [True, False])
def test_the_last_reference_goes_while_another_comes(project: Project, comes_first: bool) -> None:
    """Without the lock of the repository that services take: the marks have locks of their own."""
    make_image(project)
    leaving = push(project, INDEX).id
    coming = push(project, OTHER_INDEX).id
    ManifestReference.objects.filter(parent=coming).update(child=None)
    child = Manifest.objects.get(digest=Digest.of(CHILD).to_bytes()).pk

    def come() -> None:
        ManifestReference.objects.filter(parent=coming).update(child=child)

    def leave() -> None:
        ManifestReference.objects.filter(parent=leaving).delete()

    here, there = (come, leave) if comes_first else (leave, come)

    def work() -> None:
        there()
        connection.close()

    other = Thread(target=work)
    with transaction.atomic():
        here()
        other.start()
        wait_for_lock()
    other.join(10)
    assert marks() == (True, False)


def test_a_defect_is_corrected_and_recorded(project: Project) -> None:
    make_image(project)
    push(project, INDEX, "all")
    assert correct_marks(0, 10, actor=PUSHER)[0] == 0
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE artifacts_manifest SET is_child = NOT is_child, may_be_tagged = false"
        )
    last_id = 0
    corrected = 0
    while True:
        found, last = correct_marks(last_id, 1, actor=PUSHER)
        if last is None:
            break
        last_id, corrected = last, corrected + found
    assert corrected == 2
    ensure_right()
    assert marks() == (True, False)
    entries = AuditEntry.objects.filter(action="artifact.marks_corrected")
    assert [entry.detail for entry in entries] == [{"manifests": 1}] * 2
