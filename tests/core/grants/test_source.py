"""The grant source, end to end through the evaluator."""

from dataclasses import replace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.artifacts.models import Repository
from core.grants.services import grant_repository
from core.grants.source import find_grants
from core.projects.models import Project
from core.projects.queries import target_of
from core.rbac.errors import AuthenticationRequired, PermissionDenied
from core.rbac.services import allowed, allowed_among, authorize, explain
from core.rbac.types import Actor, ActorKind, Target
from core.users.models import User
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

pytestmark = pytest.mark.django_db

SYSTEM = Actor.system()
CONTENT = ("repository:pull", "repository:push", "repository:delete")


@pytest.fixture
def project() -> Project:
    return make_project("team")


@pytest.fixture
def repository(project: Project) -> Repository:
    return make_repository(project)


@pytest.fixture
def dana() -> User:
    return make_person("dana")


def target(repository: Repository) -> Target:
    return replace(
        target_of(repository.project),
        repository_id=repository.pk,
        repository_name=repository.name,
    )


def content(actor: Actor, repository: Repository) -> set[str]:
    """Which of pull, push and delete the actor may do."""
    held = allowed_among(actor, CONTENT, target(repository))
    return {permission.partition(":")[2] for permission in held}


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("projectAdmin", {"pull", "push", "delete"}),
        ("maintainer", {"pull", "push", "delete"}),
        ("developer", {"pull", "push"}),
        ("guest", {"pull"}),
        ("limitedGuest", {"pull"}),
    ],
)
def test_roles_of_users_and_of_their_groups(
    repository: Repository, dana: User, role: str, expected: set[str]
) -> None:
    emil = make_person("emil")
    make_member(repository.project, dana, role)
    make_member(repository.project, make_group("testers", emil), role)
    assert content(actor_of(dana), repository) == expected
    assert content(actor_of(emil), repository) == expected
    assert content(actor_of(make_person("outsider")), repository) == set()


def test_roles_of_a_user_and_of_groups_add_up(repository: Repository, dana: User) -> None:
    make_member(repository.project, dana, "guest")
    make_member(repository.project, make_group("makers", dana), "developer")
    deleters = make_role("deleter", ["repository:delete"])
    make_member(repository.project, make_group("cleaners", dana), deleters)
    assert content(actor_of(dana), repository) == {"pull", "push", "delete"}
    assert sorted(grant.source for grant in find_grants(actor_of(dana), target(repository))) == [
        "member of group cleaners of the project",
        "member of group makers of the project",
        "member of the project",
    ]


def test_a_role_ends_at_its_project(repository: Repository, dana: User) -> None:
    make_member(make_project("other"), dana, "projectAdmin")
    assert content(actor_of(dana), repository) == set()


def test_custom_roles_hold_exactly_what_they_list(repository: Repository, dana: User) -> None:
    make_member(repository.project, dana, make_role("pusher", ["repository:push"]))
    assert content(actor_of(dana), repository) == {"push"}
    make_member(make_project("other"), dana, make_role("idle", []))
    assert not allowed(actor_of(dana), "project:read", target(repository))


@pytest.mark.parametrize(
    ("right", "expected"),
    [("pull", {"pull"}), ("push", {"pull", "push"}), ("delete", {"delete"})],
)
def test_repository_grants(
    repository: Repository, dana: User, right: str, expected: set[str]
) -> None:
    emil = make_person("emil")
    group = make_group("testers", emil)
    grant_repository(repository, user=dana, permission=right, actor=SYSTEM)
    grant_repository(repository, group=group, permission=right, actor=SYSTEM)
    sibling = make_repository(repository.project, "sibling")
    for person in (dana, emil):
        assert content(actor_of(person), repository) == expected
        assert content(actor_of(person), sibling) == set()


def test_repository_grants_do_not_open_the_project(repository: Repository, dana: User) -> None:
    for right in ("pull", "push", "delete"):
        grant_repository(repository, user=dana, permission=right, actor=SYSTEM)
    around = target_of(repository.project)
    assert find_grants(actor_of(dana), around) == []
    assert not allowed(actor_of(dana), "repository:list", around)
    assert not allowed(actor_of(dana), "project:read", target(repository))
    # A repository that does not exist yet has no grants either.
    new = replace(around, repository_name="team/new")
    assert not allowed(actor_of(dana), "repository:push", new)


def test_authorize_says_nothing_about_existence(repository: Repository, dana: User) -> None:
    missing = Target(project_name="team")
    messages = []
    for where in (target_of(repository.project), missing):
        with pytest.raises(PermissionDenied) as caught:
            authorize(actor_of(dana), "repository:pull", where)
        messages.append(caught.value.message)
        with pytest.raises(AuthenticationRequired):
            authorize(Actor.anonymous(ORIGIN), "repository:pull", where)
    assert messages[0] == messages[1]


def test_public_projects_can_be_pulled_by_everyone(dana: User) -> None:
    open_repository = make_repository(make_project("open", is_public=True))
    for actor in (Actor.anonymous(ORIGIN), actor_of(dana)):
        assert content(actor, open_repository) == {"pull"}


def test_personal_tokens_narrow_roles(repository: Repository, dana: User) -> None:
    make_member(repository.project, dana, "projectAdmin")
    other = make_repository(make_project("other"))
    make_member(other.project, dana, "projectAdmin")
    pulling = actor_of(dana, scopes={"repository:pull"})
    assert content(pulling, repository) == {"pull"}
    assert not allowed(pulling, "member:list", target(repository))
    here = actor_of(dana, scope_projects={"team"})
    assert content(here, repository) == {"pull", "push", "delete"}
    assert content(here, other) == set()
    root = actor_of(make_person("root", is_system_admin=True), scopes={"repository:push"})
    assert content(root, repository) == {"push"}


def test_robots_of_a_project(repository: Repository) -> None:
    robot = make_robot(project=repository.project).robot
    actor = Actor(
        kind=ActorKind.ROBOT,
        id=robot.pk,
        label="robot-team+ci",
        origin=ORIGIN,
        own_permissions={"team": frozenset({"repository:pull", "repository:push"})},
    )
    assert content(actor, repository) == {"pull", "push"}
    assert content(actor, make_repository(make_project("other"))) == set()


def test_a_user_and_a_robot_of_the_same_number_are_not_confused(
    repository: Repository, dana: User
) -> None:
    make_member(repository.project, dana, "projectAdmin")
    robot = Actor(
        kind=ActorKind.ROBOT, id=dana.pk, label="robot-x", origin=ORIGIN, own_permissions={}
    )
    assert content(robot, repository) == set()


def test_explain_names_every_reason(repository: Repository, dana: User) -> None:
    make_member(repository.project, dana, "guest")
    grant_repository(repository, group=make_group("testers", dana), permission="pull", actor=SYSTEM)
    explanation = explain(actor_of(dana), "repository:pull", target(repository))
    assert explanation.allowed
    assert set(explanation.reasons) == {
        "member of the project: guest",
        "repository grant to group testers: pull",
    }


def test_users_cost_one_statement_and_others_none(repository: Repository, dana: User) -> None:
    make_member(repository.project, make_group("testers", dana), "guest")
    with CaptureQueriesContext(connection) as statements:
        assert allowed(actor_of(dana), "repository:pull", target(repository))
    assert len(statements) == 1
    others = (
        Actor.anonymous(ORIGIN),
        SYSTEM,
        Actor(kind=ActorKind.ROBOT, id=1, label="r", origin=ORIGIN, own_permissions={}),
    )
    with CaptureQueriesContext(connection) as statements:
        for actor in others:
            assert find_grants(actor, target(repository)) == []
        assert find_grants(actor_of(dana), Target(project_name="missing")) == []
    assert len(statements) == 0
