"""Content digests: ``sha256:<64 hex>`` and ``sha512:<128 hex>`` (OCI image-spec, descriptor)."""

import hashlib
import re
from dataclasses import dataclass
from typing import Final, NoReturn, Self

from core.oci.errors import DigestInvalid, excerpt

SUPPORTED: Final = ("sha256", "sha512")

_HEX_LENGTHS: Final = {"sha256": 64, "sha512": 128}
_ALGORITHM_IDS: Final = {"sha256": 1, "sha512": 2}
_ALGORITHMS_BY_ID: Final = {number: name for name, number in _ALGORITHM_IDS.items()}
_LOWERCASE_HEX: Final = re.compile(r"[0-9a-f]+")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """An algorithm with the lowercase hexadecimal hash of some content.

    Every instance is valid: constructing one with an unsupported algorithm or malformed hash
    raises DigestInvalid, so a Digest may safely become part of a storage key.
    """

    algorithm: str
    hex: str

    def __post_init__(self) -> None:
        expected_length = _HEX_LENGTHS.get(self.algorithm)
        if expected_length is None:
            _refuse_algorithm(self.algorithm)
        if len(self.hex) != expected_length or not _LOWERCASE_HEX.fullmatch(self.hex):
            raise DigestInvalid(
                f"A {self.algorithm} digest must have {expected_length} lowercase hexadecimal "
                f"characters, not {excerpt(self.hex)}."
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the digest written as ``algorithm:hex``. Raises DigestInvalid."""
        algorithm, separator, encoded = text.partition(":")
        if not separator:
            raise DigestInvalid(f"A digest must be <algorithm>:<hex>, not {excerpt(text)}.")
        return cls(algorithm, encoded)

    @classmethod
    def of(cls, data: bytes, algorithm: str = "sha256") -> Self:
        """Return the digest of the data. Raises DigestInvalid for an unsupported algorithm."""
        if algorithm not in _HEX_LENGTHS:
            _refuse_algorithm(algorithm)
        return cls(algorithm, hashlib.new(algorithm, data).hexdigest())

    @classmethod
    def from_bytes(cls, stored: bytes) -> Self:
        """Return the digest that ``to_bytes`` stored. Raises DigestInvalid."""
        return cls(_stored_algorithm(stored), stored[1:].hex())

    @staticmethod
    def text_of(stored: bytes) -> str:
        """Return what ``to_bytes`` stored as text, unchecked: a list may have thousands.

        Raises DigestInvalid for an unknown algorithm.
        """
        return f"{_stored_algorithm(stored)}:{stored[1:].hex()}"

    def to_bytes(self) -> bytes:
        """Return the stored form: one byte for the algorithm, then the raw hash."""
        return bytes((_ALGORITHM_IDS[self.algorithm],)) + bytes.fromhex(self.hex)

    @property
    def hasher(self) -> str:
        """Name under which ``hashlib.new`` makes a hash object for this digest."""
        return self.algorithm

    def matches(self, data: bytes) -> bool:
        """Tell whether the data has this digest."""
        return hashlib.new(self.hasher, data).hexdigest() == self.hex

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"


def _stored_algorithm(stored: bytes) -> str:
    algorithm = _ALGORITHMS_BY_ID.get(stored[0]) if stored else None
    if algorithm is None:
        raise DigestInvalid("The stored digest has an unknown algorithm number.")
    return algorithm


def _refuse_algorithm(algorithm: str) -> NoReturn:
    raise DigestInvalid(
        f"The digest algorithm {excerpt(algorithm)} is not supported; "
        f"supported are {', '.join(SUPPORTED)}."
    )
