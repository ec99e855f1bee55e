"""Requests with tokens, and what tokens say."""

from urllib.parse import urlencode

import jwt

from tests.registry_api.asgi import Answer, Server
from tests.registry_api.cast import challenge_of


def post_token(server: Server, *extra: tuple[str, str], **fields: str) -> Answer:
    return server.request(
        "POST",
        "/service/token",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        body=urlencode([*fields.items(), *extra]).encode(),
    )


def claims_of(token: str) -> dict[str, object]:
    claims: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return claims


def access_of(answer: Answer) -> dict[str, set[str]]:
    """Return what a token answer grants: name to actions."""
    assert answer.status == 200, answer.body
    access = claims_of(answer.json()["access_token"])["access"]
    assert isinstance(access, list)
    return {e["name"]: set(e["actions"]) for e in access if e["type"] != "denied"}


def bearer(server: Server, method: str, path: str, token: str) -> Answer:
    return server.request(method, path, headers={"Authorization": f"Bearer {token}"})


def assert_invalid_token(answer: Answer) -> None:
    assert answer.status == 401
    assert challenge_of(answer)["error"] == "invalid_token"


def with_changes(settings_section: object, **changes: object) -> object:
    kind = type(settings_section)
    fields = {name: getattr(settings_section, name) for name in kind.__slots__}
    return kind(**(fields | changes))
