"""Whoever remembers what users may do learns of changes that happen at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from core.database.raw import fetch_all
from core.members.models import Role
from core.members.services import update_role
from core.rbac.types import Actor
from core.users.services import add_user_to_group_locked, lock_group
from core.users.types import subject_of
from tests.factories.members import make_group, make_member, make_person, make_role
from tests.factories.projects import make_project
from tests.support.locks import wait_for_lock

pytestmark = pytest.mark.django_db(transaction=True)

SYSTEM = Actor.system()
_TOLD_TOGETHER = """
SELECT array_agg(subject) FROM users_revocation GROUP BY xmin::text
"""


def change(role: Role, permissions: list[str]) -> None:
    """Let a role give something else, on a connection of its own."""
    try:
        update_role(role, permissions=permissions, actor=SYSTEM)
    finally:
        connection.close()


@pytest.mark.parametrize("permissions", [[], ["repository:pull", "repository:push"]])
def test_whoever_joins_a_group_while_its_role_changes_is_not_missed(permissions: list[str]) -> None:
    olivia, noah = make_person("olivia"), make_person("noah")
    make_person("emma")
    group, role = make_group("builders", olivia), make_role("custom", ["repository:pull"])
    make_member(make_project("team"), group, role)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            add_user_to_group_locked(noah, lock_group(group), actor=SYSTEM)
            changed = pool.submit(change, role, permissions)
            wait_for_lock()
        changed.result(20)
    [(told,)] = fetch_all(_TOLD_TOGETHER)
    assert set(told) == {subject_of(olivia.pk), subject_of(noah.pk)}
