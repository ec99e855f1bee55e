"""Let triggers look up what they count by its ids, however much was counted before.

Before the code that comes with it.
"""

from django.db import migrations

# A connection keeps the plan of its first use. If that was for very many rows, as when a repository
# is deleted, the plan would be to read all blobs, and would be carried out for a single one too.
_COUNT_BLOBS = """
CREATE OR REPLACE FUNCTION usage_count_blobs() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  step integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
  PERFORM usage_count(array_agg(project_id), array_agg(digest), array_agg(false),
                      array_agg(size_bytes), array_agg(step * holders))
     FROM (SELECT r.project_id, b.digest, b.size_bytes, count(*)::integer AS holders
             FROM changed l
            CROSS JOIN LATERAL
                  (SELECT project_id FROM artifacts_repository
                    WHERE id = l.repository_id LIMIT 1) r
            CROSS JOIN LATERAL
                  (SELECT digest, size_bytes FROM blobs_blob WHERE id = l.blob_id LIMIT 1) b
            GROUP BY r.project_id, b.digest, b.size_bytes) AS content;
  RETURN NULL;
END $$;
"""

_COUNT_MANIFESTS = """
CREATE OR REPLACE FUNCTION usage_count_manifests() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  step integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
  PERFORM usage_count(array_agg(project_id), array_agg(digest), array_agg(true),
                      array_agg(size_bytes), array_agg(step * holders))
     FROM (SELECT r.project_id, m.digest, m.size_bytes::bigint, count(*)::integer AS holders
             FROM changed m
            CROSS JOIN LATERAL
                  (SELECT project_id FROM artifacts_repository
                    WHERE id = m.repository_id LIMIT 1) r
            GROUP BY r.project_id, m.digest, m.size_bytes) AS content;
  RETURN NULL;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("usage", "0002_figures_are_kept"),
    ]

    operations = [
        # The functions of before count the same.
        migrations.RunSQL(_COUNT_BLOBS + _COUNT_MANIFESTS, migrations.RunSQL.noop),
    ]
