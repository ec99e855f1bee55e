"""Writes of repositories themselves."""

import pytest
from django.contrib.auth.models import Permission

from core.artifacts.errors import NameUnknown
from core.artifacts.models import (
    Manifest,
    ManifestReference,
    PullRecord,
    Repository,
    RepositoryBlob,
    Tag,
)
from core.artifacts.services.repositories import delete_repository, update_repository
from core.audit.models import AuditEntry
from core.blobs.errors import UploadUnknown
from core.blobs.models import Blob
from core.grants.models import RepositoryUserGrant
from core.oci.digest import Digest
from core.projects.models import Project
from tests.factories.artifacts import (
    PUSHER,
    finish,
    image_document,
    index_document,
    make_image,
    make_upload,
    push,
    write_chunk,
)
from tests.factories.members import make_person

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_first_push_makes_the_repository(project: Project) -> None:
    make_image(project, path="deep/er/app")
    repository = Repository.objects.get()
    assert (repository.name, repository.project_id) == ("team/deep/er/app", project.pk)
    assert AuditEntry.objects.filter(action="repository.created").count() == 1


def test_a_project_cannot_take_anothers_repository(project: Project) -> None:
    make_image(project)
    impostor = Project(pk=project.pk + 1, name="team")
    with pytest.raises(NameUnknown):
        push(impostor, index_document())


def test_the_description_is_changed_and_audited(project: Project) -> None:
    make_image(project)
    update_repository("team/app", description="What it does", actor=PUSHER)
    assert Repository.objects.get().description == "What it does"
    assert AuditEntry.objects.filter(action="repository.updated").count() == 1
    with pytest.raises(NameUnknown):
        update_repository("team/nowhere", description="", actor=PUSHER)


def test_a_deleted_repository_takes_everything_but_shared_bytes(project: Project) -> None:
    kept = make_image(project, "v1", path="kept")
    image = make_image(project, "v1")
    push(project, index_document(image_document(b"{}", [b"layer"])), "all")
    permission = Permission.objects.get(codename="pull", content_type__app_label="artifacts")
    RepositoryUserGrant.objects.create(
        user=make_person("reader"), permission=permission, content_object_id=image.repository_id
    )
    upload = make_upload(project)
    write_chunk(upload, b"content")
    delete_repository("team/app", actor=PUSHER)
    for model in (Manifest, Tag, RepositoryBlob):
        assert set(model.objects.values_list("repository_id", flat=True)) == {kept.repository_id}
    assert ManifestReference.objects.count() == 2
    assert not RepositoryUserGrant.objects.exists()
    assert not PullRecord.objects.exists()
    assert Blob.objects.count() == 2
    assert AuditEntry.objects.filter(action="repository.deleted").count() == 1
    with pytest.raises(UploadUnknown):
        finish(upload, Digest.of(b"content"))
    with pytest.raises(NameUnknown):
        delete_repository("team/app", actor=PUSHER)
