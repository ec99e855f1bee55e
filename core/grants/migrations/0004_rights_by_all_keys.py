"""Look up what a user holds by all keys, whatever the planner thinks of the rest.

Before the code that comes with it.
"""

from django.db import migrations

# Subqueries with LIMIT or OFFSET are planned by themselves, so an index is asked by all keys. Joins
# might read all that was granted on the repository, or all memberships in a role. A limit would not
# do where two keys are frequent: the planner would expect to meet a row soon in the table itself.
# The id of the right is in the middle of the key, so each right that there is for repositories is
# asked for.
_HELD = """
CREATE OR REPLACE FUNCTION
       grants_held(of_user bigint, in_project bigint, on_repository bigint) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (
    SELECT json_agg(json_build_array(kind, name, permissions, via))::text
      FROM (
        SELECT 'role', role.name, role.permissions::text, NULL
          FROM (SELECT role_id FROM members_membership
                 WHERE project_id = in_project AND user_id = of_user OFFSET 0) membership
         CROSS JOIN LATERAL
               (SELECT name, permissions FROM members_role
                 WHERE id = membership.role_id LIMIT 1) role
        UNION ALL
        SELECT 'role', role.name, role.permissions::text, through.name
          FROM users_user_groups joined
         CROSS JOIN LATERAL
               (SELECT role_id FROM members_membership
                 WHERE project_id = in_project AND group_id = joined.group_id
                OFFSET 0) membership
         CROSS JOIN LATERAL
               (SELECT name, permissions FROM members_role
                 WHERE id = membership.role_id LIMIT 1) role
         CROSS JOIN LATERAL
               (SELECT name FROM auth_group WHERE id = joined.group_id LIMIT 1) through
         WHERE joined.user_id = of_user
        UNION ALL
        SELECT 'right', permission.codename, NULL, NULL
          FROM auth_permission permission
         CROSS JOIN LATERAL
               (SELECT FROM grants_repositoryusergrant
                 WHERE user_id = of_user AND permission_id = permission.id
                   AND content_object_id = on_repository OFFSET 0) held
         WHERE on_repository IS NOT NULL
           AND permission.content_type_id = (
               SELECT id FROM django_content_type
                WHERE app_label = 'artifacts' AND model = 'repository')
        UNION ALL
        SELECT 'right', permission.codename, NULL, through.name
          FROM grants_repositorygroupgrant held
         CROSS JOIN LATERAL
               (SELECT FROM users_user_groups
                 WHERE user_id = of_user AND group_id = held.group_id OFFSET 0) joined
         CROSS JOIN LATERAL
               (SELECT codename FROM auth_permission
                 WHERE id = held.permission_id LIMIT 1) permission
         CROSS JOIN LATERAL
               (SELECT name FROM auth_group WHERE id = held.group_id LIMIT 1) through
         WHERE held.content_object_id = on_repository
      ) AS held(kind, name, permissions, via)
  );
END $$
"""


class Migration(migrations.Migration):
    dependencies = [
        ("contenttypes", "0002_remove_content_type_name"),
        ("grants", "0003_what_a_user_holds"),
    ]

    operations = [
        # The function of before answers the same.
        migrations.RunSQL(_HELD, migrations.RunSQL.noop),
    ]
