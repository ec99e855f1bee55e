"""Signing keys: made once, published, rotated, retired."""

import base64
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import jwt
import pytest
import time_machine
from django.db import connection
from pytest_django import DjangoAssertNumQueries
from typer.testing import CliRunner

from core.audit.models import AuditEntry
from core.authn import registry_tokens, services, signing_keys
from core.authn.commands import app
from core.authn.errors import RegistryTokenInvalid, SigningKeyUnreadable
from core.authn.models import SigningKey
from core.authn.signing_keys import KEY_RING, thumbprint
from core.common.clock import now
from core.rbac.types import Actor, ActorKind
from tests.factories.users import ORIGIN, session_of

SYSTEM = Actor.system()
USER = Actor(kind=ActorKind.USER, id=5, label="alice", origin=ORIGIN)


def issue() -> str:
    return registry_tokens.issue(session_of(USER), (), projects={}, service="s").token


def key_id_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


@pytest.mark.django_db
def test_the_first_key_is_made_once() -> None:
    services.ensure_signing_key()
    services.ensure_signing_key()
    key = SigningKey.objects.get()
    assert key.key_id == thumbprint(key.public_jwk)
    assert AuditEntry.objects.filter(action="authn.signing_key.created").count() == 1


@pytest.mark.django_db(transaction=True)
def test_many_first_starts_make_one_key() -> None:
    barrier = Barrier(8)

    def start(_: int) -> None:
        barrier.wait()
        try:
            services.ensure_signing_key()
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(start, range(8)))
    assert SigningKey.objects.count() == 1


@pytest.mark.pure
def test_thumbprints_follow_rfc_7638() -> None:
    jwk = {"kty": "EC", "crv": "P-256", "x": "a", "y": "b", "use": "sig"}
    canonical = b'{"crv":"P-256","kty":"EC","x":"a","y":"b"}'
    expected = base64.urlsafe_b64encode(hashlib.sha256(canonical).digest()).rstrip(b"=")
    assert thumbprint(jwk) == expected.decode()


@pytest.mark.django_db
def test_the_key_set_holds_public_halves_only(signing_key: None) -> None:
    published = registry_tokens.public_keys()["keys"]
    assert len(published) == 1
    assert set(published[0]) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    token = issue()
    key = jwt.PyJWK(published[0])
    assert jwt.decode(token, key, algorithms=["ES256"], audience="s")["sub"] == "user:5"


@pytest.mark.django_db
def test_private_halves_are_encrypted_with_the_secret_key(signing_key: None, settings: Any) -> None:
    stored = bytes(SigningKey.objects.get().private_key_encrypted)
    with pytest.raises(ValueError, match=r".*"):
        json.loads(stored)
    assert b"PRIVATE" not in base64.urlsafe_b64decode(stored)
    settings.SECRET_KEY = "another secret key, long enough to be one"
    registry_tokens.forget_verified()
    with pytest.raises(SigningKeyUnreadable):
        issue()
    with pytest.raises(SigningKeyUnreadable, match="roadstead keys rotate"):
        services.ensure_signing_key()
    services.rotate_signing_key(actor=SYSTEM, immediately=True)
    registry_tokens.forget_verified()
    services.ensure_signing_key()
    issue()


@pytest.mark.django_db
def test_without_any_key_the_error_says_what_to_do() -> None:
    with pytest.raises(SigningKeyUnreadable, match="roadstead keys rotate"):
        issue()


@pytest.mark.django_db
def test_a_host_whose_clock_is_behind_signs_with_the_oldest_key(signing_key: None) -> None:
    first = SigningKey.objects.get()
    services.rotate_signing_key(actor=SYSTEM)
    with time_machine.travel("2020-01-02T03:04:05Z"):
        assert key_id_of(issue()) == first.key_id


@pytest.mark.django_db
def test_a_new_key_is_published_before_it_signs_and_the_old_one_verifies_on(
    signing_key: None,
) -> None:
    with time_machine.travel("2031-01-02T03:04:05Z", tick=False) as clock:
        old_token = issue()
        new = services.rotate_signing_key(actor=SYSTEM)
        KEY_RING.forget()
        published = [key["kid"] for key in registry_tokens.public_keys()["keys"]]
        assert published == [new.key_id, key_id_of(old_token)]
        assert key_id_of(issue()) == key_id_of(old_token)
        clock.shift(61)
        assert key_id_of(issue()) == new.key_id
        registry_tokens.verify(old_token, service="s")
        clock.shift(24 * 3600)
        registry_tokens.verify(old_token, service="s", expired_grace_seconds=24 * 3600)
        clock.shift(2 * 3600)
        assert services.delete_expired(now())["signing_keys"] == 1
        KEY_RING.forget()
        with pytest.raises(RegistryTokenInvalid):
            registry_tokens.verify(old_token, service="s", expired_grace_seconds=10**6)
        assert [key["kid"] for key in registry_tokens.public_keys()["keys"]] == [new.key_id]


@pytest.mark.django_db
def test_an_immediate_rotation_ends_every_token(signing_key: None) -> None:
    token = issue()
    registry_tokens.verify(token, service="s")
    new = services.rotate_signing_key(actor=SYSTEM, immediately=True)
    KEY_RING.forget()
    with pytest.raises(RegistryTokenInvalid):
        registry_tokens.verify(token, service="s")
    assert key_id_of(issue()) == new.key_id
    assert AuditEntry.objects.latest("pk").action == "authn.signing_key.rotated"


@pytest.mark.django_db
def test_commands_rotate_and_list(signing_key: None) -> None:
    first = SigningKey.objects.get()
    assert CliRunner().invoke(app, ["rotate"]).exit_code == 0
    listed = CliRunner().invoke(app, ["list"], env={"COLUMNS": "200"}).output
    assert first.key_id in listed
    assert "published" in listed
    assert "verifying" in listed
    assert CliRunner().invoke(app, ["rotate", "--now"]).exit_code == 0
    listed = CliRunner().invoke(app, ["list"], env={"COLUMNS": "200"}).output
    assert "retired" in listed
    assert "active" in listed


@pytest.mark.django_db
def test_a_recent_signer_is_told_without_a_statement(
    django_assert_num_queries: DjangoAssertNumQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.ensure_signing_key()
    KEY_RING.forget()
    with django_assert_num_queries(0):
        assert KEY_RING.recent_signer() is None
    signer = KEY_RING.signer()
    with django_assert_num_queries(0):
        assert KEY_RING.recent_signer() is signer
        monkeypatch.setattr(signing_keys, "RELOAD_SECONDS", 0.0)
        assert KEY_RING.recent_signer() is None


@pytest.mark.django_db
def test_a_signature_is_what_others_expect() -> None:
    services.ensure_signing_key()
    signer, claims = KEY_RING.signer(), {"sub": "Zoë", "access": [], "exp": 4102444800}
    key = KEY_RING.public_key(signer.key_id)
    assert key is not None
    for _ in range(200):
        token = signer.sign(claims)
        assert jwt.decode(token, key, algorithms=["ES256"]) == claims
        assert len(base64.urlsafe_b64decode(token.rpartition(".")[2] + "==")) == 64
