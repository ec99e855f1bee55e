"""Users whose grants change get a new version of their row, whoever joins them meanwhile."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from core.database.raw import fetch_all
from core.members.models import Role
from core.members.services import update_role
from core.rbac.types import Actor
from core.users.models import Group
from core.users.services import add_user_to_group_locked, lock_group
from tests.factories.members import make_group, make_member, make_person, make_role
from tests.factories.projects import make_project
from tests.support.locks import wait_for_lock

pytestmark = pytest.mark.django_db(transaction=True)

SYSTEM = Actor.system()
_CHANGED_TOGETHER = """
SELECT username FROM users_user JOIN members_role role ON role.xmin = users_user.xmin
 WHERE role.name = %s
"""


def grow(role: Role) -> None:
    """Let a role give more, on a connection of its own."""
    try:
        update_role(role, permissions=["repository:pull", "repository:push"], actor=SYSTEM)
    finally:
        connection.close()


def test_whoever_joins_a_group_while_its_role_grows_is_not_missed() -> None:
    group: Group = make_group("builders", make_person("olivia"))
    user, role = make_person("noah"), make_role("custom", ["repository:pull"])
    make_person("emma")
    make_member(make_project("team"), group, role)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            add_user_to_group_locked(user, lock_group(group), actor=SYSTEM)
            grown = pool.submit(grow, role)
            wait_for_lock()
        grown.result(20)
    assert {name for (name,) in fetch_all(_CHANGED_TOGETHER, ["custom"])} == {"noah", "olivia"}
