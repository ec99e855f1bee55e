from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.authn import rules
from core.authn.errors import PersonalTokenInvalid, TokenTooWide
from core.common.origin import Origin, throttle_address
from core.rbac.types import Actor, ActorKind

pytestmark = pytest.mark.pure

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)


def limited(**limits: Any) -> Actor:
    return Actor(kind=ActorKind.USER, id=1, label="a", origin=Origin.internal(), **limits)


def creatable(**changes: Any) -> dict[str, Any]:
    values = {
        "name": "laptop",
        "description": "",
        "scopes": ["repository:pull"],
        "project_names": [],
        "expires_at": None,
        "now": NOW,
    }
    return values | changes


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"name": "x" * 255},
        {"scopes": ["management:read", "repository:push"]},
        {"project_names": ["library", "team"]},
        {"expires_at": NOW + HOUR},
    ],
)
def test_tokens_that_make_sense(changes: dict[str, Any]) -> None:
    rules.ensure_creatable(**creatable(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "  "},
        {"name": "x" * 256},
        {"name": "line\n"},
        {"description": "x" * 1025},
        {"description": "nul\x00"},
        {"scopes": []},
        {"scopes": ["repository:pull", "everything"]},
        {"project_names": [""]},
        {"project_names": ["x" * 256]},
        {"project_names": ["a"] * 1001},
        {"expires_at": NOW},
        {"expires_at": NOW - HOUR},
    ],
)
def test_tokens_that_make_no_sense(changes: dict[str, Any]) -> None:
    with pytest.raises(PersonalTokenInvalid):
        rules.ensure_creatable(**creatable(**changes))


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        ({"scopes": frozenset({"management:write"})}, {"scopes": ["repository:pull"]}),
        ({"scope_projects": frozenset({"a"})}, {"project_names": []}),
        ({"scope_projects": frozenset({"a"})}, {"project_names": ["a", "b"]}),
        ({"expires_at": NOW}, {"expires_at": None}),
        ({"expires_at": NOW}, {"expires_at": NOW + HOUR}),
    ],
)
def test_a_token_cannot_create_a_wider_one(limits: dict[str, Any], wanted: dict[str, Any]) -> None:
    narrow = {"scopes": ["management:write"], "project_names": ["a"], "expires_at": NOW}
    rules.ensure_not_wider(limited(**limits), **narrow)  # type: ignore[arg-type]
    with pytest.raises(TokenTooWide):
        rules.ensure_not_wider(limited(**limits), **(narrow | wanted))  # type: ignore[arg-type]


def test_full_credentials_may_create_any_token() -> None:
    rules.ensure_not_wider(
        limited(), scopes=["repository:delete"], project_names=[], expires_at=None
    )


@pytest.mark.parametrize(
    ("expires_at", "revoked_at", "expected"),
    [
        (None, None, True),
        (NOW + HOUR, None, True),
        (NOW, None, False),
        (None, NOW - HOUR, False),
        (NOW + HOUR, NOW + HOUR, False),
    ],
)
def test_is_live(expires_at: datetime | None, revoked_at: datetime | None, expected: bool) -> None:
    assert rules.is_live(expires_at=expires_at, revoked_at=revoked_at, now=NOW) is expected


@pytest.mark.parametrize(
    ("credentials_generation", "expected"), [(0, True), (3, True), (4, False), (9, False)]
)
def test_refresh_tokens_end_with_the_credentials_they_were_issued_for(
    credentials_generation: int, expected: bool
) -> None:
    alive = rules.is_refresh_token_live(
        generation=3,
        expires_at=NOW + HOUR,
        revoked_at=None,
        credentials_generation=credentials_generation,
        now=NOW,
    )
    assert alive is expected


def test_refresh_tokens_do_not_outlive_their_credentials() -> None:
    assert rules.refresh_token_end(None, NOW) == NOW + rules.REFRESH_TOKEN_LIFETIME
    assert rules.refresh_token_end(NOW + HOUR, NOW) == NOW + HOUR


def test_use_is_recorded_once_a_minute() -> None:
    assert rules.use_is_due(None, NOW)
    assert not rules.use_is_due(NOW - timedelta(seconds=59), NOW)
    assert rules.use_is_due(NOW - timedelta(seconds=60), NOW)


@pytest.mark.parametrize(
    ("username", "secret", "expected"),
    [
        ("alice", "x", True),
        ("", "x" * 1024, True),
        ("alice", "", False),
        ("alice", "x" * 1025, False),
        ("x" * 513, "x", False),
        ("al\x00ice", "x", False),
        ("alice", "\ud800", False),
    ],
)
def test_is_presentable(username: str, secret: str, expected: bool) -> None:
    assert rules.is_presentable(username, secret) is expected


@pytest.mark.parametrize(
    ("address", "limited_as", "stored_as"),
    [
        (None, "", None),
        ("192.0.2.7", "192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64", "2001:db8:1:2:3::4"),
        ("fe80::1%eth0", "fe80::/64", "fe80::1"),
        ("::ffff:192.0.2.7", "192.0.2.7", "192.0.2.7"),
        ("a socket", "a socket", None),
    ],
)
def test_addresses(address: str | None, limited_as: str, stored_as: str | None) -> None:
    assert throttle_address(address) == limited_as
    assert rules.storable_address(address) == stored_as


def test_retry_after_is_when_the_fullest_limit_has_room_again() -> None:
    assert rules.retry_after_seconds([None, None], NOW) is None
    assert rules.retry_after_seconds([NOW - timedelta(seconds=290), None], NOW) == 10
    assert rules.retry_after_seconds([NOW - timedelta(seconds=290), NOW], NOW) == 300
    assert rules.retry_after_seconds([NOW - rules.FAILURE_WINDOW], NOW) == 1


def test_lifetime_is_capped_by_the_credentials() -> None:
    assert rules.lifetime_seconds(900, expires_at=None, now=NOW) == 900
    assert rules.lifetime_seconds(900, expires_at=NOW + HOUR, now=NOW) == 900
    assert rules.lifetime_seconds(900, expires_at=NOW + timedelta(seconds=30), now=NOW) == 30
    assert rules.lifetime_seconds(900, expires_at=NOW - HOUR, now=NOW) < 0


def test_a_former_key_verifies_until_its_last_upload_grace_is_over() -> None:
    lifetime = timedelta(seconds=900)
    assert rules.retirement(NOW, token_lifetime=lifetime) >= NOW + lifetime + rules.UPLOAD_GRACE
