"""What is counted, and looked at before a count, is found by its keys."""

import pytest
from django.db import connection

from core.database import raw
from core.projects.models import Project
from core.usage import queries
from tests.support.reads import rows_read_by

pytestmark = pytest.mark.django_db(transaction=True)

FILL = """
INSERT INTO projects_project
       (name, is_public, generation, owner_name, created_at, updated_at)
SELECT 'many-' || n, false, 0, '', now(), now() FROM generate_series(1, 3000) n;
INSERT INTO artifacts_repository
       (project_id, name, description, pull_count, created_at, updated_at)
SELECT id, name || '/app', '', 0, now(), now() FROM projects_project ORDER BY id DESC;
INSERT INTO blobs_blob (digest, size_bytes, storage_key, created_at)
SELECT '\\x01'::bytea || sha256(n::text::bytea), n, 'many-' || n, now()
  FROM generate_series(1, 3000) n;
INSERT INTO artifacts_repositoryblob (repository_id, blob_id, leased_until, pushed_by)
SELECT r.id, b.id, now(), '' FROM artifacts_repository r, blobs_blob b WHERE r.name = 'many-1/app';
"""


def test_one_link_is_counted_alike_behind_very_many(project: Project) -> None:
    """A trigger keeps the plan that it was first carried out with."""
    with connection.cursor() as cursor:
        cursor.execute(FILL)
        cursor.execute("ANALYZE")
        cursor.execute("SELECT max(id) FROM artifacts_repositoryblob")
        (last_id,) = cursor.fetchone()
    connection.close()
    remove = "DELETE FROM artifacts_repositoryblob WHERE id {} %s"
    raw.execute(remove.format("<"), (last_id,))
    assert rows_read_by(lambda: raw.execute(remove.format("="), (last_id,))) < 100


def test_no_more_contents_are_looked_at_than_asked_for(project: Project) -> None:
    """Wherever in the table those of the project stand."""
    with connection.cursor() as cursor:
        cursor.execute(FILL)
        cursor.execute(
            "INSERT INTO usage_projectcontent"
            " (project_id, digest, is_manifest, size_bytes, holders)"
            " SELECT %s, sha256(n::text::bytea), true, 1, 1 FROM generate_series(1, 3000) n",
            (project.pk,),
        )
        cursor.execute("ANALYZE")
    assert queries.contents_up_to(project.pk, 10) == 10
    assert rows_read_by(lambda: queries.contents_up_to(project.pk, 10)) < 100
