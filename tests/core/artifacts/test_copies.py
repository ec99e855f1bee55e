"""Copies of artifacts between repositories."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from core.artifacts.models import Manifest, ManifestLabel, Repository, Tag
from core.artifacts.services.copies import copy_artifact
from core.artifacts.services.manifests import delete_manifest
from core.audit.models import AuditEntry
from core.blobs.models import Blob
from core.oci.digest import Digest
from core.projects.models import Project
from core.quotas.errors import QuotaExceeded
from core.storage.selection import default_driver
from tests.core.api.cast import Cast, body_of, errors_of, make_cast
from tests.factories.artifacts import (
    PUSHER,
    image_document,
    index_document,
    make_image,
    push,
    stored_files,
)
from tests.factories.labels import make_label, put_label
from tests.factories.members import make_member
from tests.factories.projects import make_project
from tests.factories.quotas import limit, truly_held, used
from tests.support.crowds import at_once

INTO = "/projects/prod/repositories/team%252Fapp/artifacts"


@pytest.fixture
def cast(db: None, tmp_path: Path, settings: Settings) -> Iterator[Cast]:
    settings.STORAGE_ROOT = tmp_path
    default_driver.cache_clear()
    cast = make_cast()
    make_member(make_project("prod"), cast.users["developer"], "developer")
    yield cast
    default_driver.cache_clear()


def digests(repository: str) -> set[str]:
    rows = Manifest.objects.filter(repository__name=repository)
    return {str(Digest.from_bytes(bytes(row.digest))) for row in rows}


def copy(cast: Cast, source: str, actor: str = "developer") -> int:
    return cast[actor].post(f"{INTO}?from={source}").status_code


def test_a_copy_is_deep_and_moves_no_bytes(cast: Cast) -> None:
    image = make_image(cast.project)
    child = image_document(b"{}", [b"layer"])
    index = index_document(child)
    pushed = push(cast.project, index, "multi")
    about_index = push(cast.project, image_document(b"{}", subject=index))
    about_child = image_document(b"{}", subject=child)
    push(cast.project, about_child)
    nested = push(cast.project, image_document(b"{}", subject=about_child))
    files, blobs = stored_files(), Blob.objects.count()
    response = cast["developer"].post(f"{INTO}?from=secret/app:multi")
    assert (response.status_code, response.content) == (201, b"")
    assert response["Location"] == f"/api/v2.0{INTO}/{pushed.digest}"
    everything = {
        str(digest)
        for digest in (
            image.digest,
            pushed.digest,
            about_index.digest,
            Digest.of(about_child),
            nested.digest,
        )
    }
    assert digests("prod/team/app") == everything == digests("secret/app")
    assert (stored_files(), Blob.objects.count()) == (files, blobs)
    tag = Tag.objects.get(repository__name="prod/team/app")
    assert (tag.name, bytes(tag.digest)) == ("multi", pushed.digest.to_bytes())
    total = Manifest.objects.filter(digest=pushed.digest.to_bytes())
    assert len(set(total.values_list("total_bytes", flat=True))) == 1
    entries = AuditEntry.objects.count()
    assert copy(cast, "secret/app:multi") == 201
    assert AuditEntry.objects.count() == entries
    assert digests("prod/team/app") == everything


def test_a_copy_moves_no_tag(cast: Cast) -> None:
    first = make_image(cast.project, "v1")
    second = make_image(cast.project, "v1", layers=(b"2",))
    assert copy(cast, f"secret/app@{first.digest}") == 201
    assert not Tag.objects.filter(repository__name="prod/team/app").exists()
    assert copy(cast, "secret/app:v1") == 201
    make_image(cast.project, "v1", layers=(b"3",))
    refused = cast["developer"].post(f"{INTO}?from=secret/app:v1")
    assert refused.status_code == 409
    assert errors_of(refused)[0]["code"] == "CONFLICT"
    tag = Tag.objects.get(repository__name="prod/team/app")
    assert bytes(tag.digest) == second.digest.to_bytes()
    assert len(digests("prod/team/app")) == 2


def test_what_cannot_be_copied(cast: Cast) -> None:
    image = image_document(b"{}", [b"layer"])
    make_image(cast.project, "v1")
    accessory = push(cast.project, image_document(b"{}", subject=image))
    make_image(make_project("hidden"), "v1")
    for source, expected in {
        "secret/app:missing": 404,
        "secret/missing:v1": 404,
        f"secret/app@{accessory.digest}": 403,
        "hidden/app:v1": 403,
        "nowhere/app:v1": 403,
        "": 400,
        "secret/app": 400,
        "secret:v1": 400,
        "secret/app@sha256:1": 400,
        "secret/App:v1": 400,
        "secret/app:-v1": 400,
    }.items():
        assert copy(cast, source) == expected, source
    assert copy(cast, "secret/app:v1", "guest") == 403
    assert copy(cast, "secret/app:v1", "owner") == 403
    assert copy(cast, "secret/app:v1", "anonymous") == 401
    bad = cast["developer"].post("/projects/prod/repositories/Bad/artifacts?from=secret/app:v1")
    assert bad.status_code == 400
    nowhere = "/projects/nowhere/repositories/app/artifacts?from=secret/app:v1"
    assert cast["developer"].post(nowhere).status_code == 403
    assert cast["admin"].post(nowhere).status_code == 404
    Blob.objects.update(damaged_at="2026-01-01T00:00:00Z")
    assert copy(cast, "secret/app:v1") == 412
    assert not Tag.objects.filter(repository__name="prod/team/app").exists()


def companion(subject: Digest, suffix: str = "sig") -> str:
    return f"sha256-{subject.hex}.{suffix}"


@pytest.mark.django_db(transaction=True)
def test_a_full_quota_and_read_only_mode_have_one_code_everywhere(cast: Cast) -> None:
    """Harbor tells them from a missing permission, which has the same status."""
    make_image(cast.project, "v1")
    bulk = {"action": "delete", "tags": ["v1"]}

    def refused() -> tuple[int, str]:
        answer = cast["developer"].post(f"{INTO}?from=secret/app:v1")
        return answer.status_code, errors_of(answer)[0]["code"]

    limit(Project.objects.get(name="prod"), 1)
    assert refused() == (403, "DENIED")
    limit(Project.objects.get(name="prod"), -1)
    assert cast["admin"].put("/configurations", {"read_only": True}).status_code == 200
    assert refused() == (403, "DENIED")
    acted = cast["admin"].post("/projects/secret/repositories/app/artifacts/bulk", bulk)
    assert [item["code"] for item in body_of(acted)["items"]] == ["DENIED"]
    assert cast["admin"].put("/configurations", {"read_only": False}).status_code == 200
    assert copy(cast, "secret/app:v1") == 201


def test_signatures_under_tags_come_along(cast: Cast) -> None:
    child = make_image(cast.project)
    index = push(cast.project, index_document(image_document(b"{}", [b"layer"])), "multi")
    tags = {}
    for number, (subject, suffix) in enumerate(
        ((index.digest, "sig"), (index.digest, "att"), (child.digest, "sbom"))
    ):
        document = image_document(annotations={"n": str(number)})
        tags[companion(subject, suffix)] = push(
            cast.project, document, companion(subject, suffix)
        ).digest
    # The SBOM is signed itself; what is about nothing in the copy stays behind.
    sbom = tags[companion(child.digest, "sbom")]
    tags[companion(sbom)] = push(
        cast.project, image_document(annotations={"n": "9"}), companion(sbom)
    ).digest
    push(cast.project, image_document(annotations={"n": "x"}), companion(Digest.of(b"x")))
    push(cast.project, image_document(annotations={"n": "y"}), f"sha256-{index.digest.hex}")
    assert copy(cast, "secret/app:multi") == 201

    def live() -> dict[str, Digest]:
        rows = Tag.objects.filter(repository__name="prod/team/app", ended_at=None)
        return {row.name: Digest.from_bytes(bytes(row.digest)) for row in rows}

    assert live() == {"multi": index.digest, **tags}
    assert digests("prod/team/app") == {
        str(digest) for digest in (child.digest, index.digest, *tags.values())
    }
    entries = AuditEntry.objects.count()
    assert copy(cast, "secret/app:multi") == 201
    assert AuditEntry.objects.count() == entries
    # What the target has under such a tag stays, and nothing is copied beside it.
    signature = companion(index.digest)
    push(cast.project, image_document(annotations={"n": "newer"}), signature)
    assert copy(cast, "secret/app:multi") == 201
    assert live() == {"multi": index.digest, **tags}
    assert len(digests("prod/team/app")) == 6
    assert copy(cast, f"secret/app:{signature}") == 403


def test_labels_follow_as_far_as_they_may(cast: Cast) -> None:
    child = make_image(cast.project)
    index = push(cast.project, index_document(image_document(b"{}", [b"layer"])), "multi")
    own, everyones = make_label("own", project=cast.project), make_label("everyones")
    for label in (own, everyones):
        put_label(label, index.id)
    put_label(everyones, child.id)

    def labels(repository: str) -> set[tuple[str, str]]:
        rows = ManifestLabel.objects.filter(manifest__repository__name=repository)
        return {
            (str(Digest.from_bytes(bytes(digest))), name)
            for digest, name in rows.values_list("manifest__digest", "label__name")
        }

    common = {(str(child.digest), "everyones"), (str(index.digest), "everyones")}
    for _ in range(2):
        assert copy(cast, "secret/app:multi") == 201
        assert labels("prod/team/app") == common
    added = AuditEntry.objects.filter(action="artifact.label_added", project_name="prod")
    assert added.count() == 2
    within = "/projects/secret/repositories/other/artifacts?from=secret/app:multi"
    assert cast["developer"].post(within).status_code == 201
    assert labels("secret/other") == {*common, (str(index.digest), "own")} == labels("secret/app")


@pytest.mark.django_db(transaction=True)
def test_a_refused_copy_leaves_no_repository(tmp_path: Path, settings: Settings) -> None:
    settings.STORAGE_ROOT = tmp_path
    default_driver.cache_clear()
    source, target = make_project("source"), make_project("target")
    make_image(source, "v1", layers=(b"x" * 3_000, b"y" * 3_000))
    # Room for one layer, or for what is pushed: a refusal comes after something was copied.
    limit(target, 5_000)

    def into(name: str) -> object:
        return copy_artifact(
            "source/app", "v1", target_name=name, target_project_id=target.pk, actor=PUSHER
        )

    entries = AuditEntry.objects.count()
    with pytest.raises(QuotaExceeded):
        into("target/ghost")
    assert not Repository.objects.filter(project=target).exists()
    assert (used(target), AuditEntry.objects.count()) == (0, entries)

    # Whoever pushes into it meanwhile keeps what they push.
    results = at_once(
        4, lambda number: into("target/app") if number else make_image(target, "own", path="app")
    )
    assert [type(result) for result in results[1:]] == [QuotaExceeded] * 3
    assert digests("target/app") == {str(results[0].digest)}
    assert Tag.objects.get(repository__name="target/app").name == "own"
    assert used(target) == truly_held(target)

    limit(target, -1)
    into("target/ghost")
    assert digests("target/ghost") == digests("source/app")
    default_driver.cache_clear()


@pytest.mark.django_db(transaction=True)
def test_copies_at_once_and_a_deletion_leave_a_whole_artifact_or_none(
    tmp_path: Path, settings: Settings
) -> None:
    settings.STORAGE_ROOT = tmp_path
    default_driver.cache_clear()
    source, target = make_project("source"), make_project("target")
    make_image(source)
    pushed = push(source, index_document(image_document(b"{}", [b"layer"])), "v1")

    def work(number: int) -> object:
        if number == 3:
            return delete_manifest("source/app", pushed.digest, actor=PUSHER)
        return copy_artifact(
            "source/app", "v1", target_name="target/app", target_project_id=target.pk, actor=PUSHER
        )

    results = at_once(4, work)
    copies = [result for result in results[:3] if isinstance(result, Digest)]
    tags = Tag.objects.filter(repository__name="target/app", ended_at=None)
    assert tags.count() == (1 if copies else 0)
    if copies:
        assert digests("target/app") >= {str(pushed.digest)}
        waiting = Manifest.objects.filter(
            repository__name="target/app", references__blob=None, references__child=None
        )
        assert not waiting.exists()
    default_driver.cache_clear()
