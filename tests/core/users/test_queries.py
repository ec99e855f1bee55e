import pytest
from pytest_django import DjangoAssertNumQueries

from core.users import queries
from tests.factories.users import make_user

pytestmark = pytest.mark.django_db


def test_a_login_is_found_by_name_with_one_statement(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    user = make_user("Alice", is_system_admin=True)
    with django_assert_num_queries(1):
        facts = queries.find_login("aLiCe")
    assert facts is not None
    assert (facts.user_id, facts.username, facts.subject) == (user.pk, "Alice", f"user:{user.pk}")
    assert facts.is_active
    assert facts.is_system_admin
    assert facts == queries.find_login_of(user.pk)
    assert user.password not in repr(facts)


@pytest.mark.parametrize("username", ["nobody", "nul\x00", "\ud800", "%", "' OR 1=1 --"])
def test_names_nobody_has_are_not_found(username: str) -> None:
    make_user("alice")
    assert queries.find_login(username) is None
    assert queries.find_user(username) is None
    assert queries.find_group(username) is None


def test_list_users_filters_and_orders() -> None:
    for name in ("berta", "alice", "carla"):
        user = make_user(name)
        user.email = f"{name}@example.org"
        user.save()
    assert [user.username for user in queries.list_users()] == ["alice", "berta", "carla"]
    assert [user.username for user in queries.list_users(username_contains="ERT")] == ["berta"]
    assert [user.username for user in queries.list_users(email_contains="carla@")] == ["carla"]
