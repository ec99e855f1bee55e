"""Personal access tokens over the management API."""

from datetime import timedelta
from typing import Any

import pytest

from core.common.clock import now
from core.common.secrets_format import is_well_formed
from tests.core.api.cast import Cast, bearer, body_of, errors_of, make_cast, rows_of


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


def test_a_token_is_made_used_listed_and_revoked(cast: Cast) -> None:
    guest = cast["guest"]
    expires_at = now() + timedelta(days=1)
    made = guest.post(
        "/users/current/tokens",
        {
            "name": "laptop",
            "description": "mine",
            "scopes": ["management:read", "repository:pull"],
            "projects": ["secret"],
            "expires_at": expires_at.isoformat(),
        },
    )
    assert made.status_code == 201
    body = body_of(made)
    secret = body.pop("secret")
    assert is_well_formed(secret, "pat")
    assert made["Location"] == f"/api/v2.0/users/current/tokens/{body['id']}"
    path = made["Location"]
    assert bearer(secret).get("/projects/secret").status_code == 200

    shown = body_of(guest.get(path))
    assert "secret" not in shown
    assert shown["hint"] == secret[-4:]
    assert shown["scopes"] == ["management:read", "repository:pull"]
    assert shown["projects"] == ["secret"]
    assert shown["expires_at"].startswith(f"{expires_at:%Y-%m-%dT%H:%M:%S}")
    assert shown["last_used_at"] > "2026"
    assert shown["last_used_address"] == "127.0.0.1"
    assert [row["name"] for row in rows_of(guest.get("/users/current/tokens"))] == ["laptop"]

    assert guest.delete(path).status_code == 200
    assert rows_of(guest.get("/users/current/tokens")) == []
    assert bearer(secret).get("/projects/secret").status_code == 401


def test_nobody_sees_or_revokes_the_tokens_of_others(cast: Cast) -> None:
    made = cast["guest"].post("/users/current/tokens", {"name": "t", "scopes": ["management:read"]})
    for actor in ("admin", "owner"):
        assert cast[actor].get(made["Location"]).status_code == 404
        assert cast[actor].delete(made["Location"]).status_code == 404
        assert rows_of(cast[actor].get("/users/current/tokens")) == []


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"name": ""}, 422),
        ({"name": None}, 422),
        ({"name": "x" * 256}, 422),
        ({"scopes": []}, 400),
        ({"scopes": ["everything"]}, 422),
        ({"scopes": "management:read"}, 422),
        ({"projects": "secret"}, 422),
        ({"expires_at": "tomorrow"}, 422),
        ({"expires_at": "2001-01-01T00:00:00Z"}, 400),
        ({"name": "taken"}, 409),
    ],
)
def test_bad_requests(cast: Cast, changes: dict[str, Any], status: int) -> None:
    good = {"name": "taken", "scopes": ["management:read"]}
    assert cast["guest"].post("/users/current/tokens", good).status_code == 201
    response = cast["guest"].post("/users/current/tokens", {**good, "name": "new", **changes})
    assert response.status_code == status, response.content
    assert errors_of(response)


def test_hidden_and_missing_projects_are_told_apart_by_nobody(cast: Cast) -> None:
    wanted = {"name": "t", "scopes": ["management:read"], "projects": ["secret"]}
    for actor, name in (("outsider", "secret"), ("outsider", "nosuch"), ("admin", "nosuch")):
        refused = cast[actor].post("/users/current/tokens", {**wanted, "projects": [name]})
        message = f"projects: there is no project {name}."
        assert (refused.status_code, errors_of(refused)[0]["message"]) == (400, message)
    assert cast["guest"].post("/users/current/tokens", wanted).status_code == 201


def test_a_token_limited_to_projects_does_not_change_the_account(cast: Cast) -> None:
    owner = cast["owner"]
    other = owner.post("/users/current/tokens", {"name": "other", "scopes": ["repository:pull"]})
    limited = {"name": "limited", "scopes": ["management:write"], "projects": ["secret"]}
    token = bearer(body_of(owner.post("/users/current/tokens", limited))["secret"])
    assert token.get("/users/current").status_code == 200
    assert len(rows_of(token.get("/users/current/tokens"))) == 2
    assert token.delete(other["Location"]).status_code == 403
    again = token.post("/users/current/tokens", {**limited, "name": "again"})
    assert again.status_code == 403
    own = f"/users/{cast.users['owner'].pk}"
    assert token.put(own, {"email": "x@example.org"}).status_code == 403
    assert token.post("/projects", {"project_name": "new"}).status_code == 403
    assert token.put("/projects/secret", {"public": False}).status_code == 200
