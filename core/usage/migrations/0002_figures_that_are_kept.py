"""Keep the figures of the storage explorer with every write, so that they need no adding up.

Before the code that comes with it. Writes into repositories wait while what is there is counted:
some two seconds for each million contents.
"""

from importlib import import_module

from django.db import migrations, models

# Each statement adds rows, and so waits for nobody. A function serves inserts and deletes: the
# rows of either come under the name ``changed``.
_HOLD = """
CREATE FUNCTION usage_hold_blobs() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  step integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
  INSERT INTO usage_holding (repository_id, blobs, manifests, bytes)
  SELECT l.repository_id, step * count(*), 0, step * sum(b.size_bytes)
    FROM changed l JOIN blobs_blob b ON b.id = l.blob_id GROUP BY 1;
  RETURN NULL;
END $$;

CREATE FUNCTION usage_hold_manifests() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  step integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
  INSERT INTO usage_holding (repository_id, blobs, manifests, bytes)
  SELECT repository_id, 0, step * count(*), step * sum(size_bytes) FROM changed GROUP BY 1;
  RETURN NULL;
END $$;
"""

# As before, and what a project gains or loses is kept as well.
_COUNT = """
CREATE OR REPLACE FUNCTION usage_count(
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
      RETURNING content.project_id, content.is_manifest, content.size_bytes,
                content.xmax = 0 AS is_new),
      gained AS (
      INSERT INTO usage_holding (project_id, blobs, manifests, bytes)
      SELECT project_id, count(*) FILTER (WHERE NOT is_manifest),
             count(*) FILTER (WHERE is_manifest), sum(size_bytes)
        FROM held WHERE is_new GROUP BY project_id)
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
      RETURNING content.project_id, content.is_manifest, content.size_bytes),
      lost AS (
      INSERT INTO usage_holding (project_id, blobs, manifests, bytes)
      SELECT project_id, -count(*) FILTER (WHERE NOT is_manifest),
             -count(*) FILTER (WHERE is_manifest), -sum(size_bytes)
        FROM gone GROUP BY project_id)
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
END $$;
"""

_COUNT_AS_BEFORE = import_module(
    "core.usage.migrations.0001_content_counted_by_triggers"
)._COUNT.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")

_TABLES = {"blobs": "artifacts_repositoryblob", "manifests": "artifacts_manifest"}
_TRIGGERS = "".join(
    f"""
CREATE TRIGGER usage_{what}_gained AFTER INSERT ON {table}
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION usage_hold_{what}();

CREATE TRIGGER usage_{what}_lost AFTER DELETE ON {table}
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION usage_hold_{what}();
"""
    for what, table in _TABLES.items()
)

_COUNT_WHAT_IS_THERE = """
INSERT INTO usage_holding (repository_id, blobs, manifests, bytes, is_settled)
SELECT repository_id, sum(blobs), sum(manifests), sum(bytes), true
  FROM (SELECT l.repository_id, count(*) AS blobs, 0 AS manifests, sum(b.size_bytes) AS bytes
          FROM artifacts_repositoryblob l JOIN blobs_blob b ON b.id = l.blob_id GROUP BY 1
         UNION ALL
        SELECT repository_id, 0, count(*), sum(size_bytes) FROM artifacts_manifest GROUP BY 1)
       AS held
 GROUP BY 1;

INSERT INTO usage_holding (project_id, blobs, manifests, bytes, is_settled)
SELECT project_id, count(*) FILTER (WHERE NOT is_manifest), count(*) FILTER (WHERE is_manifest),
       sum(size_bytes), true
  FROM usage_projectcontent GROUP BY 1;

UPDATE usage_projectcontent SET is_shared = true
 WHERE (digest, is_manifest) IN (SELECT digest, is_manifest FROM usage_projectcontent
                                  GROUP BY 1, 2 HAVING count(*) > 1);
"""

_FORGET = "".join(
    f"""
DROP TRIGGER usage_{what}_lost ON {table};
DROP TRIGGER usage_{what}_gained ON {table};
DROP FUNCTION usage_hold_{what}();
"""
    for what, table in _TABLES.items()
)


class Migration(migrations.Migration):
    dependencies = [
        ("usage", "0001_content_counted_by_triggers"),
        ("artifacts", "0013_tags_that_end_by_labels"),
    ]

    operations = [
        migrations.RunSQL(
            "LOCK TABLE artifacts_repositoryblob, artifacts_manifest, usage_projectcontent"
            " IN ACCESS EXCLUSIVE MODE",
            migrations.RunSQL.noop,
        ),
        migrations.CreateModel(
            name="Holding",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("repository_id", models.BigIntegerField(null=True)),
                ("project_id", models.BigIntegerField(null=True)),
                ("blobs", models.BigIntegerField()),
                ("manifests", models.BigIntegerField()),
                ("bytes", models.BigIntegerField()),
                ("is_settled", models.BooleanField(db_default=False, default=False)),
            ],
            options={
                "indexes": [
                    models.Index(
                        models.F("id"),
                        condition=models.Q(("is_settled", False)),
                        name="usage_holding_open",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("project_id__isnull", False), ("repository_id", None)),
                            models.Q(("project_id", None), ("repository_id__isnull", False)),
                            _connector="OR",
                        ),
                        name="usage_holding_of_one",
                    ),
                    models.UniqueConstraint(
                        fields=("repository_id", "project_id"),
                        condition=models.Q(("is_settled", True)),
                        nulls_distinct=False,
                        name="usage_holding_settled_unique",
                    ),
                ],
            },
        ),
        # Of what is there nothing is shared, but for what is marked below; of what comes it is
        # not known at first.
        migrations.AddField(
            model_name="projectcontent",
            name="is_shared",
            field=models.BooleanField(db_default=False, null=True),
        ),
        migrations.AlterField(
            model_name="projectcontent",
            name="is_shared",
            field=models.BooleanField(null=True),
        ),
        migrations.RunSQL(
            _COUNT_WHAT_IS_THERE + _COUNT + _HOLD + _TRIGGERS, _COUNT_AS_BEFORE + ";" + _FORGET
        ),
        migrations.AddIndex(
            model_name="projectcontent",
            index=models.Index(
                models.F("project_id"),
                models.F("digest"),
                models.F("is_manifest"),
                condition=models.Q(("is_shared", True), ("is_shared", None), _connector="OR"),
                name="usage_projectcontent_shared",
            ),
        ),
        migrations.AddIndex(
            model_name="projectcontent",
            index=models.Index(
                models.F("is_manifest"),
                models.F("digest"),
                condition=models.Q(("is_shared", None)),
                name="usage_projectcontent_new",
            ),
        ),
    ]
