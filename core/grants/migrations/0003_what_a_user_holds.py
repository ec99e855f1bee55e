"""Let a function tell what a user holds, so that whoever holds everything does not pay for it.

Before the code that comes with it. PostgreSQL sets up every branch of a statement, carried out or
not; it sets up those of a function when the function is called.
"""

from django.db import migrations

# Every branch is a look-up by index: (project, user), (project, group), and the unique
# index that begins with user or group and ends with the repository.
_HELD = """
CREATE FUNCTION grants_held(of_user bigint, in_project bigint, on_repository bigint) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN (
    SELECT json_agg(json_build_array(kind, name, permissions, via))::text
      FROM (
        SELECT 'role', role.name, role.permissions::text, NULL
          FROM members_membership membership
          JOIN members_role role ON role.id = membership.role_id
         WHERE membership.project_id = in_project AND membership.user_id = of_user
        UNION ALL
        SELECT 'role', role.name, role.permissions::text, auth_group.name
          FROM users_user_groups joined
          JOIN members_membership membership
            ON membership.group_id = joined.group_id AND membership.project_id = in_project
          JOIN auth_group ON auth_group.id = joined.group_id
          JOIN members_role role ON role.id = membership.role_id
         WHERE joined.user_id = of_user
        UNION ALL
        SELECT 'right', permission.codename, NULL, NULL
          FROM grants_repositoryusergrant held
          JOIN auth_permission permission ON permission.id = held.permission_id
         WHERE held.user_id = of_user AND held.content_object_id = on_repository
        UNION ALL
        SELECT 'right', permission.codename, NULL, auth_group.name
          FROM users_user_groups joined
          JOIN grants_repositorygroupgrant held
            ON held.group_id = joined.group_id AND held.content_object_id = on_repository
          JOIN auth_group ON auth_group.id = joined.group_id
          JOIN auth_permission permission ON permission.id = held.permission_id
         WHERE joined.user_id = of_user
      ) AS held(kind, name, permissions, via)
  );
END $$
"""


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("grants", "0002_grants_in_the_trash"),
        ("members", "0001_roles_and_memberships"),
        ("users", "0001_users_and_groups"),
    ]

    operations = [
        migrations.RunSQL(_HELD, "DROP FUNCTION grants_held(bigint, bigint, bigint)"),
    ]
