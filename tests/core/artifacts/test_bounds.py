"""Writes read what they are about, however much else a repository has or shares."""

from collections.abc import Callable

import pytest
from django.db import connection

from core.artifacts.models import Manifest
from core.artifacts.services import deleting
from core.artifacts.services.belongings import find_belongings_alone
from core.artifacts.services.blobs import mount_blob
from core.artifacts.services.deleting import delete_artifact
from core.artifacts.services.manifests import delete_manifest
from core.oci.digest import Digest
from core.projects.models import Project
from tests.core.artifacts.test_queries import FILL, SHARE, rows_read
from tests.factories.artifacts import (
    PUSHER,
    image_document,
    index_document,
    make_blob,
    make_image,
    push,
)
from tests.support.reads import rows_read_by

pytestmark = pytest.mark.django_db(transaction=True)

EMPTY = Digest.of(b"{}")

# 3,000 images that share a configuration, each with a layer of its own; and as many indexes that
# list the first of them.
GROW = """
INSERT INTO blobs_blob (digest, size_bytes, storage_key, created_at)
SELECT '\\x01'::bytea || sha256(('layer' || n)::bytea), n, 'layer-' || n, now()
  FROM generate_series(1, 3000) n;
INSERT INTO artifacts_repositoryblob (repository_id, blob_id, leased_until, pushed_by)
SELECT r.id, b.id, now(), '' FROM artifacts_repository r, blobs_blob b
 WHERE r.name = 'team/app' AND b.storage_key LIKE 'layer-%%';
INSERT INTO artifacts_manifest
       (repository_id, digest, media_type, size_bytes, payload, annotations, total_bytes,
        pushed_at, pushed_by, touched_at)
SELECT r.id, '\\x01'::bytea || sha256(payload), kind, length(payload), payload, '{}', 5,
       now(), '', now()
  FROM artifacts_repository r, unnest(ARRAY['image', 'index']) kind, generate_series(1, 3000) n,
       LATERAL (SELECT (kind || n)::bytea AS payload) made
 WHERE r.name = 'team/app';
INSERT INTO artifacts_manifestreference
       (parent_id, position, role, digest, size_bytes, media_type, blob_id)
SELECT m.id, 0, 'config', b.digest, b.size_bytes, 'c', b.id
  FROM artifacts_manifest m, blobs_blob b WHERE m.media_type = 'image' AND b.digest = %s;
INSERT INTO artifacts_manifestreference
       (parent_id, position, role, digest, size_bytes, media_type, child_id)
SELECT m.id, 0, 'child', c.digest, c.size_bytes, 'm', c.id
  FROM artifacts_manifest m, artifacts_manifest c
 WHERE m.media_type = 'index' AND c.payload = 'image1';
INSERT INTO artifacts_trashentry
       (project_id, kind, path, tag, digest, manifest_count, total_bytes, deleted_at, deleted_by,
        kept_until, description, pull_count)
SELECT id, 'manifest', 'app', '', '\\x01', 1, 1, now(), '', now() + interval '1 day', '', 0
  FROM projects_project;
INSERT INTO artifacts_trashedblob (entry_id, blob_id)
SELECT e.id, b.id FROM artifacts_trashentry e, blobs_blob b WHERE b.digest = %s;
"""


@pytest.fixture(params=["ANALYZE", "VACUUM ANALYZE"])
def grown(request: pytest.FixtureRequest, project: Project) -> Project:
    """A project whose repository ``app`` has very much, and shares its configuration with many."""
    make_image(project, "v1")
    with connection.cursor() as cursor:
        cursor.execute(FILL.replace("%%", "%"))
        cursor.execute(SHARE, (EMPTY.to_bytes(),))
        cursor.execute(GROW, [EMPTY.to_bytes()] * 2)
        make_blob(project, b"last")
        cursor.execute(request.param)
    return project


def test_pushes_and_deletes_read_little(grown: Project) -> None:
    image, children = image_document(layers=[b"last"]), [b"image2", b"image3"]
    index = Manifest.objects.get(digest=Digest.of(b"index9").to_bytes())
    work: dict[str, Callable[[], object]] = {
        "push an image": lambda: push(grown, image, "v2"),
        "push to a tag": lambda: push(grown, image, "x7"),
        "push an index": lambda: push(grown, index_document(*children), "v3"),
        "mount": lambda: mount_blob(
            EMPTY,
            source="many-9/more-7",
            target_name="team/other",
            project_id=grown.pk,
            actor=PUSHER,
            readable=lambda _name: True,
        ),
        "mount what is there": lambda: mount_blob(
            EMPTY,
            source="many-9/more-7",
            target_name="team/app",
            project_id=grown.pk,
            actor=PUSHER,
            readable=lambda _name: True,
        ),
        "delete an image": lambda: delete_manifest("team/app", Digest.of(b"image9"), actor=PUSHER),
        "delete an artifact": lambda: delete_artifact(
            "team/app", Digest.of(b"image8"), actor=PUSHER
        ),
        "find what belongs to an index": lambda: find_belongings_alone(
            index.repository_id, index.pk, Digest.of(b"index9")
        ),
    }
    read = {label: rows_read_by(each) for label, each in work.items()}
    assert {label: rows for label, rows in read.items() if rows > 1_000} == {}


def test_the_first_index_that_lists_a_manifest_is_found_at_once(grown: Project) -> None:
    listed = Manifest.objects.get(digest=Digest.of(b"image1").to_bytes())
    with connection.cursor() as cursor:
        statement = cursor.mogrify(deleting._FIND_PARENT, {"child": listed.pk}).decode()
        assert rows_read(statement, cursor) < 10
