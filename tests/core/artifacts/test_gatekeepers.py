"""Those who may refuse a write."""

import pytest
from pytest_django.fixtures import Settings

from core.artifacts.models import Manifest, Repository, Tag
from core.artifacts.services.blobs import delete_blob, mount_blob
from core.artifacts.services.manifests import delete_manifest
from core.artifacts.services.repositories import delete_repository
from core.artifacts.services.tags import create_tag, delete_tag
from core.artifacts.types import PendingWrite
from core.common.errors import DomainError, ErrorKind
from core.oci.digest import Digest
from core.projects.models import Project
from tests.factories.artifacts import PUSHER, image_document, make_blob, make_image, push

pytestmark = pytest.mark.django_db(transaction=True)

ASKED: list[PendingWrite] = []


class TagImmutable(DomainError):
    code = "DENIED"
    kind = ErrorKind.DENIED


def remember(write: PendingWrite) -> None:
    ASKED.append(write)


def refuse_moves(write: PendingWrite) -> None:
    if write.moved_tags:
        raise TagImmutable


@pytest.fixture(autouse=True)
def gatekeepers(settings: Settings) -> None:
    ASKED.clear()
    settings.GATEKEEPERS = (f"{__name__}.remember", f"{__name__}.refuse_moves")


def test_a_refusal_undoes_the_whole_push(project: Project) -> None:
    image = make_image(project, "v1")
    make_blob(project, b"2")
    with pytest.raises(TagImmutable):
        push(project, image_document(b"2"), extra_tags=["v0", "v1", "v2"])
    assert list(Tag.objects.values_list("name", flat=True)) == ["v1"]
    assert Manifest.objects.get().pk == image.id
    assert ASKED[-1].moved_tags == {"v1": image.digest}
    assert make_image(project, "v1").id == image.id


def test_every_write_is_asked_about(project: Project, settings: Settings) -> None:
    settings.GATEKEEPERS = (f"{__name__}.remember",)
    image = make_image(project, layers=())
    create_tag("team/app", image.digest, "v1", actor=PUSHER)
    delete_tag("team/app", "v1", actor=PUSHER)
    delete_manifest("team/app", image.digest, actor=PUSHER)
    mount_blob(
        Digest.of(b"{}"),
        source="team/app",
        target_name="team/target",
        project_id=project.pk,
        actor=PUSHER,
        readable=lambda _: True,
    )
    delete_blob("team/app", Digest.of(b"{}"), actor=PUSHER)
    delete_repository("team/app", actor=PUSHER)
    assert [write.action for write in ASKED] == [
        "blob.push",
        "manifest.push",
        "tag.create",
        "tag.delete",
        "manifest.delete",
        "blob.mount",
        "blob.delete",
        "repository.delete",
    ]
    assert [write.size_bytes for write in ASKED[:2]] == [2, 2 + len(image_document(b"{}"))]
    assert Repository.objects.get().name == "team/target"
