"""Artifacts that are deleted with what belongs to them alone."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.artifacts.errors import (
    ArtifactInUse,
    ContentInUse,
    ManifestUnknown,
    TagExists,
    TooManyBelongings,
)
from core.artifacts.events import ArtifactDeleted, TagDeleted
from core.artifacts.models import (
    Manifest,
    ManifestLabel,
    ManifestReference,
    Tag,
    TrashEntry,
)
from core.artifacts.services import belongings
from core.artifacts.services.deleting import delete_artifact
from core.artifacts.services.manifests import delete_manifest
from core.artifacts.services.tags import create_tag, delete_tag
from core.artifacts.types import DeletedArtifact, PushedManifest
from core.audit.models import AuditEntry
from core.events import services as events
from core.events.types import Event, Subscription
from core.oci.digest import Digest
from core.projects.models import Project
from core.tag_rules.errors import TagImmutable
from core.trash import services as trash
from core.trash.errors import RestoredTagsInvalid
from tests.factories.artifacts import (
    PUSHER,
    image_document,
    index_document,
    make_image,
    push,
)
from tests.factories.labels import make_label, put_label
from tests.factories.quotas import truly_held, used
from tests.factories.tag_rules import make_tag_rule
from tests.support.crowds import at_once

APP = "team/app"


def numbered(number: int) -> bytes:
    """Return one of many manifests that need no content."""
    return index_document() + b" " * number


def about(subject: bytes, number: int = 0) -> bytes:
    """Return one of many accessories, which needs the content of an image."""
    return image_document(b"{}", subject=subject, annotations={"number": str(number)})


def companion(of: bytes, suffix: str = "sig") -> str:
    return f"sha256-{Digest.of(of).hex}.{suffix}"


def delete(document: bytes) -> set[bytes]:
    """Delete an artifact; return the digests of what is left."""
    delete_artifact(APP, Digest.of(document), actor=PUSHER)
    return left()


def left() -> set[bytes]:
    rows = Manifest.objects.filter(repository__name=APP)
    return {bytes(stored) for stored in rows.values_list("digest", flat=True)}


def digests(*documents: bytes) -> set[bytes]:
    return {Digest.of(document).to_bytes() for document in documents}


def live_tags() -> dict[str, bytes]:
    rows = Tag.objects.filter(ended_at=None).values_list("name", "digest")
    return {name: bytes(stored) for name, stored in rows}


IMAGE = image_document(b"{}", [b"layer"])
FIRST, SECOND, THIRD = numbered(1), numbered(2), numbered(3)
INDEX = index_document(IMAGE, FIRST)
OUTER = index_document(INDEX, IMAGE)
ABOUT = about(IMAGE)

# What is pushed with which tags, in this order; what is deleted; what is left with which tags.
Pushed = list[tuple[bytes, list[str]]]
CASES: dict[str, tuple[Pushed, bytes, dict[bytes, list[str]]]] = {
    "children of an index": ([(FIRST, []), (INDEX, ["all"])], INDEX, {}),
    "not those that a tag names": (
        [(FIRST, ["own"]), (INDEX, ["all"])],
        INDEX,
        {FIRST: ["own"]},
    ),
    "nor those of another index, with all about them": (
        [(FIRST, []), (INDEX, ["all"]), (index_document(IMAGE), []), (ABOUT, [])],
        INDEX,
        {IMAGE: [], ABOUT: [], index_document(IMAGE): []},
    ),
    "a child of two that go": ([(FIRST, []), (INDEX, []), (OUTER, ["all"])], OUTER, {}),
    "nothing below an index that stays": (
        [(FIRST, []), (INDEX, ["inner"]), (OUTER, ["all"])],
        OUTER,
        {IMAGE: [], FIRST: [], INDEX: ["inner"]},
    ),
    "accessories, with their tags": (
        [(ABOUT, ["signed"]), (about(ABOUT), []), (about(IMAGE, 1), [])],
        IMAGE,
        {},
    ),
    "an accessory alone": ([(ABOUT, [])], ABOUT, {IMAGE: []}),
    "accessories of children, and what those list": (
        [
            (FIRST, []),
            (SECOND, []),
            (INDEX, ["all"]),
            (index_document(SECOND), [companion(IMAGE)]),
            (about(SECOND), []),
        ],
        INDEX,
        {},
    ),
    "no accessory that an index lists": (
        [(ABOUT, []), (index_document(ABOUT), ["kept"])],
        IMAGE,
        {ABOUT: [], index_document(ABOUT): ["kept"]},
    ),
    "no accessory that is a child with a tag": (
        [(FIRST, []), (about(FIRST), ["own"]), (index_document(FIRST, about(FIRST)), ["all"])],
        index_document(FIRST, about(FIRST)),
        {IMAGE: [], about(FIRST): ["own"]},
    ),
    "what a tag makes an accessory": (
        [
            (FIRST, [companion(IMAGE)]),
            (SECOND, [companion(IMAGE, "att")]),
            (THIRD, [companion(FIRST, "sbom")]),
        ],
        IMAGE,
        {},
    ),
    "only that tag, where another names the manifest": (
        [
            (FIRST, [companion(IMAGE), "own"]),
            (SECOND, [companion(IMAGE, "sbom")]),
            (THIRD, ["v3"]),
        ],
        IMAGE,
        {FIRST: ["own"], THIRD: ["v3"]},
    ),
    "not what another artifact needs as well": (
        [(FIRST, ["v2"]), (SECOND, [companion(IMAGE, "sbom"), companion(FIRST, "sbom")])],
        IMAGE,
        {FIRST: ["v2"], SECOND: [companion(FIRST, "sbom")]},
    ),
}


@pytest.fixture
def image(project: Project) -> PushedManifest:
    """An untagged image; what else is pushed needs no other content."""
    return make_image(project)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_goes_along(
    project: Project, image: PushedManifest, case: tuple[Pushed, bytes, dict[bytes, list[str]]]
) -> None:
    pushed, deleted, stays = case
    make_image(project, path="other")
    for document, tags in pushed:
        push(project, document, extra_tags=tags)
    before = left()
    gone = delete_artifact(APP, Digest.of(deleted), actor=PUSHER)
    assert left() == digests(*stays)
    assert live_tags() == {
        tag: Digest.of(document).to_bytes() for document, tags in stays.items() for tag in tags
    }
    along = {digest.to_bytes() for digest in gone.along}
    assert along == before - digests(deleted, *stays)
    assert Manifest.objects.filter(repository__name="team/other").count() == 1
    referring = ManifestReference.objects.values("child_id")
    assert set(Manifest.objects.filter(is_child=True)) == set(
        Manifest.objects.filter(pk__in=referring)
    )
    assert used(project) == truly_held(project)
    # And all of it comes back, with nothing left in the trash.
    trash.restore_entry(project, TrashEntry.objects.get().pk, actor=PUSHER)
    assert left() == before
    assert live_tags() == {
        tag: Digest.of(document).to_bytes() for document, tags in pushed for tag in tags
    }
    assert not TrashEntry.objects.exists()


def test_clients_of_the_registry_delete_one_manifest(
    project: Project, image: PushedManifest
) -> None:
    for document, tag in ((FIRST, companion(IMAGE)), (ABOUT, None), (INDEX, "all")):
        push(project, document, tag)
    with pytest.raises(ArtifactInUse, match=str(Digest.of(INDEX))):
        delete(IMAGE)
    delete_manifest(APP, Digest.of(INDEX), actor=PUSHER)
    assert left() == digests(IMAGE, FIRST, ABOUT)
    delete_manifest(APP, image.digest, actor=PUSHER)
    assert left() == digests(FIRST, ABOUT)
    assert set(live_tags()) == {companion(IMAGE)}
    with pytest.raises(ManifestUnknown):
        delete(IMAGE)


@pytest.mark.parametrize("tag", ["v1", "signed", companion(IMAGE)])
def test_an_immutable_tag_keeps_everything(
    project: Project, image: PushedManifest, tag: str
) -> None:
    create_tag(APP, image.digest, "v1", actor=PUSHER)
    push(project, ABOUT, "signed")
    push(project, FIRST, companion(IMAGE))
    make_tag_rule(project, tags=tag)
    before = (left(), live_tags())
    with pytest.raises(TagImmutable, match=tag):
        delete(IMAGE)
    assert (left(), live_tags()) == before
    assert not TrashEntry.objects.exists()


def test_what_is_told_of_a_deletion(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch, project: Project, image: PushedManifest
) -> None:
    heard: list[Event] = []
    subscription = Subscription(Event, heard.append)
    for document, tag in ((FIRST, companion(IMAGE)), (ABOUT, "signed"), (INDEX, "all")):
        push(project, document, tag)
    delete_tag(APP, companion(IMAGE), actor=PUSHER)
    create_tag(APP, Digest.of(FIRST), companion(ABOUT), actor=PUSHER)
    monkeypatch.setattr(events, "subscriptions", lambda: (subscription,))
    delete(INDEX)
    entry = AuditEntry.objects.get(action="artifact.deleted")
    assert entry.detail == {
        "digest": str(Digest.of(INDEX)),
        "tags": ["all"],
        "children": 2,
        "accessories": 1,
        "accessory_tags": 2,
    }
    deleted = [(each.digest, each.tags) for each in heard if isinstance(each, ArtifactDeleted)]
    assert dict(deleted) == {
        str(Digest.of(INDEX)): ("all",),
        str(image.digest): (),
        str(Digest.of(FIRST)): (companion(ABOUT),),
        str(Digest.of(ABOUT)): ("signed",),
    }
    ended = {each.tag for each in heard if isinstance(each, TagDeleted)}
    assert ended == {"all", "signed", companion(ABOUT)}


def test_restoring_a_tag_brings_back_what_went_along(
    project: Project, image: PushedManifest
) -> None:
    create_tag(APP, image.digest, "v1", actor=PUSHER)
    signature = push(project, FIRST, companion(IMAGE))
    push(project, ABOUT, "signed")
    put_label(make_label(project=project), signature.id)
    delete(IMAGE)
    entry = TrashEntry.objects.get()
    assert (bytes(entry.digest or b""), entry.manifest_count) == (image.digest.to_bytes(), 3)
    # A chosen tag must be one of the artifact's own.
    with pytest.raises(RestoredTagsInvalid) as refused:
        trash.restore_entry(project, entry.pk, tags=["signed"], actor=PUSHER)
    assert refused.value.detail == {"tags": ["v1"]}
    # What has the place of another meanwhile keeps it.
    push(project, SECOND, "signed")
    left_out = trash.restore_tag(APP, "v1", image.digest, actor=PUSHER)
    assert left_out.labels == ()
    assert left() == digests(IMAGE, FIRST, ABOUT, SECOND)
    assert live_tags() == {
        "v1": image.digest.to_bytes(),
        companion(IMAGE): signature.digest.to_bytes(),
        "signed": Digest.of(SECOND).to_bytes(),
    }
    assert bytes(ManifestLabel.objects.get().manifest.digest) == signature.digest.to_bytes()
    assert not TrashEntry.objects.exists()


def test_a_child_from_another_entry_brings_along_what_went_with_it(
    project: Project, image: PushedManifest
) -> None:
    push(project, ABOUT)
    delete(IMAGE)
    push(project, FIRST)
    push(project, INDEX, "all")
    delete(INDEX)
    newest = TrashEntry.objects.order_by("-id")[0]
    trash.restore_entry(project, newest.pk, actor=PUSHER)
    assert left() == digests(IMAGE, ABOUT, FIRST, INDEX)
    assert not TrashEntry.objects.exists()


def test_a_child_from_the_entry_of_another_index_comes_back_without_that(
    project: Project, image: PushedManifest
) -> None:
    """Two indexes share a child, which went with the one that was deleted last."""
    labelled = make_label(project=project)
    other = index_document(IMAGE, SECOND)
    for document, tag in ((FIRST, "own"), (SECOND, "plain"), (INDEX, "first"), (other, "second")):
        push(project, document, tag)
    put_label(labelled, image.id)
    delete(INDEX)
    assert delete(other) == digests(FIRST, SECOND)
    first, second = TrashEntry.objects.order_by("id")
    trash.restore_entry(project, first.pk, actor=PUSHER)
    assert left() == digests(FIRST, SECOND, INDEX, IMAGE)
    assert "second" not in live_tags()
    assert bytes(ManifestLabel.objects.get().manifest.digest) == image.digest.to_bytes()
    # What was deleted on purpose is still in the trash, whole.
    assert TrashEntry.objects.get() == second
    trash.restore_entry(project, second.pk, actor=PUSHER)
    assert left() == digests(FIRST, SECOND, INDEX, IMAGE, other)
    assert live_tags().keys() == {"own", "plain", "first", "second"}
    assert not TrashEntry.objects.exists()


def test_many_children_take_as_many_statements_as_one(project: Project) -> None:
    def statements(count: int) -> int:
        documents = [numbered(count + number) for number in range(count)]
        for document in documents:
            push(project, document)
        push(project, index_document(*documents), "all")
        with CaptureQueriesContext(connection) as captured:
            assert delete(index_document(*documents)) == set()
        return len(captured)

    assert statements(100) == statements(1)


def test_a_deletion_takes_no_more_along_than_it_may(
    project: Project, image: PushedManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = [IMAGE]
    for _ in range(4):
        chain.append(about(chain[-1]))
        push(project, chain[-1])
    for name, value in (("MAXIMUM_STEPS", 3), ("MAXIMUM_MANIFESTS", 3)):
        with monkeypatch.context() as patch:
            patch.setattr(belongings, name, value)
            with pytest.raises(TooManyBelongings):
                delete(IMAGE)
            assert left() == digests(*chain)
            patch.setattr(belongings, name, 4)
            assert delete(IMAGE) == set()
        trash.restore_entry(project, TrashEntry.objects.get().pk, actor=PUSHER)


@pytest.mark.django_db(transaction=True)
def test_deletions_beside_everything_else(project: Project) -> None:
    """Nobody waits in a ring, and nothing goes that something refers to in the end."""
    second_index = index_document(FIRST, IMAGE)

    def work(number: int) -> object:
        match number % 9:
            case 0:
                return delete_artifact(APP, Digest.of(INDEX), actor=PUSHER)
            case 1:
                return push(project, INDEX, "all")
            case 2:
                return push(project, second_index, "both")
            case 3:
                return create_tag(APP, Digest.of(IMAGE), "v1", actor=PUSHER)
            case 4:
                return delete_tag(APP, "v1", actor=PUSHER)
            case 5:
                return push(project, FIRST, companion(IMAGE))
            case 6:
                return push(project, ABOUT)
            case 7:
                return delete_artifact(APP, Digest.of(second_index), actor=PUSHER)
            case _:
                return delete_manifest(APP, Digest.of(FIRST), actor=PUSHER)

    for _ in range(6):
        make_image(project)
        results = at_once(18, work)
        expected = (
            PushedManifest,
            DeletedArtifact,
            ManifestUnknown,
            ArtifactInUse,
            ContentInUse,
            TagExists,
            tuple,
            type(None),
        )
        assert all(isinstance(result, expected) for result in results), results
        present = left()
        # A child is missing only where it was deleted before its index came.
        bound = ManifestReference.objects.filter(role="child", child=None)
        assert not {bytes(row.digest) for row in bound} & present
        assert set(live_tags().values()) <= present
        assert used(project) == truly_held(project)


@pytest.mark.django_db(transaction=True)
def test_a_child_that_was_just_referred_to_stays(project: Project) -> None:
    """An index over the child is pushed, or a tag set, while its first index goes."""
    referring: list[Callable[[], object]] = [
        lambda: push(project, index_document(IMAGE), "other"),
        lambda: create_tag(APP, Digest.of(IMAGE), "own", actor=PUSHER),
    ]
    for refer in referring * 5:
        make_image(project)
        push(project, FIRST)
        push(project, INDEX, "all")

        def work(number: int, refer: Callable[[], object] = refer) -> object:
            return refer() if number else delete(INDEX)

        _deleted, referred = at_once(2, work)
        if isinstance(referred, ManifestUnknown):
            assert left() == set()
            continue
        children = ManifestReference.objects.filter(role="child").values_list("child", flat=True)
        came_first = list(children) != [None]
        assert (Digest.of(IMAGE).to_bytes() in left()) == came_first
        assert Digest.of(FIRST).to_bytes() not in left()
        for each in list(live_tags().values()):
            delete_artifact(APP, Digest.from_bytes(each), actor=PUSHER)
        assert left() == set()
