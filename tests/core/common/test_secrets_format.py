"""Secrets have a fixed shape with a checksum, and are stored as SHA-256."""

import hashlib
import re
from collections.abc import Callable

import pytest

from core.common.secrets_format import SecretKind, is_well_formed, new_secret, secret_hash

pytestmark = pytest.mark.pure

KINDS: tuple[SecretKind, ...] = ("pat", "rob", "ref")
# Written down so that a change of alphabet, order or checksum cannot go unnoticed: secrets in
# use would stop being recognised.
KNOWN = "rsd_pat_" + "0" * 30 + "30T2vj"


@pytest.mark.parametrize("kind", KINDS)
def test_new_secret_has_the_documented_shape(kind: SecretKind) -> None:
    secret = new_secret(kind)

    assert re.fullmatch(rf"rsd_{kind}_[0-9A-Za-z]{{36}}", secret)
    assert is_well_formed(secret, kind)


def test_new_secrets_differ() -> None:
    assert len({new_secret("pat") for _ in range(100)}) == 100


@pytest.mark.parametrize("kind", KINDS)
def test_secret_of_another_kind_is_refused(kind: SecretKind) -> None:
    secret = new_secret(kind)

    assert not any(is_well_formed(secret, other) for other in KINDS if other != kind)


def test_kind_cannot_be_exchanged() -> None:
    secret = new_secret("pat")

    assert not is_well_formed(secret.replace("rsd_pat_", "rsd_rob_"), "rob")


def test_every_single_character_mistake_is_noticed() -> None:
    secret = new_secret("rob")

    for position in range(len(secret)):
        replacement = "A" if secret[position] != "A" else "B"
        mistyped = secret[:position] + replacement + secret[position + 1 :]
        assert not is_well_formed(mistyped, "rob"), position


@pytest.mark.parametrize(
    "mangle",
    [
        lambda secret: secret[:0],
        lambda secret: secret[:-1],
        lambda secret: secret + "0",
        lambda secret: secret + "\n",
        lambda secret: " " + secret,
        lambda secret: secret.upper(),
        lambda secret: secret[:-1] + "é",
        lambda secret: secret[:8],
    ],
)
def test_other_text_is_not_well_formed(mangle: Callable[[str], str]) -> None:
    assert not is_well_formed(mangle(new_secret("pat")), "pat")


def test_format_is_stable() -> None:
    assert is_well_formed(KNOWN, "pat")


def test_secret_hash_is_sha256_of_the_text() -> None:
    assert secret_hash(KNOWN) == hashlib.sha256(KNOWN.encode()).digest()
    assert len(secret_hash("anything at all, é included")) == 32
