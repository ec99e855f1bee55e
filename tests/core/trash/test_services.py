"""What is deleted, comes back, and is let go of."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from guardian.shortcuts import assign_perm

from core.artifacts.errors import ManifestUnknown
from core.artifacts.models import (
    Manifest,
    ManifestLabel,
    Repository,
    RepositoryBlob,
    Tag,
    TrashedBlob,
    TrashedLabel,
    TrashedManifest,
    TrashEntry,
)
from core.artifacts.services.blobs import delete_blob
from core.artifacts.services.manifests import delete_manifest
from core.artifacts.services.repositories import delete_repository, update_repository
from core.artifacts.services.tags import create_tag, delete_tag
from core.artifacts.types import PushedManifest
from core.audit.models import AuditEntry
from core.blobs.models import Blob
from core.common.clock import now
from core.common.errors import DomainError
from core.database import raw
from core.grants.models import TrashedGrant
from core.grants.queries import list_repository_grants
from core.labels.services import delete_label, update_label
from core.moves.services import transfer_repository
from core.oci.digest import Digest
from core.projects.models import Project
from core.projects.services import delete_project, update_project
from core.rbac.types import Actor
from core.trash import queries, services
from core.trash.errors import NameTakenMeanwhile, RestoredTagsInvalid, TrashEntryUnknown
from core.trash.types import LeftOut
from core.users.services import delete_user
from tests.factories.artifacts import (
    PUSHER,
    image_document,
    index_document,
    make_image,
    push,
)
from tests.factories.labels import make_label, put_label
from tests.factories.members import make_group
from tests.factories.projects import make_project
from tests.factories.users import make_user
from tests.support.crowds import at_once

APP = "team/app"
LAYER = Digest.of(b"layer").to_bytes()


def entry_of(project: Project) -> TrashEntry:
    return queries.list_entries(project, now())[0]


def live_tags(name: str = APP) -> dict[str, Digest]:
    tags = Tag.objects.filter(repository__name=name, ended_at=None)
    return {tag.name: Digest.from_bytes(bytes(tag.digest)) for tag in tags}


def remove_all_blobs() -> None:
    with transaction.atomic():
        raw.execute("DELETE FROM blobs_blob")
        connection.check_constraints()


def test_a_deleted_manifest_comes_back_as_it_was(project: Project) -> None:
    image = make_image(project, "v1")
    create_tag(APP, image.digest, "v2", actor=PUSHER)
    before = Manifest.objects.get()
    delete_manifest(APP, image.digest, actor=PUSHER)
    entry = entry_of(project)
    assert (entry.kind, entry.path, entry.manifest_count) == ("manifest", "app", 1)
    assert entry.total_bytes == before.total_bytes
    assert entry.kept_until - entry.deleted_at == timedelta(days=7)
    assert Manifest.objects.count() == 0
    # Whoever takes the blobs out of the repository meanwhile cannot remove them.
    for content in (b"{}", b"layer"):
        delete_blob(APP, Digest.of(content), actor=PUSHER)
    with pytest.raises(IntegrityError):
        remove_all_blobs()
    services.restore_entry(project, entry.pk, actor=PUSHER)
    after = Manifest.objects.get()
    for field in ("digest", "payload", "media_type", "annotations", "total_bytes", "pushed_at"):
        assert getattr(after, field) == getattr(before, field), field
    assert live_tags() == {"v1": image.digest, "v2": image.digest}
    assert RepositoryBlob.objects.count() == 2
    assert after.references.exclude(blob=None).count() == 2
    assert not TrashEntry.objects.exists()
    assert not TrashedBlob.objects.exists()
    assert set(
        AuditEntry.objects.filter(action__contains="restored").values_list("action", flat=True)
    ) == {"artifact.restored", "trash.entry.restored"}


def test_a_deleted_tag_comes_back_even_after_its_manifest_went(project: Project) -> None:
    image = make_image(project, "v1")
    delete_tag(APP, "v1", actor=PUSHER)
    tag_entry = entry_of(project)
    delete_manifest(APP, image.digest, actor=PUSHER)
    services.restore_entry(project, tag_entry.pk, actor=PUSHER)
    assert live_tags() == {"v1": image.digest}
    assert not TrashEntry.objects.exists()


def test_names_that_something_else_took_are_not_taken_back(project: Project) -> None:
    image = make_image(project, "v1")
    create_tag(APP, image.digest, "v2", actor=PUSHER)
    delete_manifest(APP, image.digest, actor=PUSHER)
    entry = entry_of(project)
    other = make_image(project, "v1", config=b'{"a":1}')
    with pytest.raises(NameTakenMeanwhile, match="v1"):
        services.restore_entry(project, entry.pk, actor=PUSHER)
    with pytest.raises(RestoredTagsInvalid, match="v1, v2"):
        services.restore_entry(project, entry.pk, tags=["v3"], actor=PUSHER)
    assert Manifest.objects.count() == 1
    services.restore_entry(project, entry.pk, tags=["v2"], actor=PUSHER)
    assert live_tags() == {"v1": other.digest, "v2": image.digest}
    with pytest.raises(TrashEntryUnknown):
        services.restore_entry(project, entry.pk, actor=PUSHER)


def test_a_push_of_what_is_in_the_trash_takes_precedence(project: Project) -> None:
    image = make_image(project, "v1")
    delete_manifest(APP, image.digest, actor=PUSHER)
    assert make_image(project, "v2").created
    services.restore_entry(project, entry_of(project).pk, actor=PUSHER)
    assert live_tags() == {"v1": image.digest, "v2": image.digest}
    assert Manifest.objects.count() == 1


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_an_index_brings_its_children_along(project: Project, algorithm: str) -> None:
    child = image_document(b"{}", [b"layer"])
    make_image(project)
    inner = index_document(child)
    push(project, inner)
    outer = index_document(inner, media_type="application/vnd.oci.image.index.v1+json")
    digest = Digest.of(outer, algorithm)
    push(project, outer, digest, extra_tags=["multi"])
    for each in (digest, Digest.of(inner), Digest.of(child)):
        delete_manifest(APP, each, actor=PUSHER)
    assert Manifest.objects.count() == 0
    entry = TrashEntry.objects.get(digest=digest.to_bytes())
    services.restore_entry(project, entry.pk, actor=PUSHER)
    assert Manifest.objects.count() == 3
    assert not Manifest.objects.filter(references__child=None, references__blob=None).exists()
    assert live_tags() == {"multi": digest}
    assert not TrashEntry.objects.exists()


def test_a_repository_comes_back_with_its_history(project: Project) -> None:
    first = make_image(project, "v1")
    second = make_image(project, "v1", config=b'{"a":1}')
    child = image_document(b"{}", [b"layer"])
    push(project, index_document(child), "multi")
    update_repository(APP, description="ours", actor=PUSHER)
    periods = list(Tag.objects.order_by("id").values_list("name", "digest", "ended_at"))
    created_at = Repository.objects.get().created_at
    delete_repository(APP, actor=PUSHER)
    entry = entry_of(project)
    assert (entry.kind, entry.manifest_count) == ("repository", 3)
    make_image(project, "v9")
    with pytest.raises(NameTakenMeanwhile):
        services.restore_entry(project, entry.pk, actor=PUSHER)
    with pytest.raises(RestoredTagsInvalid):
        services.restore_entry(project, entry.pk, tags=["v1"], actor=PUSHER)
    delete_repository(APP, actor=PUSHER)
    services.restore_entry(project, entry.pk, actor=PUSHER)
    repository = Repository.objects.get()
    assert (repository.description, repository.created_at) == ("ours", created_at)
    restored = list(Tag.objects.order_by("id").values_list("name", "digest", "ended_at"))
    assert restored == periods
    assert live_tags()["v1"] == second.digest
    assert Manifest.objects.filter(digest=first.digest.to_bytes()).exists()
    assert Manifest.objects.count() == 3
    # What was deleted in between waits for its own time.
    assert [kept.manifest_count for kept in TrashEntry.objects.all()] == [1]


def test_a_tag_returns_to_what_it_named(project: Project) -> None:
    first = make_image(project, "v1")
    second = make_image(project, "v1", config=b'{"a":1}')
    services.restore_tag(APP, "v1", first.digest, actor=PUSHER)
    assert live_tags() == {"v1": first.digest}
    delete_manifest(APP, second.digest, actor=PUSHER)
    services.restore_tag(APP, "v1", second.digest, actor=PUSHER)
    assert live_tags() == {"v1": second.digest}
    assert not TrashEntry.objects.exists()
    services.restore_tag(APP, "v1", second.digest, actor=PUSHER)
    assert Tag.objects.filter(name="v1").count() == 4
    with pytest.raises(ManifestUnknown, match="never"):
        services.restore_tag(APP, "v2", second.digest, actor=PUSHER)
    delete_manifest(APP, first.digest, actor=PUSHER)
    services.empty_trash(project, actor=PUSHER)
    with pytest.raises(ManifestUnknown, match="Neither"):
        services.restore_tag(APP, "v1", first.digest, actor=PUSHER)


@pytest.mark.parametrize(("days", "entries"), [(0, 0), (1, 1), (None, 1)])
def test_the_window_is_the_projects_own(project: Project, days: int | None, entries: int) -> None:
    if days is not None:
        update_project(project, metadata={"trash_days": str(days)}, actor=PUSHER)
    make_image(project, "v1")
    delete_tag(APP, "v1", actor=PUSHER)
    assert TrashEntry.objects.count() == entries
    for entry in TrashEntry.objects.all():
        assert entry.kept_until - entry.deleted_at == timedelta(days=days or 7)


def test_what_is_over_is_hidden_and_let_go_of(project: Project) -> None:
    image = make_image(project, "v1")
    delete_manifest(APP, image.digest, actor=PUSHER)
    entry = entry_of(project)
    after = entry.kept_until
    assert services.let_go_of_expired(after - timedelta(seconds=1)) == 0
    TrashEntry.objects.update(deleted_at=now() - timedelta(days=9), kept_until=now())
    assert not queries.list_entries(project, now()).exists()
    with pytest.raises(TrashEntryUnknown):
        services.restore_entry(project, entry.pk, actor=PUSHER)
    assert services.let_go_of_expired(now()) == 1
    assert not TrashedManifest.objects.exists()
    Blob.objects.filter(pk__in=()).delete()
    RepositoryBlob.objects.all().delete()
    assert Blob.objects.filter(digest=LAYER).delete()[0] == 1


def test_entries_belong_to_their_project(project: Project) -> None:
    make_image(project, "v1")
    delete_repository(APP, actor=PUSHER)
    entry, other = entry_of(project), make_project("other")
    for write in (services.restore_entry, services.delete_entry):
        with pytest.raises(TrashEntryUnknown):
            write(other, entry.pk, actor=PUSHER)
    assert services.empty_trash(other, actor=PUSHER) == 0
    services.delete_entry(project, entry.pk, actor=PUSHER)
    assert not TrashEntry.objects.exists()
    make_image(project, "v1")
    delete_repository(APP, actor=PUSHER)
    delete_project(project, actor=PUSHER)
    assert not TrashedBlob.objects.exists()


def test_letting_go_costs_the_same_for_one_and_for_many(project: Project) -> None:
    counts = []
    for number in (1, 5):
        for item in range(number):
            image = make_image(project, config=b'{"n":%d}' % (number * 10 + item))
            delete_manifest(APP, image.digest, actor=PUSHER)
        with CaptureQueriesContext(connection) as statements:
            services.empty_trash(project, actor=PUSHER)
        counts.append(len(statements))
    assert counts[0] == counts[1]


@pytest.mark.django_db(transaction=True)
def test_emptying_leaves_what_is_being_restored() -> None:
    project = make_project("team")
    for tag in ("v1", "v2"):
        image = make_image(project, tag, config=b'{"tag":"%s"}' % tag.encode())
        delete_manifest(APP, image.digest, actor=PUSHER)
    held, other = TrashEntry.objects.order_by("pk")
    restoring = connection.copy()
    try:
        with restoring.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT FROM artifacts_trashentry WHERE id = %s FOR UPDATE", [held.pk])
            assert services.empty_trash(project, actor=PUSHER) == 1
            cursor.execute("ROLLBACK")
    finally:
        restoring.close()
    assert not TrashEntry.objects.filter(pk=other.pk).exists()
    assert services.empty_trash(project, actor=PUSHER) == 1


@pytest.mark.django_db(transaction=True)
def test_restores_pushes_and_letting_go_race_without_harm() -> None:
    """Whoever wins, tags lead to manifests, manifests to blobs, and no entry is half there."""
    project = make_project("team")
    image = make_image(project, "v1")
    delete_manifest(APP, image.digest, actor=PUSHER)
    entry = entry_of(project)

    def work(number: int) -> object:
        match number % 4:
            case 0:
                return services.restore_entry(project, entry.pk, actor=PUSHER)
            case 1:
                return push(project, image_document(b"{}", [b"layer"]), "v1")
            case 2:
                return services.restore_tag(APP, "v1", image.digest, actor=PUSHER)
            case _:
                return services.delete_entry(project, entry.pk, actor=PUSHER)

    results = at_once(8, work)
    refused = [result for result in results if isinstance(result, DomainError)]
    assert all(
        isinstance(error, TrashEntryUnknown | ManifestUnknown | NameTakenMeanwhile)
        or error.code == "MANIFEST_BLOB_UNKNOWN"
        for error in refused
    ), refused
    assert not TrashEntry.objects.exists()
    assert not TrashedBlob.objects.exists()
    assert live_tags() in ({}, {"v1": image.digest})
    for manifest in Manifest.objects.all():
        assert manifest.references.filter(blob=None).count() == 0


def labels_of(image: PushedManifest) -> list[str]:
    rows = ManifestLabel.objects.filter(manifest__digest=image.digest.to_bytes())
    return sorted(rows.values_list("label__name", flat=True))


@pytest.mark.parametrize(
    "delete",
    [
        lambda image: delete_manifest(APP, image.digest, actor=PUSHER),
        lambda _image: delete_repository(APP, actor=PUSHER),
    ],
    ids=["manifest", "repository"],
)
def test_labels_come_back_but_for_those_that_are_gone(
    project: Project, delete: Callable[[PushedManifest], object]
) -> None:
    image, other = make_image(project, "v1"), make_image(project, "v2", config=b'{"a":1}')
    names = ("approved", "gone", "stable")
    labels = {name: make_label(name, project=project if name > "b" else None) for name in names}
    for label in labels.values():
        put_label(label, image.id)
    put_label(labels["approved"], other.id)
    delete(image)
    delete_label(labels["gone"], actor=PUSHER)
    update_label(labels["stable"], name="firm", description="", color="", actor=PUSHER)
    left_out = services.restore_entry(project, entry_of(project).pk, actor=PUSHER)
    assert (left_out.labels, left_out.grants) == (("gone",), ())
    assert labels_of(image) == ["approved", "firm"]
    assert labels_of(other) == ["approved"]
    detail = AuditEntry.objects.get(action="trash.entry.restored").detail
    assert detail["labels_left_out"] == ["gone"]
    assert not TrashedLabel.objects.exists()


def test_labels_come_back_to_what_is_there_again_and_with_a_tag(project: Project) -> None:
    image = make_image(project, "v1")
    label = make_label(project=project)
    put_label(label, image.id)
    delete_manifest(APP, image.digest, actor=PUSHER)
    make_image(project, "v2")
    assert labels_of(image) == []
    services.restore_entry(project, entry_of(project).pk, actor=PUSHER)
    assert labels_of(image) == ["stable"]
    delete_manifest(APP, image.digest, actor=PUSHER)
    assert services.restore_tag(APP, "v1", image.digest, actor=PUSHER) == LeftOut()
    assert labels_of(image) == ["stable"]
    # In another project, those of the former one stay behind.
    delete_manifest(APP, image.digest, actor=PUSHER)
    target = make_project("other")
    transfer_repository(APP, target, actor=Actor.system())
    left_out = services.restore_entry(target, entry_of(target).pk, actor=PUSHER)
    assert left_out.labels == ("stable",)
    assert labels_of(image) == []
    services.empty_trash(target, actor=PUSHER)
    put_label(make_label(), Manifest.objects.get(digest=image.digest.to_bytes()).pk)
    delete_repository("other/app", actor=PUSHER)
    assert TrashedLabel.objects.exists()
    services.empty_trash(target, actor=PUSHER)
    assert not TrashedLabel.objects.exists()


def test_grants_come_back_with_their_repository(project: Project) -> None:
    make_image(project, "v1")
    make_image(project, "v1", path="app/beside")
    alice, bob = make_user("alice"), make_user("bob")
    team, crew = make_group("team"), make_group("crew")
    repository = Repository.objects.get(name=APP)
    for right, holder in (("pull", alice), ("push", bob), ("delete", team), ("pull", crew)):
        assign_perm(right, holder, repository)
    assign_perm("pull", bob, Repository.objects.get(name="team/app/beside"))
    delete_repository(APP, actor=PUSHER)
    bob.delete()
    crew.delete()
    left_out = services.restore_entry(project, entry_of(project).pk, actor=PUSHER)
    assert [str(grant) for grant in left_out.grants] == [
        "pull for the group crew",
        "push for the user bob",
    ]
    held = list_repository_grants(Repository.objects.get(name=APP))
    assert [(grant.subject_name, grant.right) for grant in held] == [
        ("alice", "pull"),
        ("team", "delete"),
    ]
    entry = AuditEntry.objects.get(action="trash.entry.restored")
    assert entry.detail["grants_left_out"] == [str(grant) for grant in left_out.grants]
    assert AuditEntry.objects.filter(action="grants.right.granted").count() == 2
    delete_repository(APP, actor=PUSHER)
    assert TrashedGrant.objects.count() == 2
    services.empty_trash(project, actor=PUSHER)
    assert not TrashedGrant.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_restore_races_with_deletes_of_what_it_brings_back() -> None:
    """Whoever is first: what is left out is gone, and what came back is gone with its deletion."""
    project = make_project("team")
    for turn in range(4):
        image = make_image(project, "v1")
        label, user = make_label(f"l{turn}", project=project), make_user(f"user{turn}")
        put_label(label, image.id)
        assign_perm("pull", user, Repository.objects.get(name=APP))
        delete_repository(APP, actor=PUSHER)
        entry_id = entry_of(project).pk
        work: list[Callable[[], object]] = [
            partial(services.restore_entry, project, entry_id, actor=PUSHER),
            partial(delete_label, label, actor=PUSHER),
            partial(delete_user, user, actor=Actor.system()),
            partial(services.restore_entry, project, entry_id, actor=PUSHER),
        ]
        results = at_once(4, lambda number: work[number]())  # noqa: B023  # ends within the turn
        assert results[1:3] == [None, None]
        restored = [result for result in results if isinstance(result, LeftOut)]
        assert len(restored) == 1, results
        assert restored[0].labels in ((), (label.name,))
        assert [grant.subject_name for grant in restored[0].grants] in ([], [user.username])
        assert labels_of(image) == []
        assert list_repository_grants(Repository.objects.get(name=APP)) == []
        delete_repository(APP, actor=PUSHER)
        services.empty_trash(project, actor=PUSHER)
