"""Changes of members beside the deletion of whom they are about."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from django.db import transaction

from core.grants.services import add_user_to_group
from core.members.errors import MemberUnknown
from core.members.models import Membership
from core.members.services import change_role, remove_member
from core.rbac.types import Actor
from core.users.models import Group, User
from core.users.revocations import revoke_registry_tokens_locked
from core.users.services import delete_group, delete_user
from tests.factories.members import built_in, make_group, make_member, make_person
from tests.factories.projects import make_project
from tests.support.crowds import apart
from tests.support.locks import wait_for_lock

pytestmark = pytest.mark.django_db(transaction=True)

SYSTEM = Actor.system()
CHANGES: dict[str, Callable[[Membership], object]] = {
    "remove": partial(remove_member, actor=SYSTEM),
    "narrow": lambda membership: change_role(membership, built_in("guest"), actor=SYSTEM),
}


def change_beside(
    membership: Membership, user: User, change: Callable[[], object], delete: Callable[[], object]
) -> list[object]:
    """Let the deletion wait for the user's revocation, and the change for the deletion."""
    with ThreadPoolExecutor(2) as pool:
        with transaction.atomic():
            revoke_registry_tokens_locked(f"user:{user.pk}")
            deleted = pool.submit(apart, delete)
            wait_for_lock()
            changed = pool.submit(apart, change)
            wait_for_lock(count=2)
        return [changed.result(20), deleted.result(20)]


@pytest.mark.parametrize("change", CHANGES)
def test_a_member_changes_while_the_user_is_deleted(change: str) -> None:
    user = make_person("olivia")
    membership = make_member(make_project("team"), user, "developer")
    results = change_beside(
        membership,
        user,
        partial(CHANGES[change], membership),
        partial(delete_user, user, actor=SYSTEM),
    )
    assert [type(result) for result in results] == [MemberUnknown, type(None)]
    assert not User.objects.exists()


@pytest.mark.parametrize("change", CHANGES)
def test_a_member_changes_while_the_group_is_deleted(change: str) -> None:
    user, group = make_person("olivia"), make_group("builders")
    add_user_to_group(user, group, actor=SYSTEM)
    membership = make_member(make_project("team"), group, "developer")
    results = change_beside(
        membership,
        user,
        partial(CHANGES[change], membership),
        partial(delete_group, group, actor=SYSTEM),
    )
    assert [type(result) for result in results] == [MemberUnknown, type(None)]
    assert not Group.objects.exists()
