"""Projects, people, groups, robots and grants, put together and changed by a seed."""

import random
from datetime import timedelta
from typing import Any, TypeVar

from core.artifacts.models import Repository
from core.authn.services import create_personal_token
from core.common.clock import now
from core.grants.models import RepositoryGroupGrant, RepositoryUserGrant
from core.grants.services import add_user_to_group, grant_repository, revoke_repository_grant
from core.members.models import Membership, Role
from core.members.services import add_member, change_role, remove_member, update_role
from core.projects.models import Project
from core.rbac.types import Actor
from core.robots.queries import login_name
from core.robots.services import NewRobot
from core.users.models import Group, User
from core.users.services import create_user, remove_user_from_group
from tests.factories.members import make_group, make_member, make_role
from tests.factories.projects import make_project, make_repository
from tests.factories.robots import make_robot
from tests.factories.users import actor_of
from tests.registry_api.asgi import Server
from tests.registry_api.cast import Client
from tests.registry_api.conftest import PASSWORD

SYSTEM = Actor.system()
ROLES = ("projectAdmin", "maintainer", "developer", "guest", "limitedGuest")
CONTENT = ("repository:pull", "repository:push", "repository:delete")
SCOPES = ("repository:pull", "repository:push", "repository:delete", "management:write")
RIGHTS = ("pull", "push", "delete")
Thing = TypeVar("Thing")


class World:
    """What may be granted to whom; all names begin with the mark."""

    def __init__(self, mark: str, seed: int) -> None:
        self.dice = random.Random(seed)
        self.mark = mark
        self.projects = [
            make_project(f"{self.mark}p{number}", is_public=self.dice.random() < 0.3)
            for number in range(3)
        ]
        self.repositories = [
            make_repository(project, path) for project in self.projects for path in ("app", "lib")
        ]
        self.users = [
            create_user(
                f"{self.mark}user{number}",
                password=PASSWORD,
                is_system_admin=number == 0,
                actor=SYSTEM,
            )
            for number in range(3)
        ]
        self.groups = [
            make_group(f"{self.mark}group{number}", *self.some(self.users)) for number in range(2)
        ]
        self.custom_role = make_role(
            f"{self.mark}role", self.dice.sample(CONTENT, self.dice.randint(0, 2))
        )
        for project in self.projects:
            for subject in [*self.some(self.users), *self.some(self.groups)]:
                make_member(project, subject, self.any_role())
        for repository in self.repositories:
            for subject in [*self.some(self.users), *self.some(self.groups)]:
                self.grant(repository, subject)

    def some(self, things: list[Thing]) -> list[Thing]:
        return [thing for thing in things if self.dice.random() < 0.5]

    def any_role(self) -> Role:
        name = self.dice.choice((*ROLES, self.custom_role.name))
        return Role.objects.get(name=name)

    def grant(self, repository: Repository, subject: User | Group) -> None:
        right = self.dice.choice(RIGHTS)
        grant_repository(repository, **held_by(subject), permission=right, actor=SYSTEM)

    def change_grants(self) -> None:
        """Give somebody something, or take something away."""
        subject = self.dice.choice([*self.users[1:], *self.groups])
        change = self.dice.choice(
            (self.change_membership, self.change_right, self.change_group, self.change_custom_role)
        )
        change(subject)

    def change_membership(self, subject: User | Group) -> None:
        project = self.dice.choice(self.projects)
        found = Membership.objects.filter(project=project, **held_by(subject)).first()
        if found is None:
            add_member(project, **held_by(subject), role=self.any_role(), actor=SYSTEM)
        elif self.dice.random() < 0.5:
            change_role(found, self.any_role(), actor=SYSTEM)
        else:
            remove_member(found, actor=SYSTEM)

    def change_right(self, subject: User | Group) -> None:
        repository = self.dice.choice(self.repositories)
        rights = RepositoryUserGrant if isinstance(subject, User) else RepositoryGroupGrant
        held = rights.objects.filter(content_object=repository, **held_by(subject)).first()
        if held is None:
            self.grant(repository, subject)
        else:
            revoke_repository_grant(
                repository,
                **held_by(subject),
                permission=held.permission.codename,
                actor=SYSTEM,
            )

    def change_group(self, _subject: User | Group) -> None:
        user, group = self.dice.choice(self.users[1:]), self.dice.choice(self.groups)
        if user.groups.filter(pk=group.pk).exists():
            remove_user_from_group(user, group, actor=SYSTEM)
        else:
            add_user_to_group(user, group, actor=SYSTEM)

    def change_custom_role(self, _subject: User | Group) -> None:
        permissions = self.dice.sample(CONTENT, self.dice.randint(0, 3))
        update_role(self.custom_role, permissions=permissions, actor=SYSTEM)

    def robots(self) -> list[NewRobot]:
        def held() -> list[str]:
            return self.dice.sample(CONTENT[:2], self.dice.randint(1, 2))

        own, *others = self.projects
        return [
            make_robot("own", project=own, permissions={own.name: held()}),
            make_robot(f"{self.mark}all", project=None, permissions={"*": held()}),
            make_robot(
                f"{self.mark}some",
                project=None,
                permissions={project.name: held() for project in others},
            ),
        ]

    def personal_tokens(self, user: User) -> list[str]:
        names = [[], [self.projects[0].name]]
        # Whoever has a token may have lost the role with which it was made.
        project = Project.objects.filter(pk=self.projects[0].pk)
        is_public = project.values_list("is_public", flat=True).get()
        project.update(is_public=True)
        made = [
            create_personal_token(
                user,
                name=f"token{number}",
                scopes=self.dice.sample(SCOPES, self.dice.randint(1, 3)),
                project_names=projects,
                expires_at=now() + timedelta(hours=1) if number else None,
                actor=actor_of(user),
            ).secret
            for number, projects in enumerate(names)
        ]
        project.update(is_public=is_public)
        return made

    def clients(self, server: Server) -> list[Client]:
        robots = [Client(server, login_name(new.robot), new.secret) for new in self.robots()]
        return [*robots, *self.people(server)]

    def people(self, server: Server) -> list[Client]:
        """Return users who log in with their passwords, and with their tokens."""
        people = [Client(server, user.username, PASSWORD) for user in self.users]
        tokens = [
            Client(server, "whoever", secret)
            for user in self.users
            for secret in self.personal_tokens(user)
        ]
        return [*people, *tokens]

    def scopes(self) -> list[str]:
        names = [repository.name for repository in self.repositories]
        names += [f"{self.projects[0].name}/new", f"{self.mark}gone/app"]
        return [*(f"repository:{name}:pull,push,delete" for name in names), "registry:catalog:*"]


def held_by(subject: User | Group) -> dict[str, Any]:
    """Return the subject as services and tables name it."""
    return {"user" if isinstance(subject, User) else "group": subject}
