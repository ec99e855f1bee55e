"""Keep with a manifest whether an index lists it, and whether a tag may name it.

Before the code that comes with it; code that does not know the new columns may go on writing,
because triggers keep them. Writes into repositories wait while what is there is marked: some
three seconds for each 100,000 children of indexes.
"""

import django.db.models.deletion
from django.db import migrations, models

# A row of references keeps its child from being deleted and from losing the mark until the
# commit; whoever takes a mark away waits for that, and looks again.
_MARK_CHILD = """
CREATE FUNCTION artifacts_mark_child() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM artifacts_manifest WHERE id = NEW.child_id FOR KEY SHARE;
  UPDATE artifacts_manifest SET is_child = true WHERE id = NEW.child_id AND NOT is_child;
  RETURN NULL;
END $$;

CREATE TRIGGER artifacts_child_listed AFTER INSERT ON artifacts_manifestreference
   FOR EACH ROW WHEN (NEW.child_id IS NOT NULL) EXECUTE FUNCTION artifacts_mark_child();

CREATE TRIGGER artifacts_child_bound AFTER UPDATE OF child_id ON artifacts_manifestreference
   FOR EACH ROW WHEN (NEW.child_id IS NOT NULL AND NEW.child_id IS DISTINCT FROM OLD.child_id)
   EXECUTE FUNCTION artifacts_mark_child();
"""

# Looks again at manifests, when nobody is about to refer to them. They are locked in the order of
# their ids, as everywhere. Returns how many were marked wrongly.
_UNMARK_CHILDREN = """
CREATE FUNCTION artifacts_mark_again(manifests bigint[]) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  changed integer;
BEGIN
  PERFORM FROM artifacts_manifest WHERE id = ANY (manifests) ORDER BY id FOR UPDATE;
  UPDATE artifacts_manifest AS manifest
     SET is_child = actual.is_child, may_be_tagged = may_be_tagged OR actual.is_tagged
    FROM (SELECT m.id,
                 EXISTS (SELECT FROM artifacts_manifestreference WHERE child_id = m.id)
                 AS is_child,
                 EXISTS (SELECT FROM artifacts_tag WHERE manifest_id = m.id) AS is_tagged
            FROM artifacts_manifest m WHERE m.id = ANY (manifests)) AS actual
   WHERE manifest.id = actual.id
     AND (manifest.is_child <> actual.is_child OR actual.is_tagged AND NOT may_be_tagged);
  GET DIAGNOSTICS changed = ROW_COUNT;
  RETURN changed;
END $$;

CREATE FUNCTION artifacts_unmark_removed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  children bigint[];
BEGIN
  SELECT array_agg(DISTINCT child_id) INTO children FROM removed WHERE child_id IS NOT NULL;
  IF children IS NOT NULL THEN
    PERFORM artifacts_mark_again(children);
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION artifacts_unmark_unbound() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM artifacts_mark_again(ARRAY[OLD.child_id]);
  RETURN NULL;
END $$;

CREATE TRIGGER artifacts_children_removed AFTER DELETE ON artifacts_manifestreference
   REFERENCING OLD TABLE AS removed
   FOR EACH STATEMENT EXECUTE FUNCTION artifacts_unmark_removed();

CREATE TRIGGER artifacts_child_unbound AFTER UPDATE OF child_id ON artifacts_manifestreference
   FOR EACH ROW WHEN (OLD.child_id IS NOT NULL AND NEW.child_id IS DISTINCT FROM OLD.child_id)
   EXECUTE FUNCTION artifacts_unmark_unbound();
"""

_MARK_TAGGED = """
CREATE FUNCTION artifacts_mark_tagged() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE artifacts_manifest SET may_be_tagged = true
   WHERE id = NEW.manifest_id AND NOT may_be_tagged;
  RETURN NULL;
END $$;

CREATE TRIGGER artifacts_manifest_tagged AFTER INSERT ON artifacts_tag
   FOR EACH ROW WHEN (NEW.manifest_id IS NOT NULL) EXECUTE FUNCTION artifacts_mark_tagged();

CREATE TRIGGER artifacts_manifest_retagged AFTER UPDATE OF manifest_id ON artifacts_tag
   FOR EACH ROW WHEN (NEW.manifest_id IS NOT NULL
                      AND NEW.manifest_id IS DISTINCT FROM OLD.manifest_id)
   EXECUTE FUNCTION artifacts_mark_tagged();
"""

# The column is added with true for what is there, which costs nothing; only of children, whose
# rows change anyway, is it worth while to know better.
_MARK_WHAT_IS_THERE = """
UPDATE artifacts_manifest AS manifest
   SET is_child = true,
       may_be_tagged = EXISTS (SELECT FROM artifacts_tag WHERE manifest_id = manifest.id)
 WHERE id IN (SELECT child_id FROM artifacts_manifestreference WHERE child_id IS NOT NULL);
"""

_FORGET = """
DROP TRIGGER artifacts_manifest_retagged ON artifacts_tag;
DROP TRIGGER artifacts_manifest_tagged ON artifacts_tag;
DROP TRIGGER artifacts_child_unbound ON artifacts_manifestreference;
DROP TRIGGER artifacts_children_removed ON artifacts_manifestreference;
DROP TRIGGER artifacts_child_bound ON artifacts_manifestreference;
DROP TRIGGER artifacts_child_listed ON artifacts_manifestreference;
DROP FUNCTION artifacts_mark_tagged();
DROP FUNCTION artifacts_unmark_unbound();
DROP FUNCTION artifacts_unmark_removed();
DROP FUNCTION artifacts_mark_again(bigint[]);
DROP FUNCTION artifacts_mark_child();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("artifacts", "0010_usage_by_day_tag_and_client"),
    ]

    operations = [
        # All at once, before the first column takes the strongest lock on one of them.
        migrations.RunSQL(
            "LOCK TABLE artifacts_manifest, artifacts_manifestreference, artifacts_tag"
            " IN ACCESS EXCLUSIVE MODE",
            migrations.RunSQL.noop,
        ),
        migrations.AddField(
            model_name="manifest",
            name="is_child",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="manifest",
            name="may_be_tagged",
            field=models.BooleanField(db_default=True, default=False),
        ),
        migrations.AlterField(
            model_name="manifest",
            name="may_be_tagged",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.RunSQL(
            _MARK_WHAT_IS_THERE + _MARK_CHILD + _UNMARK_CHILDREN + _MARK_TAGGED, _FORGET
        ),
        migrations.AddIndex(
            model_name="manifest",
            index=models.Index(
                models.F("repository"),
                models.F("id"),
                include=("size_bytes",),
                name="artifacts_manifest_sizes",
            ),
        ),
        migrations.AlterField(
            model_name="manifest",
            name="repository",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="manifests",
                to="artifacts.repository",
            ),
        ),
        # The index that is replaced left out accessories, and nothing else.
        migrations.RemoveIndex(model_name="manifest", name="artifacts_manifest_newest"),
        migrations.AddIndex(
            model_name="manifest",
            index=models.Index(
                models.F("repository"),
                models.OrderBy(models.F("pushed_at"), descending=True),
                models.OrderBy(models.F("id"), descending=True),
                condition=models.Q(
                    models.Q(("is_child", False), ("may_be_tagged", True), _connector="OR"),
                    ("subject", None),
                ),
                include=("is_child",),
                name="artifacts_manifest_listed",
            ),
        ),
    ]
