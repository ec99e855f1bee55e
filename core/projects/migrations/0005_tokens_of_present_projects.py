"""Take names that no project has out of the limits of personal access tokens.

A project that takes such a name later is another one. A token that was limited to nothing else
ends, since without any name it would work everywhere. After the code that comes with it: the
code of before goes on storing such names. It may be run again.
"""

from django.db import migrations

_FORGET = """
WITH kept AS (
     SELECT token.id, coalesce((
            SELECT jsonb_agg(project.name ORDER BY project.name)
              FROM jsonb_array_elements_text(token.project_names) AS listed(name)
              JOIN projects_project project ON project.name = listed.name), '[]') AS names
       FROM authn_personaltoken token
      WHERE token.project_names <> '[]' AND token.revoked_at IS NULL)
UPDATE authn_personaltoken token
   SET revoked_at = CASE WHEN kept.names = '[]' THEN statement_timestamp()
                         ELSE token.revoked_at END,
       project_names = CASE WHEN kept.names = '[]' THEN token.project_names ELSE kept.names END
  FROM kept WHERE kept.id = token.id AND kept.names <> token.project_names
"""


class Migration(migrations.Migration):
    dependencies = [
        ("projects", "0004_public_projects"),
        ("authn", "0003_browser_sessions"),
    ]

    operations = [
        migrations.RunSQL(_FORGET, migrations.RunSQL.noop),
    ]
