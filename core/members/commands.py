"""``roadstead project``: the first steps from the server's own machine."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from core.common.errors import DomainError
from core.common.terminal import make_console
from core.members.errors import RoleUnknown
from core.members.models import Role
from core.members.queries import get_role_by_name
from core.members.services import add_member, create_project_with_owner
from core.projects import services as projects
from core.projects.errors import ProjectUnknown
from core.projects.models import Project
from core.projects.queries import find_project, list_projects
from core.rbac.roles import DEVELOPER
from core.rbac.types import Actor
from core.users.errors import GroupUnknown, UserUnknown
from core.users.models import Group, User
from core.users.queries import find_group, find_user

app = typer.Typer(name="project", help="Create projects and let people in.")
console = make_console()

ProjectName = Annotated[str, typer.Argument(help="Name of the project.")]


@app.command("create")
def create(
    name: ProjectName,
    public: Annotated[
        bool, typer.Option("--public/--private", help="Whether everybody may pull.")
    ] = False,
) -> None:
    """Create a project."""
    try:
        project = create_project_with_owner(name, is_public=public, actor=Actor.system())
    except DomainError as error:
        raise _failed(error) from None
    console.print(f"Created the {_visibility(project.is_public)} project {project.name}.")


@app.command("list")
def show() -> None:
    """List all projects."""
    table = Table("Project", "Visibility", "Owner", "Created")
    for project in list_projects():
        table.add_row(
            project.name,
            _visibility(project.is_public),
            project.owner_name,
            f"{project.created_at:%Y-%m-%d %H:%M} UTC",
        )
    console.print(table)


@app.command("delete")
def delete(name: ProjectName) -> None:
    """Delete a project that holds no repositories."""
    try:
        projects.delete_project(_project(name), actor=Actor.system())
    except DomainError as error:
        raise _failed(error) from None
    console.print(f"Deleted the project {name}.")


@app.command("set-visibility")
def set_visibility(
    name: ProjectName,
    visibility: Annotated[str, typer.Argument(help="public or private")],
) -> None:
    """Make a project public or private."""
    if visibility not in ("public", "private"):
        raise typer.BadParameter("must be public or private")
    try:
        projects.update_project(
            _project(name), is_public=visibility == "public", actor=Actor.system()
        )
    except DomainError as error:
        raise _failed(error) from None
    console.print(f"The project {name} is now {visibility}.")


@app.command("add-member")
def add(
    name: ProjectName,
    user: Annotated[str | None, typer.Option("--user", help="Name of the user.")] = None,
    group: Annotated[str | None, typer.Option("--group", help="Name of the group.")] = None,
    role: Annotated[str, typer.Option("--role", help="Name of the role.")] = DEVELOPER,
) -> None:
    """Give a user or a group a role in a project."""
    if (user is None) == (group is None):
        raise typer.BadParameter("give either --user or --group")
    try:
        add_member(
            _project(name),
            user=None if user is None else _user(user),
            group=None if group is None else _group(group),
            role=_role(role),
            actor=Actor.system(),
        )
    except DomainError as error:
        raise _failed(error) from None
    console.print(f"{user or group} is now {role} in {name}.")


def _project(name: str) -> Project:
    found = find_project(name)
    if found is None:
        raise ProjectUnknown(f"There is no project named {name}.")
    return found


def _role(name: str) -> Role:
    try:
        return get_role_by_name(name)
    except RoleUnknown:
        raise RoleUnknown(f"There is no role named {name}.") from None


def _user(name: str) -> User:
    found = find_user(name)
    if found is None:
        raise UserUnknown(f"There is no user named {name}.")
    return found


def _group(name: str) -> Group:
    found = find_group(name)
    if found is None:
        raise GroupUnknown(f"There is no group named {name}.")
    return found


def _visibility(is_public: bool) -> str:
    return "public" if is_public else "private"


def _failed(error: DomainError) -> typer.Exit:
    Console(stderr=True).print(error.message, style="red", markup=False, soft_wrap=True)
    return typer.Exit(1)
