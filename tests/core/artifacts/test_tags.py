"""Tags that are set or deleted without a push."""

import pytest

from core.artifacts import queries
from core.artifacts.errors import ManifestUnknown, NameUnknown, TagExists
from core.artifacts.models import Tag
from core.artifacts.services.tags import create_tag, delete_tag
from core.audit.models import AuditEntry
from core.oci.digest import Digest
from core.oci.errors import TagInvalid
from core.projects.models import Project
from tests.factories.artifacts import PUSHER, VIEWER, head_manifest, make_image

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_new_tag_points_at_its_manifest(project: Project) -> None:
    image = make_image(project)
    create_tag("team/app", image.digest, "stable", actor=PUSHER)
    found = head_manifest("team/app", "stable", VIEWER).manifest
    assert found is not None
    assert found.id == image.id
    assert AuditEntry.objects.filter(action="tag.created").get().target_label == "team/app:stable"


def test_what_a_new_tag_needs(project: Project) -> None:
    absent = Digest.of(b"absent")
    with pytest.raises(NameUnknown):
        create_tag("team/app", absent, "v1", actor=PUSHER)
    image = make_image(project, "v1")
    with pytest.raises(ManifestUnknown):
        create_tag("team/app", absent, "v2", actor=PUSHER)
    with pytest.raises(TagExists):
        create_tag("team/app", image.digest, "v1", actor=PUSHER)
    with pytest.raises(TagInvalid):
        create_tag("team/app", image.digest, "v 1", actor=PUSHER)
    assert Tag.objects.count() == 1


def test_deleting_a_tag_keeps_manifest_siblings_and_history(project: Project) -> None:
    image = make_image(project, "v1")
    create_tag("team/app", image.digest, "v2", actor=PUSHER)
    delete_tag("team/app", "v1", actor=PUSHER)
    assert queries.list_tags(image.repository_id, "", 10) == ["v2"]
    assert head_manifest("team/app", image.digest, VIEWER).manifest is not None
    ended = Tag.objects.get(name="v1")
    assert (ended.ended_by, bytes(ended.digest)) == ("pusher", image.digest.to_bytes())
    assert AuditEntry.objects.filter(action="tag.deleted").count() == 1


def test_a_deleted_tag_may_come_back(project: Project) -> None:
    image = make_image(project, "v1")
    delete_tag("team/app", "v1", actor=PUSHER)
    with pytest.raises(ManifestUnknown):
        delete_tag("team/app", "v1", actor=PUSHER)
    create_tag("team/app", image.digest, "v1", actor=PUSHER)
    assert Tag.objects.filter(name="v1", ended_at=None).count() == 1
    assert Tag.objects.filter(name="v1").count() == 2


def test_deleting_a_tag_of_an_unknown_repository_is_refused(project: Project) -> None:
    with pytest.raises(NameUnknown):
        delete_tag("team/app", "v1", actor=PUSHER)
