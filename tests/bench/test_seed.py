"""What is seeded is what pushes would have left behind."""

from pathlib import Path

import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from bench.seed import Cursor, find_seeded, seed_repositories, seed_tags
from core.artifacts.models import ManifestReference, Repository
from core.artifacts.queries import list_tags
from core.oci.digest import Digest
from core.oci.manifest import parse_manifest
from core.projects.models import Project
from tests.factories.artifacts import VIEWER, find_blob, find_manifest, make_blob, storage_in
from tests.factories.projects import make_project

SHARED = b"s" * 1_500


@pytest.fixture
def project(tmp_path: Path, settings: Settings, transactional_db: None) -> Project:
    with storage_in(tmp_path, settings):
        project = make_project("many")
        make_blob(project, SHARED, "shared")
    return project


@pytest.fixture
def cursor(transactional_db: None) -> Cursor:
    connection.ensure_connection()
    return connection.connection.cursor()


def seed(cursor: Cursor, first: int, last: int) -> None:
    seed_repositories(cursor, "many", "grown", first, last, str(Digest.of(SHARED)))


def test_seeded_repositories_can_be_pulled_from(project: Project, cursor: Cursor) -> None:
    seed(cursor, 1, 3)
    found = find_seeded(cursor, "many", "grown", [1, 3])
    assert [one.name for one in found] == ["many/grown-000001", "many/grown-000003"]
    assert found[0].digest != found[1].digest
    for one in found:
        by_tag = find_manifest(one.name, one.tag, VIEWER).manifest
        by_digest = find_manifest(one.name, Digest.parse(one.digest), VIEWER).manifest
        assert by_tag is not None
        assert by_tag == by_digest
        assert Digest.of(by_tag.payload) == by_tag.digest
        assert find_blob(one.name, Digest.of(SHARED), VIEWER).blob is not None


def test_rows_say_what_the_manifest_says(project: Project, cursor: Cursor) -> None:
    seed(cursor, 1, 1)
    (one,) = find_seeded(cursor, "many", "grown", [1])
    manifest = find_manifest(one.name, one.tag, VIEWER).manifest
    assert manifest is not None
    parsed = parse_manifest(manifest.payload, manifest.media_type)
    stored = ManifestReference.objects.filter(parent_id=manifest.id).order_by("position")
    assert [(row.role, bytes(row.digest), row.size_bytes, row.media_type) for row in stored] == [
        (ref.role, ref.digest.to_bytes(), ref.size, ref.media_type) for ref in parsed.references
    ]


def test_more_can_be_added_later(project: Project, cursor: Cursor) -> None:
    seed(cursor, 1, 2)
    seed(cursor, 3, 5)
    names = Repository.objects.filter(name__contains="grown").order_by("name")
    assert [row.name for row in names] == [f"many/grown-00000{n}" for n in range(1, 6)]
    assert len(find_seeded(cursor, "many", "grown", range(1, 6))) == 5


def test_tags_are_added_beside_the_one_that_is_there(project: Project, cursor: Cursor) -> None:
    seed(cursor, 1, 1)
    seed_tags(cursor, "many/grown-000001", 3)
    repository = Repository.objects.get(name="many/grown-000001")
    assert list_tags(repository.pk, "", 10) == [
        "build-000001",
        "build-000002",
        "build-000003",
        "latest",
    ]
