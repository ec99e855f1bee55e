"""Registry tokens: issue, verify, attacks."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pytest_django import DjangoAssertNumQueries

from core.authn import registry_tokens, services
from core.authn.errors import InvalidCredentials, RegistryTokenInvalid
from core.authn.signing_keys import KEY_RING
from core.authn.types import Access, ProjectStamp, Session
from core.rbac.types import Actor, ActorKind
from tests.factories.users import ORIGIN

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signing_key")]

PROJECTS = {"team": ProjectStamp(17, 2)}
SERVICE = "registry.example.org"
USER = Actor(kind=ActorKind.USER, id=5, label="alice", origin=ORIGIN, token_id=9)
ACCESS = (
    Access("repository", "team/app", frozenset({"pull", "push"})),
    Access("repository", "team/all", frozenset({"*"})),
    Access("registry", "catalog", frozenset({"*"})),
)


def issue(actor: Actor = USER, **changes: Any) -> str:
    session = Session(actor, generation=4)
    return registry_tokens.issue(
        session, ACCESS, projects=PROJECTS, service=SERVICE, **changes
    ).token


def verify(token: str, **changes: Any) -> Any:
    return registry_tokens.verify(token, **{"service": SERVICE, **changes})


def refuse(token: str, **changes: Any) -> None:
    with pytest.raises(RegistryTokenInvalid):
        verify(token, **changes)


def claims_of(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def resign(claims: dict[str, Any], **headers: Any) -> str:
    """Sign any claims with the real key."""
    signer = KEY_RING.signer()
    return jwt.encode(
        claims, signer.private_key, algorithm="ES256", headers={"kid": signer.key_id} | headers
    )


def test_a_token_says_who_and_what() -> None:
    session = Session(USER, generation=4)
    issued = registry_tokens.issue(session, ACCESS, projects=PROJECTS, service=SERVICE)
    token = verify(issued.token)
    assert (token.subject, token.kind, token.id) == ("user:5", ActorKind.USER, 5)
    assert (token.label, token.token_id) == ("alice", 9)
    assert token.access == ACCESS
    assert (token.generation, token.projects) == (4, PROJECTS)
    assert issued.expires_in_seconds == 900
    assert token.expires_at == issued.issued_at.replace(microsecond=0) + timedelta(seconds=900)
    assert issued.token not in repr(issued)


def test_claims_and_header_follow_the_token_protocol() -> None:
    token = issue()
    header, claims = jwt.get_unverified_header(token), claims_of(token)
    assert (header["alg"], header["typ"]) == ("ES256", "JWT")
    assert claims["sub"] == "user:5"
    assert claims["aud"] == SERVICE
    assert claims["iat"] == claims["nbf"] == claims["exp"] - 900
    assert claims["access"][0] == {
        "type": "repository",
        "name": "team/app",
        "actions": ["pull", "push"],
    }
    assert claims["jti"] != claims_of(issue(lifetime_seconds=60))["jti"]


def test_allows_only_what_is_listed() -> None:
    token = verify(issue())
    assert token.allows("team/app", "pull")
    assert not token.allows("team/app", "delete")
    assert not token.allows("team/other", "pull")
    assert not token.allows("team/app/sub", "pull")
    assert token.allows("team/all", "delete")
    assert token.allows("catalog", "*", type="registry")
    assert not token.allows("catalog", "*")


def test_the_actor_of_a_token_has_no_rights_of_its_own() -> None:
    actor = verify(issue()).as_actor(ORIGIN)
    assert (actor.subject, actor.label, actor.token_id) == ("user:5", "alice", 9)
    assert actor.scopes == frozenset()
    assert not actor.is_system_admin


def test_anonymous_callers_get_tokens_without_a_subject() -> None:
    text = issue(Actor.anonymous(ORIGIN))
    assert claims_of(text)["sub"] == ""
    token = verify(text)
    assert (token.subject, token.kind, token.id) == ("anonymous", ActorKind.ANONYMOUS, None)


def test_a_token_ends_on_time_and_not_before() -> None:
    with time_machine.travel("2031-01-02T03:04:05Z", tick=False) as clock:
        token = issue(lifetime_seconds=100)
        clock.shift(99)
        verify(token)
        clock.shift(1)
        refuse(token)
        verify(token, expired_grace_seconds=60)
        clock.shift(60)
        refuse(token, expired_grace_seconds=60)
        registry_tokens.forget_verified()
        refuse(token)
        verify(token, expired_grace_seconds=3600)


def test_a_token_never_outlives_the_credentials_behind_it() -> None:
    with time_machine.travel("2031-01-02T03:04:05Z", tick=False):
        ends_at = datetime(2031, 1, 2, 3, 4, 35, tzinfo=UTC)
        robot = Actor(
            kind=ActorKind.ROBOT, id=7, label="robot-ci", origin=ORIGIN, expires_at=ends_at
        )
        session = Session(robot, generation=0)
        issued = registry_tokens.issue(session, ACCESS, projects=PROJECTS, service=SERVICE)
        assert issued.expires_in_seconds == 30
        assert verify(issued.token).expires_at == ends_at
    with time_machine.travel("2031-01-02T03:04:35Z", tick=False), pytest.raises(InvalidCredentials):
        registry_tokens.issue(session, ACCESS, projects=PROJECTS, service=SERVICE)


def test_clocks_of_other_hosts_may_be_a_minute_ahead() -> None:
    with time_machine.travel("2031-01-02T03:05:00Z", tick=False):
        token = issue()
    with time_machine.travel("2031-01-02T03:04:01Z", tick=False):
        verify(token)
    registry_tokens.forget_verified()
    with time_machine.travel("2031-01-02T03:03:59Z", tick=False):
        refuse(token)


def test_a_token_is_for_one_service() -> None:
    token = issue()
    verify(token)
    refuse(token, service="other.example.org")
    refuse(resign(claims_of(token) | {"iss": "somebody else"}))


@pytest.mark.parametrize(
    "claim",
    [
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "access",
        "rs_kind",
        "rs_id",
        "rs_label",
        "rs_token",
        "rs_gen",
        "rs_projects",
    ],
)
def test_every_claim_is_needed(claim: str) -> None:
    claims = claims_of(issue())
    del claims[claim]
    refuse(resign(claims))


@pytest.mark.parametrize(
    "changes",
    [
        {"access": "team/app"},
        {"access": [{"type": "repository"}]},
        {"access": [None]},
        {"rs_kind": "emperor"},
        {"rs_gen": "first"},
        {"rs_gen": None},
        {"rs_projects": None},
        {"rs_projects": ["team"]},
        {"rs_projects": {"team": 17}},
        {"rs_projects": {"team": [17]}},
        {"exp": 10**30},
        {"exp": "never"},
        {"aud": None},
        {"aud": []},
    ],
)
def test_malformed_claims_are_refused(changes: dict[str, Any]) -> None:
    refuse(resign(claims_of(issue()) | changes))


@pytest.mark.parametrize(
    "text",
    ["", "x", "a.b.c", "....", "\ud800", "é.é.é", "x" * 100_000, "eyJhbGciOiJFUzI1NiJ9.e30."],
)
def test_garbage_is_refused(text: str) -> None:
    refuse(text)


def encode_part(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", ""])
def test_unsigned_tokens_are_refused(algorithm: str) -> None:
    token = issue()
    header = jwt.get_unverified_header(token) | {"alg": algorithm}
    payload = token.split(".")[1]
    refuse(f"{encode_part(header)}.{payload}.")
    refuse(f"{encode_part(header)}.{payload}.{token.split('.')[2]}")


def test_the_public_key_is_no_shared_secret() -> None:
    """HS256 signed with the published key, in every form an attacker could take it in."""
    token = issue()
    header = jwt.get_unverified_header(token) | {"alg": "HS256"}
    public_key = KEY_RING.public_key(header["kid"])
    assert public_key is not None
    forms = [
        public_key.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
        for encoding in (serialization.Encoding.PEM, serialization.Encoding.DER)
    ]
    forms.append(json.dumps(registry_tokens.public_keys()["keys"][0]).encode())
    hmac_algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signed = f"{encode_part(header)}.{token.split('.')[1]}"
    for secret in forms:
        signature = hmac_algorithm.sign(signed.encode(), secret)
        forged = base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
        refuse(f"{signed}.{forged}")


def test_keys_that_the_token_brings_are_ignored() -> None:
    mine = ec.generate_private_key(ec.SECP256R1())
    jwk = jwt.algorithms.ECAlgorithm.to_jwk(mine.public_key(), as_dict=True)
    claims = claims_of(issue())
    for headers in (
        {},
        {"kid": KEY_RING.signer().key_id},
        {"kid": "unknown"},
        {"kid": "unknown", "jwk": jwk},
        {"kid": KEY_RING.signer().key_id, "jwk": jwk},
        {"jku": "https://attacker.example.org/keys"},
    ):
        refuse(jwt.encode(claims, mine, algorithm="ES256", headers=headers))


def test_a_key_id_that_is_no_text_is_refused() -> None:
    token = issue()
    for key_id in (None, 5, ["a"], {"a": 1}):
        header = encode_part(jwt.get_unverified_header(token) | {"kid": key_id})
        refuse(".".join([header, *token.split(".")[1:]]))


def test_changed_content_breaks_the_signature() -> None:
    token = issue()
    header, _, signature = token.split(".")
    forged = encode_part(claims_of(token) | {"sub": "user:1", "rs_id": 1})
    refuse(f"{header}.{forged}.{signature}")
    refuse(token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB"))


def test_a_verified_token_costs_no_statement(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    token = issue()
    verify(token)
    with django_assert_num_queries(0):
        verify(token)


def test_unknown_keys_cost_at_most_one_statement_a_second(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    token = jwt.encode(
        claims_of(issue()),
        ec.generate_private_key(ec.SECP256R1()),
        algorithm="ES256",
        headers={"kid": "unknown"},
    )
    refuse(token)
    with django_assert_num_queries(0):
        for _ in range(20):
            refuse(token)


def test_the_memory_of_verified_tokens_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_tokens, "MAXIMUM_VERIFIED", 3)
    for number in range(6):
        verify(issue(lifetime_seconds=100 + number))
    assert len(registry_tokens._VERIFIED._tokens) == 3


def test_what_would_be_signed_again_in_one_second_is_signed_once() -> None:
    with time_machine.travel("2031-01-02T03:04:05Z", tick=False) as clock:
        token = issue()
        assert issue() == token
        others = [issue(replace(USER, **change)) for change in ({"id": 6}, {"token_id": None})]
        others.append(issue(lifetime_seconds=60))
        session = Session(USER, generation=5)
        for projects in (PROJECTS, {"team": ProjectStamp(17, 3)}):
            issued = registry_tokens.issue(session, ACCESS, projects=projects, service=SERVICE)
            others.append(issued.token)
        issued = registry_tokens.issue(session, ACCESS[:1], projects=PROJECTS, service=SERVICE)
        others.append(issued.token)
        clock.shift(1)
        others.append(issue())
    assert len({token, *others}) == 1 + len(others)
    assert len({claims_of(text)["jti"] for text in (token, *others)}) == 1 + len(others)


def test_a_new_key_signs_anew() -> None:
    with time_machine.travel("2031-01-02T03:04:05Z", tick=False):
        token = issue()
        services.rotate_signing_key(actor=Actor.system(), immediately=True)
        KEY_RING.forget()
        renewed = issue()
    kids = [jwt.get_unverified_header(text)["kid"] for text in (token, renewed)]
    assert kids[0] != kids[1]
