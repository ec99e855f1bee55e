"""Count what projects hold, in the transactions that change it.

Before the code that comes with it. Writes into repositories wait while what is there is counted:
some four seconds for each million links.
"""

from django.db import migrations, models

# Counts the changes, each a content of a project and by how many holders it gains or loses.
# Rows are locked in one order, blobs before manifests as in all writes of content: what comes by
# the order of the insert, what goes by a statement of its own before it. A content that has come, or gone, changes the usage.
_COUNT = """
CREATE FUNCTION usage_count(
  projects bigint[], digests bytea[], are_manifests boolean[], sizes bigint[], counts integer[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF projects IS NULL THEN
    RETURN;
  END IF;
  IF 0 < ANY (counts) THEN
    WITH held AS (
      INSERT INTO usage_projectcontent AS content
             (project_id, digest, is_manifest, size_bytes, holders)
      SELECT project_id, digest, is_manifest, size_bytes, change.count
        FROM unnest(projects, digests, are_manifests, sizes, counts)
             AS change(project_id, digest, is_manifest, size_bytes, count)
       WHERE change.count > 0
       ORDER BY is_manifest, project_id, digest
      ON CONFLICT (project_id, digest, is_manifest)
      DO UPDATE SET holders = content.holders + excluded.holders
      RETURNING content.project_id, content.size_bytes, content.xmax = 0 AS is_new)
    INSERT INTO quotas_usagechange (project_id, transaction_id, bytes)
    SELECT project_id, pg_current_xact_id()::text::bigint, sum(size_bytes)
      FROM held WHERE is_new GROUP BY project_id;
  END IF;
  IF 0 > ANY (counts) THEN
    PERFORM FROM usage_projectcontent content
       JOIN unnest(projects, digests, are_manifests, counts)
            AS change(project_id, digest, is_manifest, count)
      USING (project_id, digest, is_manifest)
      WHERE change.count < 0
      ORDER BY is_manifest, project_id, digest
        FOR UPDATE OF content;
    WITH gone AS (
      DELETE FROM usage_projectcontent content
       USING unnest(projects, digests, are_manifests, counts)
             AS change(project_id, digest, is_manifest, count)
       WHERE content.project_id = change.project_id AND content.digest = change.digest
         AND content.is_manifest = change.is_manifest
         AND change.count < 0 AND content.holders + change.count <= 0
      RETURNING content.project_id, content.size_bytes)
    INSERT INTO quotas_usagechange (project_id, transaction_id, bytes)
    SELECT project_id, pg_current_xact_id()::text::bigint, -sum(size_bytes)
      FROM gone GROUP BY project_id;
    UPDATE usage_projectcontent AS content SET holders = content.holders + change.count
      FROM unnest(projects, digests, are_manifests, counts)
           AS change(project_id, digest, is_manifest, count)
     WHERE content.project_id = change.project_id AND content.digest = change.digest
       AND content.is_manifest = change.is_manifest
       AND change.count < 0 AND content.holders + change.count > 0;
  END IF;
END $$
"""

# One function serves inserts and deletes: the rows of either come under the name ``changed``.
_COUNT_BLOBS = """
CREATE FUNCTION usage_count_blobs() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  step integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
  PERFORM usage_count(array_agg(project_id), array_agg(digest), array_agg(false),
                      array_agg(size_bytes), array_agg(step * holders))
     FROM (SELECT r.project_id, b.digest, b.size_bytes, count(*)::integer AS holders
             FROM changed l
             JOIN artifacts_repository r ON r.id = l.repository_id
             JOIN blobs_blob b ON b.id = l.blob_id
            GROUP BY r.project_id, b.digest, b.size_bytes) AS content;
  RETURN NULL;
END $$;

CREATE TRIGGER usage_blobs_linked AFTER INSERT ON artifacts_repositoryblob
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION usage_count_blobs();

CREATE TRIGGER usage_blobs_unlinked AFTER DELETE ON artifacts_repositoryblob
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION usage_count_blobs();
"""

_COUNT_MANIFESTS = """
CREATE FUNCTION usage_count_manifests() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  step integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
  PERFORM usage_count(array_agg(project_id), array_agg(digest), array_agg(true),
                      array_agg(size_bytes), array_agg(step * holders))
     FROM (SELECT r.project_id, m.digest, m.size_bytes::bigint, count(*)::integer AS holders
             FROM changed m
             JOIN artifacts_repository r ON r.id = m.repository_id
            GROUP BY r.project_id, m.digest, m.size_bytes) AS content;
  RETURN NULL;
END $$;

CREATE TRIGGER usage_manifests_stored AFTER INSERT ON artifacts_manifest
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION usage_count_manifests();

CREATE TRIGGER usage_manifests_deleted AFTER DELETE ON artifacts_manifest
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION usage_count_manifests();
"""

# A repository that changes its project waits for those who are writing into it, as a delete
# does: what they add would be counted where the repository was.
_MOVE = """
CREATE FUNCTION usage_hold_repository() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM artifacts_repository WHERE id = OLD.id FOR UPDATE;
  RETURN NEW;
END $$;

CREATE FUNCTION usage_move_repository() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM usage_count(array_agg(side.project_id), array_agg(digest), array_agg(is_manifest),
                      array_agg(size_bytes), array_agg(side.step))
     FROM (SELECT b.digest, false AS is_manifest, b.size_bytes
             FROM artifacts_repositoryblob l JOIN blobs_blob b ON b.id = l.blob_id
            WHERE l.repository_id = NEW.id
            UNION ALL
           SELECT digest, true, size_bytes::bigint
             FROM artifacts_manifest WHERE repository_id = NEW.id) AS content,
          (VALUES (OLD.project_id, -1), (NEW.project_id, 1)) AS side(project_id, step);
  RETURN NULL;
END $$;

CREATE TRIGGER usage_hold_repository BEFORE UPDATE OF project_id ON artifacts_repository
   FOR EACH ROW WHEN (OLD.project_id <> NEW.project_id)
   EXECUTE FUNCTION usage_hold_repository();

CREATE TRIGGER usage_move_repository AFTER UPDATE OF project_id ON artifacts_repository
   FOR EACH ROW WHEN (OLD.project_id <> NEW.project_id)
   EXECUTE FUNCTION usage_move_repository();
"""

_COUNT_WHAT_IS_THERE = """
LOCK TABLE artifacts_repository, artifacts_repositoryblob, artifacts_manifest
  IN SHARE ROW EXCLUSIVE MODE;

INSERT INTO usage_projectcontent (project_id, digest, is_manifest, size_bytes, holders)
SELECT r.project_id, b.digest, false, max(b.size_bytes), count(*)
  FROM artifacts_repositoryblob l
  JOIN artifacts_repository r ON r.id = l.repository_id
  JOIN blobs_blob b ON b.id = l.blob_id
 GROUP BY r.project_id, b.digest
 UNION ALL
SELECT r.project_id, m.digest, true, max(m.size_bytes), count(*)
  FROM artifacts_manifest m
  JOIN artifacts_repository r ON r.id = m.repository_id
 GROUP BY r.project_id, m.digest;

UPDATE quotas_quota AS quota SET used_bytes = held.bytes
  FROM (SELECT project_id, sum(size_bytes)::bigint AS bytes
          FROM usage_projectcontent GROUP BY project_id) AS held
 WHERE held.project_id = quota.project_id;
"""

_UNCOUNT = """
DROP TRIGGER usage_move_repository ON artifacts_repository;
DROP TRIGGER usage_hold_repository ON artifacts_repository;
DROP TRIGGER usage_manifests_deleted ON artifacts_manifest;
DROP TRIGGER usage_manifests_stored ON artifacts_manifest;
DROP TRIGGER usage_blobs_unlinked ON artifacts_repositoryblob;
DROP TRIGGER usage_blobs_linked ON artifacts_repositoryblob;
DROP FUNCTION usage_move_repository();
DROP FUNCTION usage_hold_repository();
DROP FUNCTION usage_count_manifests();
DROP FUNCTION usage_count_blobs();
DROP FUNCTION usage_count(bigint[], bytea[], boolean[], bigint[], integer[]);
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("artifacts", "0004_waiting_references"),
        ("quotas", "0001_limits_and_usage_of_projects"),
    ]

    operations = [
        migrations.CreateModel(
            name="ProjectContent",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("project_id", models.BigIntegerField()),
                ("digest", models.BinaryField(max_length=65)),
                ("is_manifest", models.BooleanField()),
                ("size_bytes", models.BigIntegerField()),
                ("holders", models.IntegerField()),
            ],
            options={
                "indexes": [
                    models.Index(
                        models.F("digest"),
                        models.F("project_id"),
                        name="usage_projectcontent_digest",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("project_id"),
                        models.F("digest"),
                        models.F("is_manifest"),
                        name="usage_projectcontent_unique",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("holders__gt", 0)), name="usage_projectcontent_is_held"
                    ),
                ],
            },
        ),
        migrations.RunSQL(
            _COUNT_WHAT_IS_THERE + _COUNT + ";" + _COUNT_BLOBS + _COUNT_MANIFESTS + _MOVE,
            _UNCOUNT,
        ),
    ]
