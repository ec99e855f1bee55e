"""Digests are strict when read and exact when stored."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.oci.digest import SUPPORTED, Digest
from core.oci.errors import DigestInvalid

pytestmark = pytest.mark.pure

EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
HEX = "0123456789abcdef" * 4

digests = st.sampled_from(SUPPORTED).flatmap(
    lambda algorithm: st.binary(
        min_size=hashlib.new(algorithm).digest_size, max_size=hashlib.new(algorithm).digest_size
    ).map(lambda raw: Digest(algorithm, raw.hex()))
)


@given(digests)
def test_text_round_trip(digest: Digest) -> None:
    assert Digest.parse(str(digest)) == digest


@given(digests)
def test_stored_bytes_round_trip(digest: Digest) -> None:
    assert Digest.from_bytes(digest.to_bytes()) == digest
    assert Digest.text_of(digest.to_bytes()) == str(digest)


@given(st.text())
def test_any_text_is_a_digest_or_refused(text: str) -> None:
    try:
        digest = Digest.parse(text)
    except DigestInvalid:
        return
    assert str(digest) == text


@given(st.binary(max_size=70))
def test_any_bytes_are_a_digest_or_refused(stored: bytes) -> None:
    try:
        digest = Digest.from_bytes(stored)
    except DigestInvalid:
        if not stored or stored[0] not in (1, 2):
            with pytest.raises(DigestInvalid):
                Digest.text_of(stored)
        return
    assert digest.to_bytes() == stored


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        HEX,
        "sha256",
        "sha256:",
        f":{HEX}",
        f"sha256:{HEX[:-1]}",
        f"sha256:{HEX}0",
        f"sha256:{HEX.upper()}",
        f"sha256:{HEX[:-1]}g",
        f"sha256:{HEX}\n",
        f" sha256:{HEX}",
        f"sha256: {HEX}",
        f"sha256:{HEX[:-1]}٣",
        f"sha256::{HEX[:-1]}",
        f"sha256:../../{HEX}"[:71],
        f"sha256:{HEX[:-1]}\x00",
        f"sha512:{HEX}",
        f"sha256:{HEX}{HEX}",
        "sha256:baddigeststring",
    ],
)
def test_malformed_digests_are_refused(text: str) -> None:
    with pytest.raises(DigestInvalid):
        Digest.parse(text)


@pytest.mark.parametrize("algorithm", ["md5", "SHA256", "sha256x", "blake3", "sha384", "sha-256"])
def test_unsupported_algorithm_is_refused_naming_the_supported(algorithm: str) -> None:
    with pytest.raises(DigestInvalid, match="supported are sha256, sha512"):
        Digest.parse(f"{algorithm}:{HEX}")
    with pytest.raises(DigestInvalid, match="supported are sha256, sha512"):
        Digest.of(b"", algorithm)


def test_construction_checks_too() -> None:
    with pytest.raises(DigestInvalid):
        Digest("sha256", "../../etc/passwd")


def test_message_of_a_huge_digest_is_short() -> None:
    with pytest.raises(DigestInvalid) as caught:
        Digest.parse("sha256:" + "a" * 1_000_000)
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    "stored", [b"", b"\x00" + bytes(32), b"\x03" + bytes(32), b"\x01", b"\x01" + bytes(64)]
)
def test_corrupt_stored_bytes_are_refused(stored: bytes) -> None:
    with pytest.raises(DigestInvalid):
        Digest.from_bytes(stored)


def test_stored_form_begins_with_the_algorithm_number() -> None:
    assert Digest.of(b"").to_bytes() == b"\x01" + bytes.fromhex(EMPTY_SHA256)
    assert Digest.of(b"", "sha512").to_bytes() == b"\x02" + hashlib.sha512(b"").digest()


def test_of_known_content() -> None:
    assert str(Digest.of(b"")) == f"sha256:{EMPTY_SHA256}"
    assert Digest.of(b"{}").hex.startswith("44136fa355b3678a1146ad16f7e8649e94fb4fc2")


def test_matches_compares_content() -> None:
    digest = Digest.of(b"content", "sha512")

    assert digest.matches(b"content")
    assert not digest.matches(b"content ")


@pytest.mark.parametrize("algorithm", SUPPORTED)
def test_hasher_makes_the_same_hash_piece_by_piece(algorithm: str) -> None:
    digest = Digest.of(b"two pieces", algorithm)
    running = hashlib.new(digest.hasher)
    running.update(b"two ")
    running.update(b"pieces")

    assert running.hexdigest() == digest.hex


def test_digests_are_ordered_and_hashable() -> None:
    first, second = Digest("sha256", "0" * 64), Digest("sha256", "1" * 64)

    assert sorted([Digest("sha512", "0" * 128), second, first]) == [
        first,
        second,
        Digest("sha512", "0" * 128),
    ]
    assert {first, Digest.parse(str(first))} == {first}
