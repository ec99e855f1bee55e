"""Changes of grants at the same moment: none is missed, and none ends another."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from django.db import transaction

from core.artifacts.models import Repository
from core.artifacts.services.repositories import delete_repository
from core.database.raw import fetch_all
from core.grants.services import grant_repository
from core.members.services import update_role
from core.rbac.types import Actor
from core.users.models import Group, User
from core.users.revocations import revoke_registry_tokens_locked
from core.users.services import (
    add_user_to_group_locked,
    delete_group,
    delete_user,
    lock_group,
)
from core.users.types import subject_of
from tests.factories.members import make_group, make_member, make_person, make_role
from tests.factories.projects import make_project, make_repository
from tests.support.crowds import apart
from tests.support.locks import wait_for_lock

pytestmark = pytest.mark.django_db(transaction=True)

SYSTEM = Actor.system()
_TOLD_TOGETHER = """
SELECT array_agg(subject) FROM users_revocation GROUP BY xmin::text
"""


@pytest.mark.parametrize("permissions", [[], ["repository:pull", "repository:push"]])
def test_whoever_joins_a_group_while_its_role_changes_is_not_missed(permissions: list[str]) -> None:
    olivia, noah = make_person("olivia"), make_person("noah")
    make_person("emma")
    group, role = make_group("builders", olivia), make_role("custom", ["repository:pull"])
    make_member(make_project("team"), group, role)
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            add_user_to_group_locked(noah, lock_group(group), actor=SYSTEM)
            changed = pool.submit(
                apart, partial(update_role, role, permissions=permissions, actor=SYSTEM)
            )
            wait_for_lock()
        assert changed.result(20) == role
    [(told,)] = fetch_all(_TOLD_TOGETHER)
    assert set(told) == {subject_of(olivia.pk), subject_of(noah.pk)}


@pytest.mark.parametrize("holder", ["user", "group"])
def test_a_repository_is_deleted_while_who_holds_a_right_on_it_is(holder: str) -> None:
    repository, olivia = make_repository(make_project("team"), "app"), make_person("olivia")
    group = make_group("builders", olivia)
    if holder == "user":
        grant_repository(repository, user=olivia, permission="pull", actor=SYSTEM)
        delete_holder: Callable[[], object] = partial(delete_user, olivia, actor=SYSTEM)
    else:
        grant_repository(repository, group=group, permission="pull", actor=SYSTEM)
        delete_holder = partial(delete_group, group, actor=SYSTEM)
    with ThreadPoolExecutor(2) as pool:
        with transaction.atomic():
            revoke_registry_tokens_locked(subject_of(olivia.pk))
            first = pool.submit(apart, partial(delete_repository, "team/app", actor=SYSTEM))
            wait_for_lock()
            second = pool.submit(apart, delete_holder)
            wait_for_lock(count=2)
        assert (first.result(20), second.result(20)) == (None, None)
    assert not Repository.objects.exists()
    assert User.objects.exists() == (holder == "group")
    assert Group.objects.exists() == (holder == "user")
