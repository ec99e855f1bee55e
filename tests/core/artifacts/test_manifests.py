"""Pushing and deleting manifests."""

import pytest

from core.artifacts import queries
from core.artifacts.errors import (
    ContentInUse,
    ManifestBlobUnknown,
    ManifestUnknown,
    NameUnknown,
    PreconditionFailed,
)
from core.artifacts.models import Manifest, ManifestReference, Repository, RepositoryBlob, Tag
from core.artifacts.rules import LEASE_AFTER_DELETE
from core.artifacts.services.manifests import delete_manifest
from core.artifacts.types import PushedManifest
from core.audit.models import AuditEntry
from core.blobs.errors import DigestMismatch
from core.common.clock import now
from core.oci.digest import Digest
from core.oci.errors import ManifestInvalid, TagInvalid
from core.projects.models import Project
from tests.factories.artifacts import (
    PUSHER,
    VIEWER,
    find_manifest,
    head_manifest,
    image_document,
    index_document,
    make_blob,
    make_image,
    push,
)

pytestmark = pytest.mark.django_db(transaction=True)

ABSENT = Digest.of(b"nowhere")


def tag_history(name: str) -> list[tuple[str, bool]]:
    rows = Tag.objects.filter(name=name).order_by("id")
    return [(str(Digest.from_bytes(bytes(row.digest))), row.ended_at is None) for row in rows]


def test_a_pushed_manifest_is_found_byte_for_byte_under_digest_and_tag(project: Project) -> None:
    make_blob(project, b"{}")
    payload = b"\n" + image_document(b"{}") + b"  \n"
    pushed = push(project, payload, "v1")
    for reference in (pushed.digest, "v1"):
        found = find_manifest("team/app", reference, VIEWER).manifest
        assert found is not None
        assert (found.payload, found.digest, found.id) == (payload, pushed.digest, pushed.id)
        assert found.media_type == "application/vnd.oci.image.manifest.v1+json"


def test_a_push_by_sha512_is_found_under_it_by_its_tags(project: Project) -> None:
    make_blob(project, b"{}")
    payload = image_document(b"{}")
    digest = Digest.of(payload, "sha512")
    pushed = push(project, payload, digest, extra_tags=["b", "a", "b"])
    assert pushed.tags == ("a", "b")
    found = head_manifest("team/app", "a", VIEWER).manifest
    assert found is not None
    assert found.digest == digest
    both = push(project, payload)
    assert both.created
    delete_manifest("team/app", digest, actor=PUSHER)
    assert head_manifest("team/app", both.digest, VIEWER).manifest is not None


def test_extra_tags_of_a_push_by_tag_are_ignored(project: Project) -> None:
    make_blob(project, b"{}")
    pushed = push(project, image_document(), "v1", extra_tags=["v2"])
    assert pushed.tags == ("v1",)
    assert list(Tag.objects.values_list("name", flat=True)) == ["v1"]


@pytest.mark.parametrize("tag", ["a" * 129, ".x", "-x", "a+b", "a/b", ""])
def test_a_bad_tag_is_refused_before_anything_is_written(project: Project, tag: str) -> None:
    make_blob(project, b"{}")
    with pytest.raises(TagInvalid):
        push(project, image_document(), extra_tags=["good", tag])
    assert not Manifest.objects.exists()


def test_bytes_that_do_not_have_the_digest_are_refused(project: Project) -> None:
    with pytest.raises(DigestMismatch):
        push(project, image_document(), ABSENT)


def test_every_missing_digest_is_named_once(project: Project) -> None:
    make_blob(project, b"there")
    payload = image_document(b"{}", [b"there", b"gone", b"lost", b"gone"])
    with pytest.raises(ManifestBlobUnknown) as refusal:
        push(project, payload, "v1")
    assert refusal.value.digests == tuple(map(Digest.of, (b"{}", b"gone", b"lost")))
    assert not Tag.objects.exists()


def test_missing_content_leaves_no_repository(project: Project) -> None:
    with pytest.raises(ManifestBlobUnknown):
        push(project, image_document())
    assert not Repository.objects.exists()


def test_a_blob_of_another_repository_does_not_count(project: Project) -> None:
    make_blob(project, b"{}", "elsewhere")
    with pytest.raises(ManifestBlobUnknown):
        push(project, image_document(b"{}"))


def test_a_wrong_size_is_refused(project: Project) -> None:
    make_blob(project, b"{}")
    payload = image_document(b"{}").replace(b'"size": 2', b'"size": 3')
    with pytest.raises(ManifestInvalid, match="size"):
        push(project, payload)


def test_blobs_listed_in_an_index_of_a_build_cache_are_accepted(project: Project) -> None:
    make_blob(project, b"cache")
    pushed = push(project, index_document(b"cache", media_type="application/x.cache"))
    reference = ManifestReference.objects.get(parent=pushed.id)
    assert (reference.role, reference.child_id, reference.blob_id is not None) == (
        "layer",
        None,
        True,
    )


def test_a_child_listed_twice_and_an_empty_index_are_accepted(project: Project) -> None:
    make_image(project)
    child = image_document(b"{}", [b"layer"])
    twice = push(project, index_document(child, child))
    empty = push(project, index_document())
    assert ManifestReference.objects.filter(parent=twice.id).count() == 2
    assert not ManifestReference.objects.filter(parent=empty.id).exists()


def test_sizes_are_added_up_once_for_each_content(project: Project) -> None:
    image = make_image(project, layers=(b"layer", b"layer", b"more"))
    payload = image_document(b"{}", (b"layer", b"layer", b"more"))
    index = push(project, index_document(payload))
    total = len(payload) + len(b"{}layermore")
    assert Manifest.objects.get(pk=image.id).total_bytes == total
    assert Manifest.objects.get(pk=index.id).total_bytes == total + len(index_document(payload))


def test_a_manifest_about_something_unknown_is_accepted(project: Project) -> None:
    make_blob(project, b"{}")
    pushed = push(project, image_document(subject=b"not here"))
    assert pushed.subject == Digest.of(b"not here")


def test_pushing_again_changes_nothing(project: Project) -> None:
    first = make_image(project, "v1")
    again = make_image(project, "v1")
    assert (first.created, again.created) == (True, False)
    assert again.id == first.id
    assert ManifestReference.objects.count() == 2
    assert tag_history("v1") == [(str(first.digest), True)]


def test_a_moved_tag_keeps_its_history(project: Project) -> None:
    old = make_image(project, "v1")
    new = make_image(project, "v1", layers=(b"new layer",))
    assert tag_history("v1") == [(str(old.digest), False), (str(new.digest), True)]
    ended, live = Tag.objects.order_by("id")
    assert (ended.ended_at, ended.ended_by) == (live.started_at, "pusher")
    assert ended.manifest_id is None


def test_what_is_written_is_audited_in_the_same_transaction(project: Project) -> None:
    make_image(project, "v1")
    make_image(project, "v1", layers=(b"new layer",))
    delete_manifest("team/app", Digest.of(image_document(b"{}", [b"layer"])), actor=PUSHER)
    actions = list(AuditEntry.objects.order_by("id").values_list("action", flat=True))
    assert [action for action in actions if not action.startswith("blob.")] == [
        "repository.created",
        "artifact.pushed",
        "tag.created",
        "artifact.pushed",
        "tag.moved",
        "artifact.deleted",
    ]
    entry = AuditEntry.objects.filter(action="tag.moved").get()
    assert (entry.target_label, entry.actor_label, entry.address) == (
        "team/app:v1",
        "pusher",
        "192.0.2.7",
    )


@pytest.mark.parametrize(
    ("if_match", "if_none_match", "accepted"),
    [
        (None, "*", False),
        ("*", None, True),
        ('"{digest}"', None, True),
        ('"sha256:aa", "{digest}"', None, True),
        ('"sha256:aa"', None, False),
        (None, '"{digest}"', False),
        (None, '"sha256:aa"', True),
    ],
)
def test_preconditions_on_an_existing_tag(
    project: Project, if_match: str | None, if_none_match: str | None, accepted: bool
) -> None:
    digest = str(make_image(project, "v1").digest)
    make_blob(project, b"2")

    def push_anew() -> PushedManifest:
        return push(
            project,
            image_document(b"2"),
            "v1",
            if_match=if_match and if_match.format(digest=digest),
            if_none_match=if_none_match and if_none_match.format(digest=digest),
        )

    if accepted:
        assert push_anew().created
    else:
        with pytest.raises(PreconditionFailed):
            push_anew()
        assert Manifest.objects.count() == 1


def test_preconditions_on_a_new_reference(project: Project) -> None:
    make_blob(project, b"{}")
    with pytest.raises(PreconditionFailed):
        push(project, image_document(), "v1", if_match="*")
    with pytest.raises(PreconditionFailed):
        push(project, image_document(), if_match="*")
    assert push(project, image_document(), if_none_match="*").created
    with pytest.raises(PreconditionFailed):
        push(project, image_document(), if_none_match="*")


def test_a_push_into_a_deleted_project_is_refused(project: Project) -> None:
    gone = Project(pk=project.pk, name="team")
    project.delete()
    with pytest.raises(NameUnknown):
        push(gone, index_document())


def test_deleting_a_manifest_takes_its_tags_and_leaves_their_history(project: Project) -> None:
    pushed = make_image(project, "v1")
    push(project, image_document(b"{}", [b"layer"]), extra_tags=["v2"])
    kept = make_image(project, "v3", layers=(b"new",))
    delete_manifest("team/app", pushed.digest, actor=PUSHER)
    assert queries.list_tags(pushed.repository_id, "", 10) == ["v3"]
    assert tag_history("v1") == [(str(pushed.digest), False)]
    assert head_manifest("team/app", pushed.digest, VIEWER).manifest is None
    assert head_manifest("team/app", kept.digest, VIEWER).manifest is not None


def test_deleting_what_is_missing_is_refused(project: Project) -> None:
    with pytest.raises(NameUnknown):
        delete_manifest("team/app", ABSENT, actor=PUSHER)
    make_image(project)
    with pytest.raises(ManifestUnknown):
        delete_manifest("team/app", ABSENT, actor=PUSHER)


def test_a_child_of_a_live_index_stays(project: Project) -> None:
    child = make_image(project)
    index = push(project, index_document(image_document(b"{}", [b"layer"])), "v1")
    with pytest.raises(ContentInUse, match=str(index.digest)):
        delete_manifest("team/app", child.digest, actor=PUSHER)
    delete_manifest("team/app", index.digest, actor=PUSHER)
    delete_manifest("team/app", child.digest, actor=PUSHER)
    assert not Manifest.objects.exists()


def test_deleting_a_manifest_leases_its_blobs_anew(project: Project) -> None:
    pushed = make_image(project)
    RepositoryBlob.objects.update(leased_until=now() - LEASE_AFTER_DELETE)
    before = now()
    delete_manifest("team/app", pushed.digest, actor=PUSHER)
    leases = RepositoryBlob.objects.values_list("leased_until", flat=True)
    assert len(leases) == 2
    assert all(lease >= before + LEASE_AFTER_DELETE for lease in leases)


def test_deleting_an_index_starts_the_clock_of_its_children(project: Project) -> None:
    child = make_image(project)
    index = push(project, index_document(image_document(b"{}", [b"layer"])))
    Manifest.objects.update(touched_at=now() - LEASE_AFTER_DELETE)
    before = now()
    delete_manifest("team/app", index.digest, actor=PUSHER)
    assert Manifest.objects.get(pk=child.id).touched_at >= before
