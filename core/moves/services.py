"""Renaming projects and transferring repositories.

Locks: the rows of projects by id, then the repositories', then what hangs on names.
"""

from collections.abc import Mapping

from core.artifacts.errors import NameUnknown
from core.artifacts.events import RepositoryMoved
from core.artifacts.gatekeepers import ask_gatekeepers
from core.artifacts.services import naming
from core.artifacts.services.repositories import live_tags_alone, reserve_repository_locked
from core.artifacts.types import PendingWrite, Place
from core.audit import services as audit
from core.authn.token_limits import rename_project_in_tokens_locked
from core.common.clock import now as current_time
from core.database.transactions import durable_write
from core.events.services import publish
from core.grants.services import revoke_all_locked
from core.moves.errors import AlreadyThere
from core.oci.reference import parse_repository_name
from core.projects.models import Project
from core.projects.services import (
    lock_projects,
    rename_project_locked,
    withdraw_tokens_locked,
)
from core.rbac.types import Actor
from core.robots.services import rename_project_in_robots_locked
from core.system_settings.queries import ensure_writable_locked


@durable_write
def rename_project(project: Project, name: str, *, actor: Actor) -> Project:
    """Give a project another name; pulls by the old one go on until something takes it.

    Members, robots, tokens and the trash follow. Tokens of the registry issued so far end, and
    robots log in under the new name. Raises AlreadyThere, ProjectNameInvalid, ProjectNameTaken,
    ProjectUnknown, and NameInvalid when a repository's name would be too long.
    """
    ensure_writable_locked()
    renamed, old = rename_project_locked(project, name, actor=actor)
    if old == name:
        raise AlreadyThere
    naming.rename_repositories_locked(renamed.pk, old, name, now=current_time())
    rename_project_in_tokens_locked(old, name)
    rename_project_in_robots_locked(old, name, project_id=renamed.pk, actor=actor)
    return renamed


@durable_write
def transfer_repository(
    repository_name: str, target: Project, *, path: str | None = None, actor: Actor
) -> str:
    """Move a repository into a project, under its path or another one; return its new name.

    Tags, history and trash come along. Grants on the repository end: they were given in the
    other project. So do the registry tokens of that project. Pulls by the old name go on for
    those who may pull where it leads. Raises NameUnknown, AlreadyThere, NameInvalid,
    RepositoryNameTaken, ProjectUnknown, and what gatekeepers raise.
    """
    source_id = naming.find_project_of(repository_name)
    projects = lock_projects(source_id, target.pk)
    repository_id, project_id = reserve_repository_locked(repository_name)
    if project_id != source_id:
        raise NameUnknown
    wanted = f"{projects[target.pk].name}/{path or repository_name.partition('/')[2]}"
    moved_to = Place(str(parse_repository_name(wanted)), target.pk)
    moved_from = Place(repository_name, project_id)
    if moved_to == moved_from:
        raise AlreadyThere
    ask_gatekeepers(
        PendingWrite(
            action="repository.transfer",
            actor=actor,
            project_id=project_id,
            repository_id=repository_id,
            repository_name=repository_name,
            # Under another name, no rule need protect them any more.
            moved_tags=live_tags_alone(repository_id),
            detail={"to": moved_to.repository_name, "to_project_id": target.pk},
        )
    )
    if project_id != target.pk:
        revoke_all_locked(repository_id, actor=actor)
    naming.move_repository_locked(repository_id, moved_from, moved_to, now=current_time())
    withdraw_tokens_locked(project_id)
    _record_transfer(repository_id, moved_from, moved_to, projects, actor)
    publish(
        RepositoryMoved(
            repository_id, repository_name, moved_to.repository_name, project_id, target.pk
        )
    )
    return moved_to.repository_name


@durable_write
def end_redirects(repository_name: str, *, actor: Actor) -> None:
    """Let former names of a repository lead nowhere. Raises NameUnknown."""
    ensure_writable_locked()
    repository_id, project_id = reserve_repository_locked(repository_name)
    ended = naming.end_redirects_to_locked(repository_id)
    known = {project_id} | set(
        Project.objects.filter(
            pk__in={place.project_id for place in ended}, is_public=True
        ).values_list("pk", flat=True)
    )
    audit.record(
        "repository.redirects.ended",
        actor,
        target_kind="repository",
        target_label=repository_name,
        target_id=repository_id,
        project_id=project_id,
        project_name=repository_name.partition("/")[0],
        detail={
            "number": len(ended),
            "names": [place.repository_name for place in ended if place.project_id in known],
        },
    )


def _record_transfer(
    repository_id: int,
    moved_from: Place,
    moved_to: Place,
    projects: Mapping[int, Project],
    actor: Actor,
) -> None:
    """Write an entry for each project.

    Administrators of the one may not know of the other, so its name stands only in entries of
    its own unless it is public.
    """
    ends = {"from": moved_from, "to": moved_to}
    for own in {moved_from.project_id: moved_from, moved_to.project_id: moved_to}.values():
        audit.record(
            "repository.transferred",
            actor,
            target_kind="repository",
            target_label=own.repository_name,
            target_id=repository_id,
            project_id=own.project_id,
            project_name=own.repository_name.partition("/")[0],
            detail={
                end: place.repository_name
                for end, place in ends.items()
                if place.project_id == own.project_id or projects[place.project_id].is_public
            },
        )
