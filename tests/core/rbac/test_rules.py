"""Decisions of the evaluator without a database."""

import pytest

from core.common.origin import Origin
from core.rbac import rules
from core.rbac.types import Actor, ActorKind, Grant, Target

ORIGIN = Origin(address="192.0.2.1", user_agent="test", request_id="r1")
PRIVATE = Target(project_id=1, project_name="secret")
PUBLIC = Target(project_id=2, project_name="open", is_public=True)
MISSING = Target(project_name="nowhere")


def user(**changes: object) -> Actor:
    """Build a plain user with the given attributes changed."""
    values: dict[str, object] = {"is_system_admin": False, **changes}
    return Actor(ActorKind.USER, 5, "dana", ORIGIN, **values)  # type: ignore[arg-type]  # test values


def robot(**own: set[str]) -> Actor:
    """Build a robot holding permissions by project name."""
    held = {name: frozenset(permissions) for name, permissions in own.items()}
    return Actor(ActorKind.ROBOT, 7, "robot-ci", ORIGIN, own_permissions=held)


DEVELOPER = Grant(role="developer", source="membership of dana")


@pytest.mark.parametrize(
    ("actor", "permission", "target", "grants", "expected"),
    [
        (user(), "repository:pull", PRIVATE, [], False),
        (user(), "repository:pull", PUBLIC, [], True),
        (user(), "repository:push", PUBLIC, [], False),
        (user(), "repository:push", PRIVATE, [DEVELOPER], True),
        (user(), "tag:delete", PRIVATE, [DEVELOPER], False),
        (user(is_system_admin=True), "user:create", Target.of_system(), [], True),
        (user(), "user:create", Target.of_system(), [], False),
        (Actor.anonymous(ORIGIN), "repository:pull", PUBLIC, [], True),
        (Actor.anonymous(ORIGIN), "repository:pull", PRIVATE, [], False),
        (Actor.anonymous(ORIGIN), "repository:pull", MISSING, [], False),
        (robot(secret={"repository:pull"}), "repository:pull", PRIVATE, [], True),
        (robot(secret={"repository:pull"}), "repository:push", PRIVATE, [], False),
        (robot(other={"repository:pull"}), "repository:pull", PRIVATE, [], False),
        (robot(**{"*": {"repository:pull"}}), "repository:pull", PRIVATE, [], True),
        (robot(**{"*": {"repository:pull"}}), "repository:pull", MISSING, [], False),
        (robot(**{"/": {"user:list"}}), "user:list", Target.of_system(), [], True),
        (robot(**{"*": {"user:list"}}), "user:list", Target.of_system(), [], False),
        (robot(**{"/": {"repository:pull"}}), "repository:pull", PRIVATE, [], False),
    ],
)
def test_decisions(
    actor: Actor, permission: str, target: Target, grants: list[Grant], expected: bool
) -> None:
    assert rules.decide(actor, permission, target, grants).allowed is expected


def test_repository_grant_counts_only_on_its_repository() -> None:
    grant = Grant("pull", "grant", frozenset({"repository:pull"}), repository_id=9)
    here = Target(1, "secret", repository_id=9, repository_name="secret/app")
    there = Target(1, "secret", repository_id=8, repository_name="secret/web")
    assert rules.decide(user(), "repository:pull", here, [grant]).allowed
    assert not rules.decide(user(), "repository:pull", there, [grant]).allowed
    assert not rules.decide(user(), "repository:pull", PRIVATE, [grant]).allowed


def test_custom_role_gives_what_it_lists() -> None:
    grant = Grant("auditor", "membership of dana", frozenset({"log:list"}))
    assert rules.decide(user(), "log:list", PRIVATE, [grant]).allowed
    assert not rules.decide(user(), "repository:pull", PRIVATE, [grant]).allowed


def test_unknown_role_gives_nothing() -> None:
    grant = Grant("gone", "membership of dana")
    assert not rules.decide(user(), "repository:pull", PRIVATE, [grant]).allowed


@pytest.mark.parametrize(
    ("scopes", "permission", "expected"),
    [
        (None, "user:create", True),
        ({"repository:pull"}, "repository:pull", True),
        ({"repository:pull"}, "repository:push", False),
        ({"repository:pull"}, "project:read", False),
        ({"management:read"}, "project:read", True),
        ({"management:read"}, "artifact:list", True),
        ({"management:read"}, "project:update", False),
        ({"management:read"}, "repository:pull", False),
        ({"management:write"}, "project:update", True),
        ({"management:write"}, "project:read", True),
        ({"management:write"}, "repository:push", False),
        ({"management:write"}, "repository:delete", True),
        ({"repository:delete"}, "repository:delete", True),
        ({"repository:delete"}, "tag:delete", False),
        (set(), "project:read", False),
    ],
)
def test_scopes(scopes: set[str] | None, permission: str, expected: bool) -> None:
    frozen = None if scopes is None else frozenset(scopes)
    assert rules.scope_covers(frozen, permission) is expected


def test_token_limits_even_a_system_administrator() -> None:
    limited = user(is_system_admin=True, scopes=frozenset({"management:read"}))
    assert not rules.decide(limited, "user:create", Target.of_system(), []).allowed
    elsewhere = user(is_system_admin=True, scope_projects=frozenset({"other"}))
    assert not rules.decide(elsewhere, "repository:pull", PRIVATE, []).allowed


@pytest.mark.parametrize(
    ("actor", "permission", "target", "expected"),
    [
        (user(), "repository:pull", PRIVATE, True),
        (user(), "repository:pull", PUBLIC, False),
        (user(), "repository:push", PUBLIC, True),
        (user(), "repository:pull", MISSING, False),
        (user(is_system_admin=True), "repository:pull", PRIVATE, False),
        (user(scopes=frozenset()), "repository:pull", PRIVATE, False),
        (robot(), "repository:pull", PRIVATE, False),
        (Actor.anonymous(ORIGIN), "repository:pull", PRIVATE, False),
    ],
)
def test_grants_are_read_only_where_they_can_matter(
    actor: Actor, permission: str, target: Target, expected: bool
) -> None:
    assert rules.needs_grants(actor, permission, target) is expected


@pytest.mark.parametrize(
    ("actor", "target", "reason"),
    [
        (
            user(is_system_admin=True),
            PRIVATE,
            "system administrators may do everything",
        ),
        (user(), PUBLIC, "project open is public"),
        (
            robot(secret={"repository:pull"}),
            PRIVATE,
            "the robot holds this permission in project secret",
        ),
        (user(), PRIVATE, "no role or grant gives this permission in project secret"),
        (
            Actor.anonymous(ORIGIN),
            PRIVATE,
            "anonymous callers may only read public projects",
        ),
        (
            user(scopes=frozenset()),
            PRIVATE,
            "the token's scopes do not cover repository:pull",
        ),
        (
            user(scope_projects=frozenset()),
            PRIVATE,
            "the token is limited to other projects",
        ),
    ],
)
def test_explanation_says_why(actor: Actor, target: Target, reason: str) -> None:
    assert reason in rules.decide(actor, "repository:pull", target, []).reasons


def test_explanation_names_the_repository() -> None:
    target = Target(1, "secret", repository_id=3, repository_name="secret/app")
    reasons = rules.decide(user(), "repository:pull", target, []).reasons
    assert reasons == ("no role or grant gives this permission in repository secret/app",)


def test_explanation_of_a_system_permission() -> None:
    reasons = rules.decide(user(), "user:create", Target.of_system(), []).reasons
    assert reasons == ("the actor holds no such system permission",)
