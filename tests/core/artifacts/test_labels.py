"""Labels on artifacts: put on, taken off, listed, and what the database keeps true."""

from collections.abc import Callable
from functools import partial
from threading import Event

import pytest
from django.db import IntegrityError, connection, transaction

from core.artifacts.errors import (
    LabelAttached,
    LabelNotAttached,
    ManifestUnknown,
    NameUnknown,
)
from core.artifacts.models import Manifest, ManifestLabel
from core.artifacts.services.labels import add_label, remove_label
from core.artifacts.services.manifests import delete_manifest
from core.artifacts.services.repositories import delete_repository
from core.audit.models import AuditEntry
from core.common.errors import DomainError
from core.configurations.services import update_settings
from core.labels.errors import LabelUnknown
from core.labels.services import create_label, delete_label, update_label
from core.moves.services import transfer_repository
from core.oci.digest import Digest
from core.projects.models import Project
from core.rbac.types import Actor
from core.system_settings.errors import SystemReadOnly
from tests.core.api.cast import Cast, body_of, errors_of, make_cast, rows_of
from tests.factories.artifacts import (
    PUSHER,
    image_document,
    make_blob,
    make_image,
    push,
)
from tests.factories.labels import make_label, put_label
from tests.factories.projects import make_project
from tests.support.crowds import at_once
from tests.support.locks import wait_for_lock

APP = "/projects/secret/repositories/team%252Fapp"


def test_a_label_is_put_on_and_taken_off(project: Project) -> None:
    image = make_image(project)
    own, everyones = make_label(project=project), make_label("approved")
    AuditEntry.objects.all().delete()
    for label in (own, everyones):
        add_label("team/app", image.digest, label.pk, actor=PUSHER)
    with pytest.raises(LabelAttached):
        add_label("team/app", image.digest, own.pk, actor=PUSHER)
    remove_label("team/app", image.digest, own.pk, actor=PUSHER)
    with pytest.raises(LabelNotAttached):
        remove_label("team/app", image.digest, own.pk, actor=PUSHER)
    assert list(ManifestLabel.objects.values_list("manifest", "label")) == [
        (image.id, everyones.pk)
    ]
    entries = AuditEntry.objects.order_by("id")
    assert [(entry.action, entry.detail["label"]) for entry in entries] == [
        ("artifact.label_added", "stable"),
        ("artifact.label_added", "approved"),
        ("artifact.label_removed", "stable"),
    ]
    assert {entry.target_label for entry in entries} == {f"team/app@{image.digest}"}


def test_refusals(project: Project) -> None:
    image = make_image(project)
    label, foreign = make_label(), make_label(project=make_project("other"))
    for write in (add_label, remove_label):
        with pytest.raises(NameUnknown):
            write("team/missing", image.digest, label.pk, actor=PUSHER)
        with pytest.raises(ManifestUnknown):
            write("team/app", Digest.of(b"x"), label.pk, actor=PUSHER)
        for label_id in (foreign.pk, 1 << 60):
            with pytest.raises(LabelUnknown):
                write("team/app", image.digest, label_id, actor=PUSHER)
    assert not ManifestLabel.objects.exists()


def test_the_database_refuses_labels_of_other_projects(project: Project) -> None:
    image = make_image(project)
    with pytest.raises(IntegrityError, match="another project"), transaction.atomic():
        put_label(make_label(project=make_project("other")), image.id)
    put_label(make_label(project=project), image.id)
    with pytest.raises(IntegrityError), transaction.atomic():
        put_label(make_label("again", project=project), 1 << 60)


def test_a_repository_that_moves_leaves_labels_of_its_project_behind(project: Project) -> None:
    image = make_image(project)
    for label in (make_label(project=project), make_label("approved")):
        put_label(label, image.id)
    target = make_project("other")
    transfer_repository("team/app", target, actor=Actor.system())
    assert [row.label.name for row in ManifestLabel.objects.all()] == ["approved"]


def test_nothing_changes_in_read_only_mode(project: Project) -> None:
    image, label = make_image(project), make_label(project=project)
    put_label(label, image.id)
    update_settings({"read_only": True}, actor=Actor.system())
    for change in (
        lambda: add_label("team/app", image.digest, label.pk, actor=PUSHER),
        lambda: remove_label("team/app", image.digest, label.pk, actor=PUSHER),
        lambda: create_label("new", project=project, actor=PUSHER),
        lambda: update_label(label, name="new", description="", color="", actor=PUSHER),
        lambda: delete_label(label, actor=PUSHER),
    ):
        with pytest.raises(SystemReadOnly):
            change()


@pytest.mark.parametrize(
    "delete",
    [
        lambda: delete_manifest("team/app", _digest(), actor=PUSHER),
        lambda: delete_repository("team/app", actor=PUSHER),
        lambda: delete_label(ManifestLabel.objects.get().label, actor=PUSHER),
    ],
    ids=["manifest", "repository", "label"],
)
def test_what_is_deleted_takes_its_labels_along(
    project: Project, delete: Callable[[], None]
) -> None:
    put_label(make_label(project=project), make_image(project).id)
    delete()
    assert not ManifestLabel.objects.exists()
    # Constraints that wait for the commit have nothing to object to.
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def _digest() -> Digest:
    return Digest.from_bytes(bytes(Manifest.objects.get().digest))


@pytest.mark.django_db(transaction=True)
def test_adding_races_with_deletes_of_label_and_manifest() -> None:
    """Whoever is first: no row stays that names what is gone, and no error is unexpected."""
    project = make_project("team")
    for number in range(4):
        image = make_image(project, config=f'{{"n": {number}}}'.encode())
        label = make_label(f"l{number}", project=project)

        def work(place: int) -> None:
            if place == 0:
                delete_label(label, actor=PUSHER)  # noqa: B023  # at_once ends within the turn
            elif place == 1:
                delete_manifest("team/app", image.digest, actor=PUSHER)  # noqa: B023  # ends within the turn
            else:
                add_label("team/app", image.digest, label.pk, actor=PUSHER)  # noqa: B023  # ends within the turn

        results = at_once(6, work)
        assert results[:2] == [None, None]
        assert all(
            result is None or isinstance(result, (LabelAttached, LabelUnknown, ManifestUnknown))
            for result in results[2:]
        ), results
        assert sum(result is None for result in results[2:]) <= 1
        assert not ManifestLabel.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_labels_are_deleted_beside_what_carries_them() -> None:
    """Those who delete labels, and what carries them, begin at both ends and meet in the middle."""
    project, target = make_project("team"), make_project("other")
    for turn in range(4):
        labels = [make_label(name, project=project) for name in ("first", "second")]
        make_blob(project, b"{}")
        documents = [image_document(annotations={"n": str(number)}) for number in range(9)]
        pushed = [push(project, document) for document in documents]
        for image in reversed(pushed):
            for label in labels:
                put_label(label, image.id)
        middle = ManifestLabel.objects.filter(manifest=pushed[4].id)
        is_held = Event()

        def hold() -> None:
            with transaction.atomic():
                assert len(middle.select_for_update()) == 2  # noqa: B023  # ends within the turn
                is_held.set()  # noqa: B023  # ends within the turn
                wait_for_lock(count=4)

        work: list[Callable[[], object]] = [
            *(partial(delete_label, label, actor=PUSHER) for label in labels),
            partial(delete_manifest, "team/app", pushed[4].digest, actor=PUSHER),
            partial(transfer_repository, "team/app", target, path=f"app{turn}", actor=PUSHER)
            if turn % 2
            else partial(delete_repository, "team/app", actor=PUSHER),
        ]

        def act(number: int) -> object:
            if number == 4:
                return hold()
            is_held.wait(20)  # noqa: B023  # ends within the turn
            return work[number]()  # noqa: B023  # ends within the turn

        results = at_once(5, act)
        assert [isinstance(result, DomainError) for result in results[:2]] == [False] * 2, results
        gone = [result for result in results if isinstance(result, DomainError)]
        # Of the manifest and its repository, one may be gone before the other is asked for.
        assert all(isinstance(result, (NameUnknown, ManifestUnknown)) for result in gone), results
        assert not ManifestLabel.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_one_of_many_adds_the_label() -> None:
    project = make_project("team")
    image, label = make_image(project), make_label(project=project)
    results = at_once(8, lambda _: add_label("team/app", image.digest, label.pk, actor=PUSHER))
    assert results.count(None) == 1
    assert sum(isinstance(result, LabelAttached) for result in results) == 7
    assert ManifestLabel.objects.count() == 1


# --- Over the management API ----------------------------------------------------


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


def test_artifacts_are_shown_with_their_labels(cast: Cast) -> None:
    make_image(cast.project, "v1", path="team/app")
    own = make_label("stable", project=cast.project, color="#00FF00")
    everyones = make_label("approved")
    developer, labels = cast["developer"], f"{APP}/artifacts/v1/labels"
    for label in (own, everyones):
        added = developer.post(labels, {"id": label.pk, "name": "only the id counts"})
        assert (added.status_code, added.content) == (200, b"")
    assert developer.post(labels, {"id": own.pk}).status_code == 409
    (row,) = rows_of(developer.get(f"{APP}/artifacts?with_label=true"))
    assert [(label["name"], label["scope"]) for label in row["labels"]] == [
        ("approved", "g"),
        ("stable", "p"),
    ]
    assert row["labels"][1] == {
        "id": own.pk,
        "name": "stable",
        "color": "#00FF00",
        "scope": "p",
        "project_id": cast.project.pk,
        "creation_time": row["labels"][1]["creation_time"],
        "update_time": row["labels"][1]["update_time"],
    }
    shown = body_of(developer.get(f"{APP}/artifacts/v1?with_label=true"))
    assert shown["labels"] == row["labels"]
    for path in ("", "/v1", "?with_label=false"):
        assert b'"labels"' not in developer.get(f"{APP}/artifacts{path}").content
    assert developer.get(f"{APP}/artifacts?with_label=x").status_code == 422

    assert developer.delete(f"{labels}/{own.pk}").status_code == 200
    assert developer.delete(f"{labels}/{own.pk}").status_code == 404
    shown = body_of(developer.get(f"{APP}/artifacts/v1?with_label=true"))
    assert [label["name"] for label in shown["labels"]] == ["approved"]


def test_bad_labels_are_refused(cast: Cast) -> None:
    make_image(cast.project, "v1", path="team/app")
    foreign = make_label(project=make_project("hidden"))
    labels = f"{APP}/artifacts/v1/labels"
    for body, status in (
        ({}, 422),
        ({"id": "x"}, 422),
        ({"id": 0}, 422),
        ({"id": 1 << 62}, 404),
        ({"id": foreign.pk}, 404),
    ):
        refused = cast["owner"].post(labels, body)
        assert refused.status_code == status, body
        assert errors_of(refused)
    assert cast["owner"].post(f"{APP}/artifacts/v9/labels", {"id": 1}).status_code == 404


def test_lists_are_filtered_by_labels(cast: Cast) -> None:
    images = [
        make_image(cast.project, f"v{n}", config=f'{{"n": {n}}}'.encode(), path="team/app")
        for n in range(3)
    ]
    first, second = make_label("first"), make_label("second")
    for label, carriers in ((first, images[:2]), (second, images[1:])):
        for image in carriers:
            put_label(label, image.id)

    def found(query: str) -> list[int]:
        rows = rows_of(cast["guest"].get(f"{APP}/artifacts?sort=id&q={query}"))
        return [row["id"] for row in rows]

    ids = [image.id for image in images]
    assert found(f"labels%3D({first.pk}%20{second.pk})") == [ids[1]]
    assert found(f"labels%3D({first.pk})") == ids[:2]
    assert found(f"labels%3D({first.pk}%20{first.pk})") == ids[:2]
    assert found(f"labels%3D{second.pk}") == ids[1:]
    assert found(f"labels%3D({first.pk}%20999999)") == []
    assert found(f"labels%3D({second.pk}),tags%3Dv2") == [ids[2]]
    for bad in ("(x)", "{1}", "~1", "[1~2]", "(99999999999999999999)"):
        refused = cast["guest"].get(f"{APP}/artifacts?q=labels%3D{bad}")
        assert refused.status_code == 400
        assert "labels" in errors_of(refused)[0]["message"]
