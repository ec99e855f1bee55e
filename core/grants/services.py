"""Granting and revoking rights on one repository, and joining a group for what it was given."""

from guardian.shortcuts import assign_perm, remove_perm

from core.artifacts.errors import NameUnknown
from core.artifacts.models import Repository
from core.audit import services as audit
from core.database.transactions import durable_write
from core.grants import queries
from core.grants.errors import GrantTooWide, GrantUnknown, GroupTooWide
from core.grants.models import RepositoryGroupGrant, RepositoryUserGrant, TrashedGrant
from core.grants.rules import PERMISSIONS_OF_RIGHT, right_of
from core.grants.types import RepositoryGrant, RepositoryRight
from core.members.errors import SubjectUnknown
from core.members.services import lock_subject, people_behind
from core.rbac.services import allowed_among
from core.rbac.types import Actor
from core.users.models import Group, User
from core.users.revocations import announce_rights_locked, revoke_registry_tokens_locked
from core.users.services import add_user_to_group_locked, lock_group


@durable_write
def grant_repository(
    repository: Repository,
    *,
    user: User | None = None,
    group: Group | None = None,
    permission: str,
    actor: Actor,
) -> bool:
    """Grant a user or a group (exactly one of them) pull, push or delete.

    Returns False, and changes nothing, when the right was held already. Raises
    ``RightUnknown``, ``GrantTooWide`` and ``NameUnknown`` or ``SubjectUnknown``.
    """
    right = right_of(permission)
    repository = _hold_repository(repository)
    wanted = PERMISSIONS_OF_RIGHT[right]
    if wanted - allowed_among(actor, wanted, queries.target_of(repository).as_private()):
        raise GrantTooWide
    subject = lock_subject(user, group)
    if _is_held(repository, subject, right):
        return False
    assign_perm(right.value, subject, repository)
    announce_rights_locked(*_people_of(subject))
    _record("grants.right.granted", actor, repository, subject, right.value)
    return True


@durable_write
def revoke_repository_grant(
    repository: Repository,
    *,
    user: User | None = None,
    group: Group | None = None,
    permission: str,
    actor: Actor,
) -> None:
    """Take a granted right away; registry tokens issued before are withdrawn.

    Raises ``RightUnknown``, ``GrantUnknown`` and ``NameUnknown`` or ``SubjectUnknown``.
    """
    right = right_of(permission)
    repository = _hold_repository(repository)
    subject = lock_subject(user, group)
    if not _is_held(repository, subject, right):
        raise GrantUnknown
    remove_perm(right.value, subject, repository)
    revoke_registry_tokens_locked(*_people_of(subject))
    _record("grants.right.revoked", actor, repository, subject, right.value)


@durable_write
def add_user_to_group(user: User, group: Group, *, actor: Actor) -> None:
    """Put the user into the group; nothing happens when the user is in there already.

    Raises ``GroupTooWide`` when the actor lacks anything that the group gives, ``UserUnknown``
    and ``GroupUnknown``.
    """
    group = lock_group(group)
    for target, wanted in queries.rights_of_group(group):
        if wanted - allowed_among(actor, wanted, target.as_private()):
            # Not named: whoever manages groups need not know what there is.
            raise GroupTooWide
    add_user_to_group_locked(user, group, actor=actor)


def revoke_all_locked(repository_id: int, *, actor: Actor) -> int:
    """Take away every right on a repository that the caller has reserved; return how many.

    The caller sees to it that registry tokens issued before end.
    """
    repository = Repository.objects.select_related("project").get(pk=repository_id)
    user_grants = RepositoryUserGrant.objects.filter(content_object=repository)
    group_grants = RepositoryGroupGrant.objects.filter(content_object=repository)
    held: list[tuple[User | Group, str]] = [
        (grant.user, grant.permission.codename)
        for grant in user_grants.select_related("user", "permission").order_by("pk")
    ]
    held += [
        (Group.objects.get(pk=grant.group_id), grant.permission.codename)
        for grant in group_grants.select_related("permission").order_by("pk")
    ]
    for subject, right in held:
        _record("grants.right.revoked", actor, repository, subject, right)
    user_grants.delete()
    group_grants.delete()
    return len(held)


def restore_grants_locked(
    repository_id: int, entry_id: int, *, actor: Actor
) -> tuple[RepositoryGrant, ...]:
    """Let the rights that an entry of the trash keeps be held again on the restored repository.

    Returns those whose holders were deleted meanwhile. They were given by somebody who could,
    so the actor, who may restore, need not hold them. Nobody remembers what may be done with a
    repository that is made in this transaction, so nothing is announced.
    """
    kept = TrashedGrant.objects.filter(entry=entry_id).order_by("subject_kind", "subject_id", "pk")
    left_out: list[RepositoryGrant] = []
    if not kept:
        return ()
    repository = Repository.objects.select_related("project").get(pk=repository_id)
    for grant in kept:
        try:
            subject = _lock_holder(grant)
        except SubjectUnknown:
            right = RepositoryRight(grant.right)
            left_out.append(
                RepositoryGrant(grant.subject_kind, grant.subject_id, grant.subject_name, right)
            )
            continue
        assign_perm(grant.right, subject, repository)
        _record("grants.right.granted", actor, repository, subject, grant.right)
    return tuple(left_out)


def _people_of(subject: User | Group) -> list[str]:
    """Return the subject keys of the user or of everybody in the group."""
    if isinstance(subject, User):
        return people_behind([subject.pk], ())
    return people_behind((), [subject.pk])


def _lock_holder(grant: TrashedGrant) -> User | Group:
    """Keep who held a right from being deleted before the commit. Raises SubjectUnknown."""
    if grant.subject_kind == "user":
        return lock_subject(User(pk=grant.subject_id), None)
    return lock_subject(None, Group(pk=grant.subject_id))


def _hold_repository(repository: Repository) -> Repository:
    """Lock the repository row, which puts changes of its grants in order."""
    held = (
        Repository.objects.select_for_update(of=("self",), no_key=True)
        .select_related("project")
        .filter(pk=repository.pk)
        .first()
    )
    if held is None:
        raise NameUnknown
    return held


def _is_held(repository: Repository, subject: User | Group, right: str) -> bool:
    if isinstance(subject, User):
        return RepositoryUserGrant.objects.filter(
            user=subject, content_object=repository, permission__codename=right
        ).exists()
    return RepositoryGroupGrant.objects.filter(
        group=subject, content_object=repository, permission__codename=right
    ).exists()


def _record(
    action: str, actor: Actor, repository: Repository, subject: User | Group, right: str
) -> None:
    kind, name = (
        ("user", subject.username) if isinstance(subject, User) else ("group", subject.name)
    )
    audit.record(
        action,
        actor,
        target_kind="repository",
        target_id=repository.pk,
        target_label=repository.name,
        project_id=repository.project.pk,
        project_name=repository.project.name,
        detail={"right": right, kind: name},
    )
