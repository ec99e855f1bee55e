"""Creating, changing and deleting projects."""

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, ProtectedError

from core.audit import services as audit
from core.authn.token_limits import forget_project_in_tokens_locked
from core.common.clock import now as current_time
from core.database.transactions import durable_write
from core.events.services import publish
from core.projects import queries, rules
from core.projects.errors import (
    MetadataExists,
    MetadataInvalid,
    MetadataUnknown,
    ProjectNameTaken,
    ProjectNotEmpty,
    ProjectUnknown,
)
from core.projects.events import ProjectDeleted, ProjectRenamed
from core.projects.models import Project
from core.rbac.types import Actor, ActorKind


@durable_write
def create_project(name: str, *, is_public: bool = False, actor: Actor) -> Project:
    """Create an empty project without members.

    Raises ``ProjectNameInvalid`` and ``ProjectNameTaken``.
    """
    return create_project_locked(name, is_public=is_public, actor=actor)


def create_project_locked(
    name: str,
    *,
    is_public: bool,
    metadata: Mapping[str, str | None] | None = None,
    actor: Actor,
) -> Project:
    """Create a project inside the caller's transaction.

    What ``metadata`` says about visibility wins. Raises as ``create_project``, and
    ``MetadataInvalid``. The unique constraint decides between callers that race for one name.
    """
    rules.ensure_valid_name(name)
    wanted = rules.visibility_in(metadata or {})
    is_public = is_public if wanted is None else wanted
    merged = rules.merged_metadata(rules.new_metadata(), metadata or {})
    created_at = current_time()
    try:
        with transaction.atomic():
            project = Project.objects.create(
                name=name,
                is_public=is_public,
                metadata=merged,
                owner_id=actor.id if actor.kind is ActorKind.USER else None,
                owner_name=actor.label,
                created_at=created_at,
                updated_at=created_at,
            )
    except IntegrityError as error:
        raise ProjectNameTaken(f"A project named {name} exists already.") from error
    _record("projects.project.created", actor, project, {"public": is_public})
    return project


@durable_write
def update_project(
    project: Project,
    *,
    is_public: bool | None = None,
    metadata: Mapping[str, str | None] | None = None,
    actor: Actor,
) -> Project:
    """Change what is given. Raises as ``update_project_locked``."""
    return update_project_locked(project, is_public=is_public, metadata=metadata, actor=actor)


def update_project_locked(
    project: Project,
    *,
    is_public: bool | None = None,
    metadata: Mapping[str, str | None] | None = None,
    actor: Actor,
) -> Project:
    """Make the project public or private, and merge metadata, in the caller's transaction.

    What ``metadata`` says about visibility wins. Registry tokens issued so far end for a
    project made private, because every pull compares its generation with theirs; who still has
    the right fetches a new one. Raises ``ProjectUnknown`` and ``MetadataInvalid``.
    """
    project = lock_project(project)
    wanted = rules.visibility_in(metadata or {})
    merged = rules.merged_metadata(project.metadata, metadata or {})
    _change_locked(project, is_public if wanted is None else wanted, merged, actor=actor)
    return project


@durable_write
def add_metadata(project: Project, name: str, value: str, *, actor: Actor) -> None:
    """Store a value under a name that has none.

    Raises ``MetadataExists`` (visibility always exists), ``MetadataInvalid`` and
    ``ProjectUnknown``.
    """
    project = lock_project(project)
    checked = rules.checked_metadata(name, value)
    if name in queries.metadata_of(project):
        raise MetadataExists(f"The project has metadata.{name} already.")
    _change_locked(project, None, {**project.metadata, name: checked}, actor=actor)


@durable_write
def change_metadata(project: Project, name: str, value: str, *, actor: Actor) -> None:
    """Replace the value under a name.

    Raises ``MetadataUnknown`` when it has none, ``MetadataInvalid`` and ``ProjectUnknown``.
    """
    project = lock_project(project)
    _ensure_has(project, name)
    checked = rules.checked_metadata(name, value)
    if name == rules.PUBLIC:
        _change_locked(project, checked == "true", project.metadata, actor=actor)
    else:
        _change_locked(project, None, {**project.metadata, name: checked}, actor=actor)


@durable_write
def delete_metadata(project: Project, name: str, *, actor: Actor) -> None:
    """Forget the value under a name.

    Raises ``MetadataUnknown`` when it has none, ``MetadataInvalid`` for what clients cannot
    take away, and ``ProjectUnknown``.
    """
    project = lock_project(project)
    _ensure_has(project, name)
    if name in rules.LASTING:
        raise MetadataInvalid(f"metadata.{name} cannot be deleted.")
    kept = {key: value for key, value in project.metadata.items() if key != name}
    _change_locked(project, None, kept, actor=actor)


def rename_project_locked(project: Project, name: str, *, actor: Actor) -> tuple[Project, str]:
    """Give a project another name; return it, held alone until the commit, with the old name.

    The caller lets all that carries the name follow. Raises ``ProjectNameInvalid``,
    ``ProjectNameTaken`` and ``ProjectUnknown``.
    """
    rules.ensure_valid_name(name)
    project = lock_project(project, for_deletion=True)
    old, project.name, project.updated_at = project.name, name, current_time()
    project.generation += 1
    try:
        with transaction.atomic():
            project.save(update_fields=["name", "generation", "updated_at"])
    except IntegrityError as error:
        raise ProjectNameTaken(f"A project named {name} exists already.") from error
    audit.record(
        "projects.project.renamed",
        actor,
        target_kind="project",
        target_id=project.pk,
        target_label=name,
        project_id=project.pk,
        project_name=name,
        detail={"previous_name": old},
    )
    publish(ProjectRenamed(project_id=project.pk, old_name=old, new_name=name))
    return project, old


def lock_projects(*project_ids: int) -> dict[int, Project]:
    """Hold projects, by id, until the end of the caller's transaction.

    Raises ``ProjectUnknown`` when one of them is gone.
    """
    held = Project.objects.select_for_update(no_key=True).filter(pk__in=project_ids)
    projects = {project.pk: project for project in held.order_by("pk")}
    if set(projects) != set(project_ids):
        raise ProjectUnknown
    return projects


def withdraw_tokens_locked(project_id: int) -> None:
    """End the registry tokens that speak of a held project."""
    Project.objects.filter(pk=project_id).update(generation=F("generation") + 1)


@durable_write
def delete_project(project: Project, *, actor: Actor) -> None:
    """Delete a project without repositories, and with it its memberships and robots.

    Personal access tokens that were limited to it alone end; others are limited to the rest.
    Raises ``ProjectNotEmpty`` and ``ProjectUnknown``.
    """
    # The full lock waits for pushes that are committing, and the constraint of a push that
    # commits later waits for this transaction, so no repository ever loses its project.
    project = lock_project(project, for_deletion=True)
    project_id, name = project.pk, project.name
    try:
        project.delete()
    except ProtectedError as error:
        raise ProjectNotEmpty(
            f"Project {name} still holds repositories; delete them first."
        ) from error
    audit.record(
        "projects.project.deleted",
        actor,
        target_kind="project",
        target_id=project_id,
        target_label=name,
        project_id=project_id,
        project_name=name,
    )
    forget_project_in_tokens_locked(name, actor=actor)
    publish(ProjectDeleted(project_id=project_id, project_name=name))


def ensure_library_project() -> Project | None:
    """Create the public project ``library`` in an installation without any project.

    Returns it, new or old; None when an administrator has deleted it, which is respected.
    Safe to call from several processes at once.
    """
    if not Project.objects.exists():
        try:
            return create_project(rules.LIBRARY, is_public=True, actor=Actor.system())
        except ProjectNameTaken:
            # Another process was faster; what it made is what was wanted.
            pass
    return queries.find_project(rules.LIBRARY)


def lock_project(project: Project, *, for_deletion: bool = False) -> Project:
    """Lock and re-read the project until the end of the caller's transaction.

    The lock leaves readers and pushes alone unless the project is to be deleted. Raises
    ``ProjectUnknown`` when it has been deleted meanwhile.
    """
    locked = (
        Project.objects.select_for_update(no_key=not for_deletion).filter(pk=project.pk).first()
    )
    if locked is None:
        raise ProjectUnknown
    return locked


def _ensure_has(project: Project, name: str) -> None:
    if name not in queries.metadata_of(project):
        raise MetadataUnknown(f"The project has no metadata.{name[:64]}.")


def _change_locked(
    project: Project, is_public: bool | None, metadata: Mapping[str, str], *, actor: Actor
) -> None:
    """Store what differs from the locked row, and say so in the audit log."""
    detail: dict[str, Any] = {}
    if is_public is not None and is_public != project.is_public:
        project.is_public = is_public
        project.generation += 0 if is_public else 1
        detail["public"] = is_public
    before = project.metadata
    names = sorted({*before, *metadata})
    changed = {name: metadata.get(name) for name in names if before.get(name) != metadata.get(name)}
    if changed:
        project.metadata = dict(metadata)
        detail["metadata"] = changed
    if detail:
        project.updated_at = current_time()
        project.save(update_fields=["is_public", "generation", "metadata", "updated_at"])
        _record("projects.project.updated", actor, project, detail)


def _record(action: str, actor: Actor, project: Project, detail: dict[str, Any]) -> None:
    audit.record(
        action,
        actor,
        target_kind="project",
        target_id=project.pk,
        target_label=project.name,
        project_id=project.pk,
        project_name=project.name,
        detail=detail,
    )
