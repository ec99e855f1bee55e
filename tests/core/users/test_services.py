from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from core.audit.models import AuditEntry
from core.grants.services import add_user_to_group
from core.rbac.types import Actor
from core.users import passwords, queries, services
from core.users.errors import (
    GroupNameTaken,
    GroupUnknown,
    LastAdministrator,
    PasswordInvalid,
    ProfileInvalid,
    UsernameInvalid,
    UsernameTaken,
    UserUnknown,
)
from core.users.events import UserDeleted
from core.users.models import Group, Revocation, User
from tests.core.users.test_passwords import bcrypt_line
from tests.factories.users import PASSWORD, actor_of, make_user

pytestmark = pytest.mark.django_db

SYSTEM = Actor.system()


def last_action() -> tuple[str, str]:
    entry = AuditEntry.objects.latest("pk")
    return entry.action, entry.target_label


def revocation_of(user_id: int) -> Revocation | None:
    return Revocation.objects.filter(subject=f"user:{user_id}", generation__gt=0).first()


def test_create_user_stores_a_slow_hash_and_an_audit_entry() -> None:
    admin = make_user("root", is_system_admin=True)
    user = services.create_user(
        "Alice", password=PASSWORD, email="a@example.org", actor=actor_of(admin)
    )
    assert passwords.is_correct(PASSWORD, user.password)
    assert not user.is_superuser
    assert last_action() == ("users.user.created", "Alice")
    assert PASSWORD not in str(AuditEntry.objects.latest("pk").__dict__)


def test_names_are_unique_without_regard_to_case() -> None:
    services.create_user("Alice", password=PASSWORD, actor=SYSTEM)
    with pytest.raises(UsernameTaken):
        services.create_user("aLICE", password=PASSWORD, actor=SYSTEM)
    found = queries.find_user("ALICE")
    assert found is not None
    assert found.username == "Alice"


def test_an_upgrade_names_the_users_who_share_an_email() -> None:
    migration = import_module("core.users.migrations.0004_one_user_for_each_email")
    for name, email in (("alice", "A@example.org"), ("bob", ""), ("carol", "")):
        services.create_user(name, password=PASSWORD, email=email, actor=SYSTEM)
    with connection.schema_editor() as editor:
        migration.refuse_shared_emails(apps, editor)
        editor.execute("DROP INDEX users_user_email_unique")
        User.objects.filter(username="bob").update(email="a@example.ORG")
        with pytest.raises(RuntimeError, match=r"a@example\.org: alice, bob\)"):
            migration.refuse_shared_emails(apps, editor)


def test_bad_values_create_nobody() -> None:
    with pytest.raises(PasswordInvalid):
        services.create_user("alice", password="weak", actor=SYSTEM)
    with pytest.raises(UsernameInvalid):
        services.create_user("robot-x", password=PASSWORD, actor=SYSTEM)
    with pytest.raises(ProfileInvalid):
        services.create_user("alice", password=PASSWORD, email="x", actor=SYSTEM)
    assert not User.objects.exists()
    assert not AuditEntry.objects.exists()


def test_update_profile_changes_only_what_is_given() -> None:
    user = make_user()
    services.update_profile(user, email="a@example.org", real_name="Alice", actor=SYSTEM)
    changed = services.update_profile(user, comment="on call", actor=SYSTEM)
    assert (changed.email, changed.real_name, changed.comment) == (
        "a@example.org",
        "Alice",
        "on call",
    )
    count = AuditEntry.objects.count()
    services.update_profile(user, comment="on call", actor=SYSTEM)
    assert AuditEntry.objects.count() == count


def test_a_new_password_ends_what_was_issued_for_the_old_one() -> None:
    user = make_user()
    services.set_password(user, "Another-horse-2", actor=SYSTEM)
    user.refresh_from_db()
    assert passwords.is_correct("Another-horse-2", user.password)
    revocation = revocation_of(user.pk)
    assert revocation is not None
    assert (revocation.generation, revocation.credentials_generation) == (1, 1)
    with pytest.raises(PasswordInvalid):
        services.set_password(user, "weak", actor=SYSTEM)


def test_disabling_ends_everything_and_enabling_nothing() -> None:
    user = make_user()
    assert not services.set_active(user, False, actor=SYSTEM).is_active
    assert last_action() == ("users.user.disabled", "alice")
    revocation = revocation_of(user.pk)
    assert revocation is not None
    assert revocation.credentials_generation == 1
    assert services.set_active(user, True, actor=SYSTEM).is_active
    assert revocation_of(user.pk) == revocation


def test_demotion_ends_registry_tokens_but_not_logins() -> None:
    make_user("root", is_system_admin=True)
    user = make_user()
    assert services.set_system_admin(user, True, actor=SYSTEM).is_superuser
    assert revocation_of(user.pk) is None
    assert not services.set_system_admin(user, False, actor=SYSTEM).is_superuser
    revocation = revocation_of(user.pk)
    assert revocation is not None
    assert revocation.credentials_generation == 0
    count = AuditEntry.objects.count()
    services.set_system_admin(user, False, actor=SYSTEM)
    services.set_active(user, True, actor=SYSTEM)
    assert AuditEntry.objects.count() == count


def test_the_last_active_administrator_stays() -> None:
    admin = make_user("root", is_system_admin=True)
    make_user("sleeping", is_system_admin=True, is_active=False)
    for change in (
        lambda: services.set_system_admin(admin, False, actor=SYSTEM),
        lambda: services.set_active(admin, False, actor=SYSTEM),
        lambda: services.delete_user(admin, actor=SYSTEM),
    ):
        with pytest.raises(LastAdministrator):
            change()
    second = make_user("second", is_system_admin=True)
    services.delete_user(admin, actor=actor_of(second))
    assert queries.find_user("root") is None


def test_deletion_frees_the_name_and_keeps_the_audit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    published: list[object] = []
    monkeypatch.setattr(services, "publish", published.append)
    user = make_user()
    user_id = user.pk
    services.delete_user(user, actor=SYSTEM)
    assert published == [UserDeleted(user_id=user_id, username="alice")]
    assert last_action() == ("users.user.deleted", "alice")
    assert revocation_of(user_id) is not None
    again = services.create_user("alice", password=PASSWORD, actor=SYSTEM)
    assert again.pk != user_id
    for change in (
        lambda: services.delete_user(User(pk=user_id), actor=SYSTEM),
        lambda: services.set_password(User(pk=user_id), PASSWORD, actor=SYSTEM),
        lambda: queries.get_user(user_id),
    ):
        with pytest.raises(UserUnknown):
            change()


def test_groups_come_and_go() -> None:
    user, group = make_user(), services.create_group("Platform team", actor=SYSTEM)
    with pytest.raises(GroupNameTaken):
        services.create_group("Platform team", actor=SYSTEM)
    other = services.create_group("Other", actor=SYSTEM)
    with pytest.raises(GroupNameTaken):
        services.rename_group(other, "Platform team", actor=SYSTEM)
    assert services.rename_group(other, "Another", actor=SYSTEM).name == "Another"
    assert services.rename_group(other, "Another", actor=SYSTEM).name == "Another"
    add_user_to_group(user, group, actor=SYSTEM)
    add_user_to_group(user, group, actor=SYSTEM)
    assert AuditEntry.objects.filter(action="users.group.user_added").count() == 1
    assert list(queries.list_group_users(group)) == [user]
    assert list(queries.list_groups_of(user)) == [group]
    assert [found.name for found in queries.list_groups(name_contains="PLAT")] == ["Platform team"]
    assert queries.find_group("Platform team") == group
    assert revocation_of(user.pk) is None
    services.remove_user_from_group(user, group, actor=SYSTEM)
    services.remove_user_from_group(user, group, actor=SYSTEM)
    assert AuditEntry.objects.filter(action="users.group.user_removed").count() == 1
    assert revocation_of(user.pk) is not None


def test_deleting_a_group_ends_the_registry_tokens_of_its_users() -> None:
    group = services.create_group("team", actor=SYSTEM)
    people = [make_user(name) for name in ("alice", "berta")]
    for user in people:
        add_user_to_group(user, group, actor=SYSTEM)
    services.delete_group(group, actor=SYSTEM)
    assert all(revocation_of(user.pk) is not None for user in people)
    for change in (
        lambda: services.delete_group(Group(pk=group.pk), actor=SYSTEM),
        lambda: queries.get_group(group.pk),
    ):
        with pytest.raises(GroupUnknown):
            change()


def test_the_first_administrator_gets_a_random_password_once() -> None:
    password = services.ensure_administrator(None)
    assert password is not None
    assert len(password) >= 20
    admin = queries.find_user("admin")
    assert admin is not None
    assert admin.is_superuser
    assert passwords.is_correct(password, admin.password)
    assert services.ensure_administrator(None) is None
    assert services.ensure_administrator("Other-horse-3") is None
    assert User.objects.count() == 1


def test_the_first_administrator_may_get_a_configured_password() -> None:
    with pytest.raises(PasswordInvalid, match=r"ROADSTEAD_ADMIN_PASSWORD .* 8 to 128"):
        services.ensure_administrator("onlylowercase")
    assert services.ensure_administrator(PASSWORD) is None
    admin = queries.find_user("admin")
    assert admin is not None
    assert passwords.is_correct(PASSWORD, admin.password)


def test_an_ordinary_admin_is_not_promoted_silently() -> None:
    make_user("Admin")
    with pytest.raises(UsernameTaken, match="roadstead user promote"):
        services.ensure_administrator(None)


def test_htpasswd_lines_become_users() -> None:
    make_user("berta")
    lines = [
        "# a comment",
        "",
        f"alice:{bcrypt_line('old secret')}",
        f"berta:{bcrypt_line('old secret')}",
        "carla:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=",
        "no colon",
        f"robot-x:{bcrypt_line('old secret')}",
    ]
    result = services.import_htpasswd(lines, actor=SYSTEM)
    assert result.created == ("alice",)
    assert result.existing == ("berta",)
    assert [number for number, _ in result.refused] == [5, 6, 7]
    alice = queries.find_user("alice")
    assert alice is not None
    assert passwords.is_correct("old secret", alice.password)


def test_a_rehash_never_undoes_a_newer_password() -> None:
    imported = passwords.imported_hash(bcrypt_line("old secret"))
    user = make_user(stored_hash=imported)
    services.replace_imported_hash(user.pk, imported=imported, password="old secret")
    user.refresh_from_db()
    stored = user.password
    assert stored.startswith("argon2$")
    services.replace_imported_hash(user.pk, imported=imported, password="old secret")
    user.refresh_from_db()
    assert user.password == stored
