"""Creating, changing and deleting people and groups."""

from collections.abc import Iterable
from typing import Any

from django.db import IntegrityError, transaction

from core.audit import services as audit
from core.common.clock import now as current_time
from core.common.errors import DomainError
from core.database import raw
from core.database.transactions import durable_write
from core.events.services import publish
from core.rbac.errors import AuthenticationRequired, PermissionDenied
from core.rbac.types import Actor
from core.system_settings import queries as system_settings
from core.users import passwords, queries, registrations, rules
from core.users.errors import (
    EmailTaken,
    GroupNameTaken,
    GroupUnknown,
    LastAdministrator,
    PasswordInvalid,
    UsernameTaken,
    UserUnknown,
)
from core.users.events import UserCreated, UserDeleted
from core.users.htpasswd import read_htpasswd
from core.users.models import Group, User
from core.users.revocations import (
    announce_rights_locked,
    revoke_registry_tokens_locked,
    revoke_subject_locked,
)
from core.users.types import HtpasswdImport, HtpasswdLine, subject_of

_FIRST_ADMINISTRATOR_LOCK = 0x72736164


def create_user(
    username: str,
    *,
    password: str,
    email: str = "",
    real_name: str = "",
    comment: str = "",
    is_system_admin: bool = False,
    actor: Actor,
) -> User:
    """Create a person who logs in with the password.

    Raises ``UsernameInvalid``, ``UsernameTaken``, ``EmailTaken``, ``PasswordInvalid`` and
    ``ProfileInvalid``.
    """
    rules.ensure_valid_password(password)
    # Hashing takes long, so it happens before the transaction.
    password_hash = passwords.hash_password(password)
    return _create_user(
        username,
        password_hash=password_hash,
        email=email,
        real_name=real_name,
        comment=comment,
        is_system_admin=is_system_admin,
        actor=actor,
    )


@durable_write
def ensure_registration_open() -> None:
    """Refuse visitors where they cannot register. Raises ``AuthenticationRequired``.

    Read under the lock of the settings: no process goes by a former value.
    """
    if not system_settings.share_locked().self_registration:
        raise AuthenticationRequired


def register_user(
    username: str,
    *,
    password: str,
    email: str = "",
    real_name: str = "",
    comment: str = "",
    actor: Actor,
) -> User:
    """Create an account for a visitor, who is nobody yet, where the settings allow that.

    Raises ``AuthenticationRequired`` where they do not, ``RegistrationsThrottled``, and what
    ``create_user`` raises.
    """
    ensure_registration_open()
    # Counted before anything else: names are not to be tried out, nor hashes made, without end.
    registrations.count_attempt(actor.origin.address, actor=actor)
    rules.ensure_valid_password(password)
    return _register_user(
        username,
        password_hash=passwords.hash_password(password),
        email=email,
        real_name=real_name,
        comment=comment,
        actor=actor,
    )


@durable_write
def update_profile(
    user: User,
    *,
    email: str | None = None,
    real_name: str | None = None,
    comment: str | None = None,
    actor: Actor,
) -> User:
    """Change what is given; None leaves a text as it is.

    Raises ``ProfileInvalid``, ``EmailTaken``, ``UserUnknown`` and ``PermissionDenied``.
    """
    user = _lock_user(user)
    _ensure_may_administer(actor, user)
    given = {"email": email, "real_name": real_name, "comment": comment}
    changed = {
        name: text
        for name, text in given.items()
        if text is not None and text != getattr(user, name)
    }
    for name, text in changed.items():
        setattr(user, name, text)
    rules.ensure_valid_profile(email=user.email, real_name=user.real_name, comment=user.comment)
    if changed:
        try:
            with transaction.atomic():
                _save(user, *changed)
        except IntegrityError as error:
            raise _taken(error, user) from error
        _record("users.user.updated", actor, user, {"fields": sorted(changed)})
    return user


def set_password(user: User, password: str, *, actor: Actor) -> None:
    """Replace the password; refresh tokens and registry tokens of the user end at once.

    Personal access tokens stay: they do not depend on the password. Raises
    ``PasswordInvalid``, ``UserUnknown`` and ``PermissionDenied``: only the user and system
    administrators may, who logged in themselves.
    """
    rules.ensure_may_set_password(actor, user_id=user.pk)
    rules.ensure_valid_password(password)
    _set_password_hash(user, passwords.hash_password(password), actor=actor)


@durable_write
def set_system_admin(user: User, flag: bool, *, actor: Actor) -> User:
    """Make the user a system administrator or an ordinary user.

    Raises ``LastAdministrator``, ``UserUnknown`` and ``PermissionDenied``: only system
    administrators who logged in themselves may.
    """
    if not actor.is_system_admin:
        raise PermissionDenied("Only system administrators make system administrators.")
    rules.ensure_unlimited(actor)
    user = _lock_user(user, as_administrator=not flag)
    if user.is_superuser == flag:
        return user
    if not flag:
        _ensure_another_administrator(user)
    user.is_superuser = flag
    _save(user, "is_superuser")
    if not flag:
        revoke_registry_tokens_locked(subject_of(user.pk))
    _record("users.user.promoted" if flag else "users.user.demoted", actor, user)
    return user


@durable_write
def set_active(user: User, flag: bool, *, actor: Actor) -> User:
    """Enable or disable the account; disabling ends everything issued to it at once.

    Raises ``LastAdministrator``, ``UserUnknown`` and ``PermissionDenied``.
    """
    user = _lock_user(user, as_administrator=not flag)
    _ensure_may_administer(actor, user)
    if user.is_active == flag:
        return user
    if not flag:
        _ensure_another_administrator(user)
    user.is_active = flag
    _save(user, "is_active")
    if not flag:
        revoke_subject_locked(subject_of(user.pk))
    _record("users.user.enabled" if flag else "users.user.disabled", actor, user)
    return user


@durable_write
def delete_user(user: User, *, actor: Actor) -> None:
    """Delete the user with its tokens and memberships; the name is free again.

    Audit entries keep the name. Raises ``LastAdministrator``, ``UserUnknown`` and
    ``PermissionDenied``.
    """
    user = _lock_user(user, as_administrator=True)
    _ensure_may_administer(actor, user)
    _ensure_another_administrator(user)
    subject = subject_of(user.pk)
    _record("users.user.deleted", actor, user)
    publish(UserDeleted(user_id=user.pk, username=user.username))
    user.delete()
    revoke_subject_locked(subject)


@durable_write
def create_group(name: str, *, group_type: int = 2, actor: Actor) -> Group:
    """Create an empty group. Raises ``GroupNameInvalid`` and ``GroupNameTaken``."""
    rules.ensure_valid_group_name(name)
    created_at = current_time()
    try:
        with transaction.atomic():
            group = Group.objects.create(
                name=name,
                group_type=group_type,
                created_at=created_at,
                updated_at=created_at,
            )
    except IntegrityError as error:
        raise GroupNameTaken(f"A group named {name} exists already.") from error
    _record_group("users.group.created", actor, group)
    return group


@durable_write
def rename_group(group: Group, name: str, *, actor: Actor) -> Group:
    """Give the group another name; its users and roles stay.

    Raises ``GroupNameInvalid``, ``GroupNameTaken`` and ``GroupUnknown``.
    """
    rules.ensure_valid_group_name(name)
    group = lock_group(group)
    if group.name == name:
        return group
    previous, group.name, group.updated_at = group.name, name, current_time()
    try:
        with transaction.atomic():
            group.save(update_fields=["name", "updated_at"])
    except IntegrityError as error:
        raise GroupNameTaken(f"A group named {name} exists already.") from error
    _record_group("users.group.renamed", actor, group, {"previous_name": previous})
    return group


@durable_write
def delete_group(group: Group, *, actor: Actor) -> None:
    """Delete the group; its users lose what it gave them. Raises ``GroupUnknown``."""
    group = lock_group(group)
    user_ids = list(User.objects.filter(groups=group.pk).values_list("pk", flat=True))
    _record_group("users.group.deleted", actor, group)
    group.delete()
    revoke_registry_tokens_locked(*map(subject_of, user_ids))


def add_user_to_group_locked(user: User, group: Group, *, actor: Actor) -> None:
    """Put the user into a group that the caller has locked, and all of whose rights it may give.

    Nothing happens when the user is in there already. Raises ``UserUnknown``.
    """
    user = _lock_user(user)
    if not user.groups.filter(pk=group.pk).exists():
        user.groups.add(group.pk)
        announce_rights_locked(subject_of(user.pk))
        _record_group("users.group.user_added", actor, group, {"user": user.username})


@durable_write
def remove_user_from_group(user: User, group: Group, *, actor: Actor) -> None:
    """Take the user out of the group; nothing happens when it is not in there.

    Raises ``UserUnknown`` and ``GroupUnknown``.
    """
    group, user = lock_group(group), _lock_user(user)
    if user.groups.filter(pk=group.pk).exists():
        user.groups.remove(group.pk)
        revoke_registry_tokens_locked(subject_of(user.pk))
        _record_group("users.group.user_removed", actor, group, {"user": user.username})


def ensure_administrator(password: str | None) -> str | None:
    """Create the first system administrator, ``admin``, when the installation has none.

    Returns the password when a random one was made, which is the only time anybody can see
    it. Raises ``PasswordInvalid`` when the configured one breaks the rule, and
    ``UsernameTaken`` when an ordinary user is called ``admin``.
    """
    if queries.system_administrator_exists():
        return None
    if password is not None:
        try:
            rules.ensure_valid_password(password)
        except PasswordInvalid as error:
            raise PasswordInvalid(
                f"ROADSTEAD_ADMIN_PASSWORD cannot be used. {error.message}"
            ) from None
    chosen = password or passwords.generate_password()
    created = _create_first_administrator(passwords.hash_password(chosen))
    return chosen if created and password is None else None


def import_htpasswd(lines: Iterable[str], *, actor: Actor) -> HtpasswdImport:
    """Create a user for every bcrypt line; names that exist are left as they are.

    The users log in with their old passwords, and the first login replaces the imported
    hash by Argon2id. Lines that cannot be used are reported, not raised.
    """
    created: list[str] = []
    existing: list[str] = []
    refused: list[tuple[int, str]] = []
    for number, line in read_htpasswd(lines):
        if not isinstance(line, HtpasswdLine):
            refused.append((number, line))
            continue
        try:
            _create_user(
                line.username,
                password_hash=passwords.imported_hash(line.bcrypt_hash),
                actor=actor,
            )
            created.append(line.username)
        except UsernameTaken:
            existing.append(line.username)
        except DomainError as error:
            refused.append((number, error.message))
    return HtpasswdImport(tuple(created), tuple(existing), tuple(refused))


def replace_imported_hash(user_id: int, *, imported: str, password: str) -> None:
    """Store Argon2id in place of an imported hash that the password has just matched.

    Ends nothing: the password stays what it was. A password that was changed meanwhile wins.
    """
    User.objects.filter(pk=user_id, password=imported).update(
        password=passwords.hash_password(password)
    )


def _create_user_locked(
    username: str,
    *,
    password_hash: str,
    email: str = "",
    real_name: str = "",
    comment: str = "",
    is_system_admin: bool = False,
    actor: Actor,
) -> User:
    # The prefix stays what it is until the commit, so that no robot is ever taken for a user.
    settings = system_settings.share_locked()
    rules.ensure_valid_username(username, robot_name_prefix=settings.robot_name_prefix)
    rules.ensure_valid_profile(email=email, real_name=real_name, comment=comment)
    created_at = current_time()
    user = User(
        username=username,
        password=password_hash,
        email=email,
        real_name=real_name,
        comment=comment,
        is_superuser=is_system_admin,
        password_changed_at=created_at,
        created_at=created_at,
        updated_at=created_at,
    )
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError as error:
        raise _taken(error, user) from error
    _record("users.user.created", actor, user, {"system_admin": is_system_admin})
    publish(UserCreated(user_id=user.pk, username=user.username))
    return user


_create_user = durable_write(_create_user_locked)


@durable_write
def _register_user(
    username: str,
    *,
    password_hash: str,
    email: str,
    real_name: str,
    comment: str,
    actor: Actor,
) -> User:
    if not system_settings.share_locked().self_registration:
        raise AuthenticationRequired
    return _create_user_locked(
        username,
        password_hash=password_hash,
        email=email,
        real_name=real_name,
        comment=comment,
        actor=actor,
    )


@durable_write
def _create_first_administrator(password_hash: str) -> bool:
    # Several processes may start for the first time together.
    raw.fetch_one("SELECT pg_advisory_xact_lock(%s)", (_FIRST_ADMINISTRATOR_LOCK,))
    if queries.system_administrator_exists():
        return False
    try:
        _create_user_locked(
            rules.ADMINISTRATOR_USERNAME,
            password_hash=password_hash,
            is_system_admin=True,
            actor=Actor.system(),
        )
    except UsernameTaken:
        raise UsernameTaken(
            "Nobody administers this installation, and the name admin belongs to an "
            "ordinary user. Choose an administrator with: roadstead user promote <name>"
        ) from None
    return True


@durable_write
def _set_password_hash(user: User, password_hash: str, *, actor: Actor) -> None:
    user = _lock_user(user)
    user.password = password_hash
    user.password_changed_at = current_time()
    _save(user, "password", "password_changed_at")
    revoke_subject_locked(subject_of(user.pk))
    _record("users.password.changed", actor, user)


def _lock_user(user: User, *, as_administrator: bool = False) -> User:
    """Lock and re-read the user, after all administrators when their number matters."""
    if as_administrator:
        list(
            User.objects.select_for_update()
            .filter(is_superuser=True)
            .order_by("pk")
            .values_list("pk", flat=True)
        )
    locked = User.objects.select_for_update().filter(pk=user.pk).first()
    if locked is None:
        raise UserUnknown
    return locked


def lock_group(group: Group) -> Group:
    """Lock and re-read the group, so that nobody gives it a right before the commit.

    Raises ``GroupUnknown``.
    """
    locked = Group.objects.select_for_update().filter(pk=group.pk).first()
    if locked is None:
        raise GroupUnknown
    return locked


def _ensure_may_administer(actor: Actor, user: User) -> None:
    rules.ensure_may_administer(actor, user_id=user.pk, is_administrator=user.is_superuser)


def _ensure_another_administrator(user: User) -> None:
    """Refuse to lose the last one. Needs the locks of ``_lock_user(as_administrator=True)``."""
    if not (user.is_superuser and user.is_active):
        return
    others = User.objects.filter(is_superuser=True, is_active=True).exclude(pk=user.pk)
    if not others.exists():
        raise LastAdministrator


def _taken(error: IntegrityError, user: User) -> UsernameTaken | EmailTaken:
    """Return what the broken constraint means."""
    if "users_user_email_unique" in str(error):
        return EmailTaken(f"A user with the email {user.email} exists already.")
    return UsernameTaken(f"A user named {user.username} exists already.")


def _save(user: User, *fields: str) -> None:
    user.updated_at = current_time()
    user.save(update_fields=[*fields, "updated_at"])


def _record(action: str, actor: Actor, user: User, detail: dict[str, Any] | None = None) -> None:
    audit.record(
        action,
        actor,
        target_kind="user",
        target_id=user.pk,
        target_label=user.username,
        detail=detail,
    )


def _record_group(
    action: str, actor: Actor, group: Group, detail: dict[str, Any] | None = None
) -> None:
    audit.record(
        action,
        actor,
        target_kind="group",
        target_id=group.pk,
        target_label=group.name,
        detail=detail,
    )
