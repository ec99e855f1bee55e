"""Who may put somebody into a group: whoever holds all that the group gives."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import transaction

from core.artifacts.models import Repository
from core.artifacts.services.repositories import delete_repository
from core.audit.models import AuditEntry
from core.authn.services import create_personal_token
from core.grants.errors import GroupTooWide
from core.grants.rules import PERMISSIONS_OF_RIGHT
from core.grants.services import add_user_to_group, grant_repository
from core.grants.types import RepositoryRight
from core.rbac.roles import BUILT_IN_ROLES
from core.rbac.types import Actor, ActorKind
from core.users.models import Group, User
from core.users.queries import list_group_users
from tests.core.api.cast import Caller, basic, bearer, body_of, caller_of, errors_of
from tests.factories.members import (
    ORIGIN,
    actor_of,
    make_group,
    make_member,
    make_person,
    make_role,
)
from tests.factories.projects import make_project, make_repository
from tests.factories.robots import make_robot
from tests.factories.users import make_user
from tests.support.crowds import at_once
from tests.support.locks import wait_for_lock

SYSTEM = Actor.system()
PULL = PERMISSIONS_OF_RIGHT[RepositoryRight.PULL]
PUSH = PERMISSIONS_OF_RIGHT[RepositoryRight.PUSH]
GUEST = BUILT_IN_ROLES["guest"]


def give_nothing(group: Group) -> None:
    make_repository(make_project("team"), "app")


def give_role(group: Group) -> None:
    make_member(make_project("team"), group, "guest")


def give_custom_role(group: Group) -> None:
    make_member(make_project("team"), group, make_role("puller", PULL))


def give_what_is_public_now(group: Group) -> None:
    role = make_role("reader", {"repository:pull", "repository:read", "artifact:read"})
    make_member(make_project("team", is_public=True), group, role)


def give_right(group: Group) -> Repository:
    repository = make_repository(make_project("team"), "app")
    grant_repository(repository, group=group, permission="pull", actor=SYSTEM)
    return repository


def give_right_and_delete(group: Group) -> None:
    delete_repository(give_right(group).name, actor=SYSTEM)


def give_two_roles(group: Group) -> None:
    give_custom_role(group)
    make_member(make_project("other"), group, "limitedGuest")


def robot(**held: Iterable[str]) -> Actor:
    """Return a robot that holds these permissions, by project; ``everywhere`` in all of them."""
    names = {"everywhere": "*"}
    own: Mapping[str, frozenset[str]] = {
        "/": frozenset({"user-group:update"}),
        **{names.get(where, where): frozenset(permissions) for where, permissions in held.items()},
    }
    return Actor(ActorKind.ROBOT, 7, "robot-hr", ORIGIN, own_permissions=own)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("give", "actor", "is_let"),
    [
        (give_nothing, robot(), True),
        (give_role, robot(), False),
        (give_role, robot(everywhere=GUEST), True),
        (give_role, robot(team=GUEST - {"robot:list"}), False),
        (give_role, robot(other=GUEST), False),
        (give_custom_role, robot(), False),
        (give_custom_role, robot(team=PULL), True),
        (give_two_roles, robot(team=PULL), False),
        (give_what_is_public_now, robot(), False),
        (give_right, robot(), False),
        (give_right, robot(team=PULL), True),
        (give_right, robot(team=PUSH - {"repository:pull"}), False),
        (give_right_and_delete, robot(), False),
        (give_right_and_delete, robot(team=PULL), True),
    ],
)
def test_a_robot_gives_no_more_than_it_holds(
    give: Callable[[Group], object], actor: Actor, is_let: bool
) -> None:
    group, dana = make_group("testers"), make_person("dana")
    give(group)
    if is_let:
        add_user_to_group(dana, group, actor=actor)
    else:
        with pytest.raises(GroupTooWide) as refusal:
            add_user_to_group(dana, group, actor=actor)
        assert "team" not in refusal.value.message
    assert list(list_group_users(group)) == [dana] * is_let
    assert AuditEntry.objects.filter(action="users.group.user_added").count() == is_let


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("scopes", "is_let"),
    [
        (None, True),
        ({"management:write", "repository:pull"}, True),
        ({"management:write"}, False),
    ],
)
def test_a_token_of_an_administrator_gives_what_its_scopes_cover(
    scopes: Iterable[str] | None, is_let: bool
) -> None:
    group, dana = make_group("testers"), make_person("dana")
    give_role(group)
    actor = actor_of(make_person("boss", is_system_admin=True), scopes=scopes)
    if is_let:
        add_user_to_group(dana, group, actor=actor)
    else:
        with pytest.raises(GroupTooWide):
            add_user_to_group(dana, group, actor=actor)
    assert list(list_group_users(group)) == [dana] * is_let


@pytest.mark.django_db
def test_a_robot_that_only_manages_groups_makes_nobody_an_administrator_of_a_project() -> None:
    project, group = make_project("team"), make_group("admins")
    make_member(project, group, "projectAdmin")
    eve, boss = make_user("eve"), make_user("boss", is_system_admin=True)
    managing = {"/": ("user-group:update", "user-group:create")}
    made = make_robot("hr", project=None, permissions=managing)
    caller, path = Caller("hr", basic("robot-hr", made.secret)), f"/usergroups/{group.pk}/users"
    refused = caller.post(path, {"user_id": eve.pk})
    assert refused.status_code == 403
    (error,) = errors_of(refused)
    assert (error["code"], "team" in error["message"]) == ("FORBIDDEN", False)
    assert caller_of(eve).get("/projects/team").status_code == 403
    # A group of its own gives nothing, under whatever name.
    own = caller.post("/usergroups", {"group_name": "crew"})["Location"]
    assert caller.post(f"{own}/users", {"user_id": eve.pk}).status_code == 201
    assert caller.put(own, {"group_name": "admins"}).status_code == 409
    assert caller.put(f"/usergroups/{group.pk}", {"group_name": "former"}).status_code == 200
    assert caller.put(own, {"group_name": "admins"}).status_code == 200
    assert caller_of(eve).get("/projects/team").status_code == 403
    # Taking away needs no more than it did.
    assert caller_of(boss).post(path, {"user_id": eve.pk}).status_code == 201
    assert caller_of(eve).get("/projects/team").status_code == 200
    assert caller.delete(f"{path}/{eve.pk}").status_code == 200
    assert caller_of(eve).get("/projects/team").status_code == 403
    token = create_personal_token(
        boss, name="ci", scopes=["management:write"], actor=actor_of(boss)
    )
    assert bearer(token.secret).post(path, {"user_id": eve.pk}).status_code == 403
    assert body_of(caller_of(boss).get(f"/usergroups/{group.pk}"))["group_name"] == "former"


@pytest.mark.django_db(transaction=True)
def test_what_the_group_is_being_given_counts() -> None:
    group, project, dana = make_group("testers"), make_project("team"), make_person("dana")

    def join(_: int) -> object:
        return add_user_to_group(User(pk=dana.pk), group, actor=robot())

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Group.objects.select_for_update(no_key=True).get(pk=group.pk)
            make_member(project, group, "guest")
            joining = pool.submit(at_once, 1, join)
            wait_for_lock()
        (refused,) = joining.result(20)
    assert isinstance(refused, GroupTooWide)
