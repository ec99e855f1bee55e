"""Emptying the database behind a test that commits.

Django truncates every table and runs what follows migrations, which takes longer than most
tests. Almost all tables are empty; deleting what the others hold takes a few milliseconds.
"""

from django.db import connection, transaction

from core.members.apps import insert_built_in_roles

# What migrations insert, and no test changes.
KEPT = ("auth_permission", "django_content_type")


def empty_database() -> None:
    """Delete every row of every table, and insert the built-in roles again."""
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    deletes = "".join(
        f"IF EXISTS (SELECT FROM {table}) THEN DELETE FROM {table}; END IF;\n"
        for table in sorted(tables)
        if table not in KEPT
    )
    with transaction.atomic(), connection.cursor() as cursor:
        # No trigger runs: neither foreign keys, nor what counts and forbids.
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(f"DO $$ BEGIN {deletes} END $$")
    insert_built_in_roles(using=connection.alias)
