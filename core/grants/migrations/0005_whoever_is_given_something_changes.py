"""Every user who is given a role or a right gets a new version of the row, by which others tell.

Before the code that comes with it, which remembers what a user holds for as long as that row stays
the same. What is taken away moves on the generation of the people behind it
(``core.users.revocations``), so nothing need happen here.
"""

from django.db import migrations

# Groups before users, as everywhere. While a group is locked nobody joins it, who would be missed.
_CHANGE_USERS = """
CREATE FUNCTION grants_change_users(holders bigint[], through bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM auth_group WHERE id = ANY(through) ORDER BY id FOR NO KEY UPDATE;
  holders := holders
             || ARRAY(SELECT user_id::bigint FROM users_user_groups WHERE group_id = ANY(through));
  PERFORM FROM users_user WHERE id = ANY(holders) ORDER BY id FOR NO KEY UPDATE;
  UPDATE users_user SET updated_at = updated_at WHERE id = ANY(holders);
END $$;

CREATE FUNCTION grants_given_to_user() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM grants_change_users(ARRAY[NEW.user_id], '{}');
  RETURN NULL;
END $$;
CREATE FUNCTION grants_given_to_group() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM grants_change_users('{}', ARRAY[NEW.group_id]);
  RETURN NULL;
END $$;
CREATE FUNCTION grants_given_to_holders() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM grants_change_users(array_agg(user_id) FILTER (WHERE user_id IS NOT NULL),
                              array_agg(group_id) FILTER (WHERE group_id IS NOT NULL))
     FROM members_membership WHERE role_id = NEW.id;
  RETURN NULL;
END $$;

CREATE TRIGGER grants_membership_of_user
  AFTER INSERT OR UPDATE ON members_membership
  FOR EACH ROW WHEN (NEW.user_id IS NOT NULL) EXECUTE FUNCTION grants_given_to_user();
CREATE TRIGGER grants_membership_of_group
  AFTER INSERT OR UPDATE ON members_membership
  FOR EACH ROW WHEN (NEW.group_id IS NOT NULL) EXECUTE FUNCTION grants_given_to_group();
CREATE TRIGGER grants_role_of_holders
  AFTER UPDATE ON members_role
  FOR EACH ROW WHEN (NEW.permissions IS DISTINCT FROM OLD.permissions)
  EXECUTE FUNCTION grants_given_to_holders();
CREATE TRIGGER grants_user_in_group
  AFTER INSERT OR UPDATE ON users_user_groups
  FOR EACH ROW EXECUTE FUNCTION grants_given_to_user();
CREATE TRIGGER grants_right_of_user
  AFTER INSERT OR UPDATE ON grants_repositoryusergrant
  FOR EACH ROW EXECUTE FUNCTION grants_given_to_user();
CREATE TRIGGER grants_right_of_group
  AFTER INSERT OR UPDATE ON grants_repositorygroupgrant
  FOR EACH ROW EXECUTE FUNCTION grants_given_to_group()
"""

_LEAVE_USERS = """
DROP TRIGGER grants_right_of_group ON grants_repositorygroupgrant;
DROP TRIGGER grants_right_of_user ON grants_repositoryusergrant;
DROP TRIGGER grants_user_in_group ON users_user_groups;
DROP TRIGGER grants_role_of_holders ON members_role;
DROP TRIGGER grants_membership_of_group ON members_membership;
DROP TRIGGER grants_membership_of_user ON members_membership;
DROP FUNCTION grants_given_to_holders();
DROP FUNCTION grants_given_to_group();
DROP FUNCTION grants_given_to_user();
DROP FUNCTION grants_change_users(bigint[], bigint[])
"""


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("grants", "0004_rights_by_all_keys"),
        ("members", "0001_roles_and_memberships"),
        ("users", "0001_users_and_groups"),
    ]

    operations = [migrations.RunSQL(_CHANGE_USERS, _LEAVE_USERS)]
