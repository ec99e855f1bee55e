"""People, groups, roles and memberships with explicit values."""

from collections.abc import Iterable

from core.common.clock import now
from core.common.origin import Origin
from core.members.models import Membership, Role
from core.projects.models import Project
from core.rbac.types import Actor, ActorKind
from core.users.models import Group, User

ORIGIN = Origin(address="192.0.2.7", user_agent="tests/1", request_id="r-1")


def make_person(username: str, *, is_system_admin: bool = False) -> User:
    """Store a user who cannot log in with a password."""
    at = now()
    user = User(
        username=username,
        is_superuser=is_system_admin,
        password_changed_at=at,
        created_at=at,
        updated_at=at,
    )
    user.set_unusable_password()
    user.save()
    return user


def make_group(name: str, *people: User) -> Group:
    """Store a group of these people."""
    at = now()
    group = Group(name=name, created_at=at, updated_at=at)
    group.save()
    for person in people:
        person.groups.add(group)
    return group


def make_role(name: str, permissions: Iterable[str]) -> Role:
    """Store a custom role."""
    return Role.objects.create(name=name, permissions=sorted(permissions))


def built_in(name: str) -> Role:
    """Return a built-in role."""
    return Role.objects.get(name=name)


def make_member(project: Project, subject: User | Group, role: str | Role) -> Membership:
    """Store a membership of a user or a group; built-in roles go by name."""
    return Membership.objects.create(
        project=project,
        user=subject if isinstance(subject, User) else None,
        group=subject if isinstance(subject, Group) else None,
        role=built_in(role) if isinstance(role, str) else role,
        created_at=now(),
    )


def actor_of(
    user: User,
    *,
    scopes: Iterable[str] | None = None,
    scope_projects: Iterable[str] | None = None,
) -> Actor:
    """Return the actor of a logged-in user, narrowed as a personal token would be."""
    return Actor(
        kind=ActorKind.USER,
        id=user.pk,
        label=user.username,
        origin=ORIGIN,
        is_system_admin=user.is_superuser,
        scopes=None if scopes is None else frozenset(scopes),
        scope_projects=None if scope_projects is None else frozenset(scope_projects),
    )
