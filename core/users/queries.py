"""Reads of people and groups."""

from typing import Final

from django.db.models import QuerySet

from core.database import raw
from core.users import rules
from core.users.errors import GroupUnknown, UserUnknown
from core.users.models import Group, User
from core.users.types import LoginFacts

_LOGIN_BY_NAME: Final = """
SELECT id, username, password, is_active, is_superuser
FROM users_user WHERE lower(username) = lower(%s)
"""
_LOGIN_BY_ID: Final = """
SELECT id, username, password, is_active, is_superuser FROM users_user WHERE id = %s
"""


def get_user(user_id: int) -> User:
    """Return the user. Raises ``UserUnknown``."""
    user = User.objects.filter(pk=user_id).first()
    if user is None:
        raise UserUnknown
    return user


def find_user(username: str) -> User | None:
    """Return the user with that name, in whatever case it is written, or None."""
    if not rules.is_storable(username):
        return None
    return User.objects.named(username).first()


def list_users(*, username_contains: str = "", email_contains: str = "") -> QuerySet[User]:
    """Return users by name; both texts are matched anywhere and without regard to case."""
    users = User.objects.order_by("username", "pk")
    if username_contains:
        users = users.filter(username__icontains=username_contains)
    if email_contains:
        users = users.filter(email__icontains=email_contains)
    return users


def find_user_whose_name_begins(prefix: str) -> User | None:
    """Return a user whose name begins with the text, in whatever case, or None."""
    return User.objects.filter(username__istartswith=prefix).order_by("pk").first()


def system_administrator_exists() -> bool:
    """Tell whether anybody administers the installation."""
    return User.objects.filter(is_superuser=True).exists()


def get_group(group_id: int) -> Group:
    """Return the group. Raises ``GroupUnknown``."""
    group = Group.objects.filter(pk=group_id).first()
    if group is None:
        raise GroupUnknown
    return group


def find_group(name: str) -> Group | None:
    """Return the group with exactly that name, or None."""
    if not rules.is_storable(name):
        return None
    return Group.objects.filter(name=name).first()


def list_groups(*, name_contains: str = "") -> QuerySet[Group]:
    """Return groups by name."""
    groups = Group.objects.order_by("name", "pk")
    if name_contains:
        groups = groups.filter(name__icontains=name_contains)
    return groups


def list_group_users(group: Group) -> QuerySet[User]:
    """Return the users of a group by name."""
    return User.objects.filter(groups=group.pk).order_by("username", "pk")


def list_groups_of(user: User) -> QuerySet[Group]:
    """Return the groups of a user by name."""
    return Group.objects.filter(user=user).order_by("name", "pk")


def find_login(username: str) -> LoginFacts | None:
    """Return what a login by name needs, with one statement, or None."""
    if not rules.is_storable(username):
        return None
    return _login_facts(raw.fetch_one(_LOGIN_BY_NAME, (username,)))


def find_login_of(user_id: int) -> LoginFacts | None:
    """Return the same for a user whose id is known, or None."""
    return _login_facts(raw.fetch_one(_LOGIN_BY_ID, (user_id,)))


def _login_facts(row: raw.Row | None) -> LoginFacts | None:
    return LoginFacts(*row) if row is not None else None
