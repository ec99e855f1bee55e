"""Giving, changing and taking roles in projects.

Whoever gives or takes a role must hold everything in it; see ``rules.ensure_within``. When a
change takes rights away, registry tokens issued before are withdrawn in the same transaction.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError, QuerySet

from core.allowlists.services import replace_allowlist_locked
from core.allowlists.types import WantedAllowlist
from core.audit import services as audit
from core.common.clock import now as current_time
from core.database.transactions import durable_write
from core.members import queries, rules
from core.members.errors import (
    MemberExists,
    MemberUnknown,
    RoleInUse,
    RoleNameTaken,
    RoleUnknown,
    SubjectUnknown,
)
from core.members.models import Membership, Role
from core.projects.models import Project
from core.projects.queries import target_of
from core.projects.services import create_project_locked, lock_project, update_project_locked
from core.quotas.services import limit_new_project_locked
from core.rbac.errors import PermissionDenied
from core.rbac.roles import BUILT_IN_ROLE_IDS, PROJECT_ADMIN
from core.rbac.rules import scope_covers
from core.rbac.services import allowed_among
from core.rbac.types import Actor, ActorKind
from core.system_settings.queries import share_locked
from core.users.models import Group, User
from core.users.revocations import announce_rights_locked, revoke_registry_tokens_locked


@durable_write
def create_project_with_owner(
    name: str,
    *,
    is_public: bool = False,
    metadata: Mapping[str, str | None] | None = None,
    allowlist: WantedAllowlist | None = None,
    storage_limit: int | None = None,
    actor: Actor,
) -> Project:
    """Create a project whose creator, when a person, becomes its administrator.

    Only system administrators choose ``storage_limit``, the bytes that the project may hold
    (-1: any number); others get what new projects get, and so do None and 0. Raises
    ``ProjectNameInvalid``, ``ProjectNameTaken``, ``MetadataInvalid``, ``AllowlistInvalid``,
    ``QuotaInvalid``, and ``PermissionDenied`` for a person where only administrators may.
    """
    _ensure_may_create_projects_locked(actor)
    project = create_project_locked(name, is_public=is_public, metadata=metadata, actor=actor)
    if allowlist is not None:
        replace_allowlist_locked(project, allowlist, actor=actor)
    chosen = storage_limit if actor.is_system_admin else None
    limit_new_project_locked(project, chosen, actor=actor)
    if actor.kind is ActorKind.USER and actor.id is not None:
        membership = Membership.objects.create(
            project=project,
            user_id=actor.id,
            role_id=BUILT_IN_ROLE_IDS[PROJECT_ADMIN],
            created_at=project.created_at,
        )
        _record("members.membership.added", actor, membership, actor.label)
        _change_rights_locked([membership], withdraw=False)
    return project


@durable_write
def update_project_and_allowlist(
    project: Project,
    *,
    is_public: bool | None = None,
    metadata: Mapping[str, str | None] | None = None,
    allowlist: WantedAllowlist | None = None,
    actor: Actor,
) -> Project:
    """Change what is given of a project, all or nothing.

    Raises ``ProjectUnknown``, ``MetadataInvalid`` and ``AllowlistInvalid``.
    """
    project = update_project_locked(project, is_public=is_public, metadata=metadata, actor=actor)
    if allowlist is not None:
        replace_allowlist_locked(project, allowlist, actor=actor)
    return project


@durable_write
def add_member(
    project: Project,
    *,
    user: User | None = None,
    group: Group | None = None,
    role: Role,
    actor: Actor,
) -> Membership:
    """Give a user or a group (exactly one of them) a role in the project.

    Raises ``MemberExists``, ``RoleTooWide``, ``RoleUnknown``, ``SubjectUnknown`` and
    ``ProjectUnknown``.
    """
    project = lock_project(project)
    role = _hold_role(role)
    _ensure_may_give(role, project, actor)
    lock_subject(user, group)
    try:
        with transaction.atomic():
            membership = Membership.objects.create(
                project=project, user=user, group=group, role=role, created_at=current_time()
            )
    except IntegrityError as error:
        raise MemberExists from error
    _record("members.membership.added", actor, membership, membership.subject_name)
    _change_rights_locked([membership], withdraw=False)
    return membership


@durable_write
def change_role(membership: Membership, role: Role, *, actor: Actor) -> Membership:
    """Replace the role of a member.

    Raises ``RoleTooWide`` (for the role of before, or the new one), ``RoleUnknown`` and
    ``MemberUnknown``.
    """
    # The role first, as in add_member.
    role = _hold_role(role)
    membership = _lock(membership)
    before = membership.role
    _ensure_may_take(membership, actor)
    _ensure_may_give(role, membership.project, actor)
    if before.pk == role.pk:
        return membership
    membership.role = role
    membership.save(update_fields=["role"])
    is_narrower = bool(queries.role_permissions(before) - queries.role_permissions(role))
    _change_rights_locked([membership], withdraw=is_narrower)
    _record(
        "members.membership.changed",
        actor,
        membership,
        membership.subject_name,
        {"role": role.name, "role_before": before.name},
    )
    return membership


@durable_write
def remove_member(membership: Membership, *, actor: Actor) -> None:
    """Take the member's role away. Raises ``RoleTooWide`` and ``MemberUnknown``.

    The last administrator of a project may go too: system administrators remain.
    """
    membership = _lock(membership)
    _ensure_may_take(membership, actor)
    label = membership.subject_name
    _record("members.membership.removed", actor, membership, label)
    _change_rights_locked([membership], withdraw=True)
    membership.delete()


@durable_write
def create_role(
    name: str, *, permissions: Iterable[str], description: str = "", actor: Actor
) -> Role:
    """Create a custom role; only system administrators are let through to here.

    Raises ``RoleNameInvalid``, ``RoleNameTaken`` and ``RolePermissionUnknown``.
    """
    rules.ensure_valid_role_name(name)
    role = Role(
        name=name,
        description=description,
        permissions=rules.checked_permissions(permissions),
    )
    _save_role(role)
    _record_role("members.role.created", actor, role)
    return role


@durable_write
def update_role(
    role: Role,
    *,
    name: str | None = None,
    permissions: Iterable[str] | None = None,
    description: str | None = None,
    actor: Actor,
) -> Role:
    """Change what is given of a custom role; everybody who holds it feels it at once.

    Raises ``RoleBuiltIn``, ``RoleUnknown``, ``RoleNameInvalid``, ``RoleNameTaken``,
    ``RolePermissionUnknown`` and ``RoleTooWide``.
    """
    rules.ensure_custom(role.pk)
    role = _hold_role(role)
    before = queries.role_permissions(role)
    if name is not None:
        rules.ensure_valid_role_name(name)
        role.name = name
    if permissions is not None:
        role.permissions = rules.checked_permissions(permissions)
        added = queries.role_permissions(role) - before
        # Only system administrators get here, who lack no more than their token does.
        covered = {permission for permission in added if scope_covers(actor.scopes, permission)}
        rules.ensure_within(added, frozenset(covered))
    if description is not None:
        role.description = description
    _save_role(role)
    if permissions is not None:
        memberships = Membership.objects.filter(role=role)
        _hold_groups(memberships)
        is_narrower = bool(before - queries.role_permissions(role))
        _change_rights_locked(memberships, withdraw=is_narrower)
    _record_role("members.role.updated", actor, role)
    return role


@durable_write
def delete_role(role: Role, *, actor: Actor) -> None:
    """Delete a custom role that nobody holds.

    Raises ``RoleBuiltIn``, ``RoleInUse`` and ``RoleUnknown``.
    """
    rules.ensure_custom(role.pk)
    # The full lock waits for memberships that are just being given the role.
    locked = Role.objects.select_for_update().filter(pk=role.pk).first()
    if locked is None:
        raise RoleUnknown
    _record_role("members.role.deleted", actor, locked)
    try:
        locked.delete()
    except ProtectedError as error:
        raise RoleInUse from error


def _save_role(role: Role) -> None:
    try:
        with transaction.atomic():
            role.save()
    except IntegrityError as error:
        raise RoleNameTaken from error


def _record_role(action: str, actor: Actor, role: Role) -> None:
    audit.record(
        action,
        actor,
        target_kind="role",
        target_id=role.pk,
        target_label=role.name,
        detail={"permissions": role.permissions},
    )


def _ensure_may_give(role: Role, project: Project, actor: Actor) -> None:
    wanted = queries.role_permissions(role)
    rules.ensure_within(wanted, allowed_among(actor, wanted, target_of(project).as_private()))


def _ensure_may_take(membership: Membership, actor: Actor) -> None:
    """Refuse people to take away what they do not hold, as giving it is refused.

    A token's scopes say what it may do, not what its owner holds. A robot holds few permissions,
    and the one to remove members was given to it for that.
    """
    if actor.kind is ActorKind.USER:
        _ensure_may_give(membership.role, membership.project, replace(actor, scopes=None))


def _ensure_may_create_projects_locked(actor: Actor) -> None:
    """Refuse people where the settings leave projects to administrators.

    Robots and jobs hold a permission of their own for it.
    """
    is_person = actor.kind is ActorKind.USER and not actor.is_system_admin
    if is_person and share_locked().only_administrators_create_projects:
        raise PermissionDenied("Only system administrators may create projects here.")


def _lock(membership: Membership) -> Membership:
    """Lock and re-read the membership, after its subject as whoever deletes that one does."""
    if membership.user_id is not None:
        User.objects.select_for_update(no_key=True).filter(pk=membership.user_id).first()
    if membership.group_id is not None:
        Group.objects.select_for_update(no_key=True).filter(pk=membership.group_id).first()
    locked = (
        Membership.objects.select_for_update(of=("self",))
        .select_related("project", "role", "user", "group")
        .filter(pk=membership.pk)
        .first()
    )
    if locked is None:
        raise MemberUnknown
    return locked


def _hold_role(role: Role) -> Role:
    """Re-read the role so that nobody changes or deletes it before the commit."""
    held = Role.objects.select_for_update(no_key=True).filter(pk=role.pk).first()
    if held is None:
        raise RoleUnknown
    return held


def _hold_groups(memberships: QuerySet[Membership]) -> None:
    """Let nobody join the groups before the commit, whom the caller would then not know of."""
    groups = Group.objects.filter(pk__in=memberships.values("group_id")).order_by("pk")
    list(groups.select_for_update(no_key=True).values_list("pk", flat=True))


def lock_subject(user: User | None, group: Group | None) -> User | Group:
    """Keep the one of the two that is given from being deleted before the commit.

    Raises ``SubjectUnknown`` when it is gone, ``ValueError`` when both or none are given.
    """
    if (user is None) == (group is None):
        raise ValueError("rights belong to one user or to one group")
    locked: User | Group | None = None
    if user is not None:
        locked = User.objects.select_for_update(no_key=True).filter(pk=user.pk).first()
    elif group is not None:
        locked = Group.objects.select_for_update(no_key=True).filter(pk=group.pk).first()
    if locked is None:
        raise SubjectUnknown
    return locked


def people_behind(user_ids: Iterable[int], group_ids: Iterable[int]) -> list[str]:
    """Return the subject keys of the users and of everybody in the groups."""
    people = set(user_ids)
    groups = set(group_ids)
    if groups:
        people.update(User.objects.filter(groups__in=groups).values_list("pk", flat=True))
    return [f"user:{user_id}" for user_id in people]


def _change_rights_locked(memberships: Iterable[Membership], *, withdraw: bool) -> None:
    """Let changed roles take effect, and ``withdraw`` the registry tokens issued before."""
    ids = [(membership.user_id, membership.group_id) for membership in memberships]
    people = people_behind(
        [user_id for user_id, _ in ids if user_id is not None],
        [group_id for _, group_id in ids if group_id is not None],
    )
    (revoke_registry_tokens_locked if withdraw else announce_rights_locked)(*people)


def _record(
    action: str,
    actor: Actor,
    membership: Membership,
    label: str,
    detail: dict[str, str] | None = None,
) -> None:
    holder = "user" if membership.user_id is not None else "group"
    audit.record(
        action,
        actor,
        target_kind="member",
        target_id=membership.user_id or membership.group_id or "",
        target_label=label,
        project_id=membership.project_id,
        project_name=membership.project.name,
        detail={"holder": holder, **(detail or {"role": membership.role.name})},
    )
