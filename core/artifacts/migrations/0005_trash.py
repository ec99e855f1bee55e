"""Keep what is deleted for a while.

Safe before or after the code that comes with it.
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("artifacts", "0004_waiting_references"),
        ("blobs", "0002_store_and_verification"),
        ("projects", "0003_metadata_of_projects"),
    ]

    operations = [
        migrations.CreateModel(
            name="TrashedBlob",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="TrashedManifest",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("digest", models.BinaryField(max_length=65)),
                ("media_type", models.CharField(max_length=255)),
                ("payload", models.BinaryField()),
                ("pushed_at", models.DateTimeField()),
                ("pushed_by", models.CharField(max_length=512)),
                ("last_pulled_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="TrashedTag",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(db_collation="C", max_length=128)),
                ("digest", models.BinaryField(max_length=65)),
                ("started_at", models.DateTimeField()),
                ("started_by", models.CharField(max_length=512)),
                ("ended_at", models.DateTimeField(null=True)),
                ("ended_by", models.CharField(blank=True, max_length=512)),
                ("last_pulled_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="TrashEntry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kind", models.CharField(max_length=10)),
                ("path", models.CharField(db_collation="C", max_length=255)),
                ("tag", models.CharField(blank=True, db_collation="C", max_length=128)),
                ("digest", models.BinaryField(max_length=65, null=True)),
                ("manifest_count", models.IntegerField()),
                ("total_bytes", models.BigIntegerField()),
                ("deleted_at", models.DateTimeField()),
                ("deleted_by", models.CharField(max_length=512)),
                ("kept_until", models.DateTimeField(db_index=True)),
                ("description", models.TextField(blank=True)),
                ("pull_count", models.BigIntegerField(default=0)),
                ("created_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.AddField(
            model_name="trashedblob",
            name="blob",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="blobs.blob"
            ),
        ),
        migrations.AddField(
            model_name="trashentry",
            name="project",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="+", to="projects.project"
            ),
        ),
        migrations.AddField(
            model_name="trashedtag",
            name="entry",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="tags",
                to="artifacts.trashentry",
            ),
        ),
        migrations.AddField(
            model_name="trashedmanifest",
            name="entry",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="manifests",
                to="artifacts.trashentry",
            ),
        ),
        migrations.AddField(
            model_name="trashedblob",
            name="entry",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="artifacts.trashentry",
            ),
        ),
        migrations.AddIndex(
            model_name="trashentry",
            index=models.Index(
                models.F("project"),
                models.F("path"),
                models.F("id"),
                name="artifacts_trashentry_place",
            ),
        ),
        migrations.AddConstraint(
            model_name="trashentry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("digest__isnull", False),
                        ("kind", "tag"),
                        models.Q(("tag", ""), _negated=True),
                    ),
                    models.Q(("digest__isnull", False), ("kind", "manifest"), ("tag", "")),
                    models.Q(
                        ("created_at__isnull", False),
                        ("digest", None),
                        ("kind", "repository"),
                        ("tag", ""),
                    ),
                    _connector="OR",
                ),
                name="artifacts_trashentry_kind",
            ),
        ),
        migrations.AddConstraint(
            model_name="trashentry",
            constraint=models.CheckConstraint(
                condition=models.Q(("kept_until__gt", models.F("deleted_at"))),
                name="artifacts_trashentry_kept_for_a_time",
            ),
        ),
        migrations.AddIndex(
            model_name="trashedmanifest",
            index=models.Index(models.F("digest"), name="artifacts_trashedmanifest_dig"),
        ),
        migrations.AddConstraint(
            model_name="trashedmanifest",
            constraint=models.UniqueConstraint(
                models.F("entry"),
                models.F("digest"),
                name="artifacts_trashedmanifest_digest_unique",
            ),
        ),
        migrations.AddConstraint(
            model_name="trashedblob",
            constraint=models.UniqueConstraint(
                models.F("entry"), models.F("blob"), name="artifacts_trashedblob_unique"
            ),
        ),
    ]
