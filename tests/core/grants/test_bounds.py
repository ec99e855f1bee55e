"""What somebody holds is looked up by all that the question names."""

import pytest
from django.contrib.auth.models import Permission
from django.db import connection

from core.artifacts.models import Repository
from core.database import raw
from core.users.models import User
from tests.factories.projects import make_project, make_repository
from tests.support.reads import rows_read_by

pytestmark = pytest.mark.django_db(transaction=True)

# A repository on which 2,000 users hold a right, one of whom holds it on 2,000 repositories, and
# a project of which they all are members.
FILL = """
INSERT INTO users_user
       (username, password, email, real_name, comment, is_active, is_superuser, created_at,
        updated_at, password_changed_at)
SELECT 'user-' || n, '', '', '', '', true, false, now(), now(), now()
  FROM generate_series(1, 2000) n;
INSERT INTO artifacts_repository
       (project_id, name, description, pull_count, created_at, updated_at)
SELECT id, 'team/' || n, '', 0, now(), now() FROM projects_project, generate_series(1, 2000) n;
INSERT INTO grants_repositoryusergrant (content_object_id, user_id, permission_id)
SELECT r.id, u.id, p.id
  FROM artifacts_repository r, users_user u, auth_permission p
 WHERE (r.name = 'team/app' OR u.username = 'user-7') AND p.codename = 'pull';
INSERT INTO members_membership (project_id, user_id, role_id, created_at)
SELECT p.id, u.id, r.id, now() FROM projects_project p, users_user u, members_role r
 WHERE r.name = 'guest';
"""


@pytest.mark.parametrize("prepare", ["ANALYZE", "VACUUM ANALYZE"])
def test_grants_of_others_are_not_read(prepare: str) -> None:
    project = make_project("team")
    make_repository(project, "app")
    with connection.cursor() as cursor:
        cursor.execute(FILL)
        cursor.execute(prepare)
    user_id = User.objects.get(username="user-7").pk
    repository_id = Repository.objects.get(name="team/app").pk
    question = (user_id, project.pk, repository_id)

    def ask() -> list[raw.Row]:
        return raw.fetch_all("SELECT grants_held(%s, %s, %s)", question)

    [(held,)] = ask()
    assert held.count("right") == held.count("role") == 1
    # Where all permissions there are fit a few pages, these may be read as a whole.
    assert rows_read_by(ask) < 100 + Permission.objects.count()
