"""Digests of streams that may stop in one process and go on in another.

An upload may come in many requests, each served by another process. The running hash is put
into the upload's row as a few hundred bytes, so that nothing has to be read twice. Where that
is impossible, the caller is told so and hashes the stored bytes again.
"""

import hashlib
from typing import Self

from core.storage import libcrypto
from core.storage.types import BytesLike

ALGORITHMS = tuple(libcrypto.SHAPES)
"""Names that ResumableHash accepts."""

# State: magic, algorithm number, build identity, bytes hashed (8, big-endian), context of
# libcrypto, and a checksum of all that, so that a damaged row never yields a wrong digest.
_MAGIC = b"RSH1"
_NUMBERS = {"sha256": 1, "sha512": 2}
_NAMES = {number: name for name, number in _NUMBERS.items()}
_IDENTITY_BYTES = 16
_LENGTH_BYTES = 8
_CHECKSUM_BYTES = 8
_HEAD_BYTES = len(_MAGIC) + 1 + _IDENTITY_BYTES + _LENGTH_BYTES


class ResumableHash:
    """A running SHA-256 or SHA-512. For one thread at a time; large updates free the others."""

    def __init__(self, algorithm: str) -> None:
        """Begin with no bytes. Raises ValueError for an algorithm not in ``ALGORITHMS``."""
        if algorithm not in ALGORITHMS:
            raise ValueError(f"{algorithm!r} is not one of {', '.join(ALGORITHMS)}.")
        self._algorithm = algorithm
        self._length = 0
        self._library = libcrypto.load()
        if self._library is None:
            self._plain = hashlib.new(algorithm)
        else:
            self._engine = self._library.engines[algorithm]
            self._context = self._engine.new()

    @property
    def algorithm(self) -> str:
        """``sha256`` or ``sha512``."""
        return self._algorithm

    @property
    def length(self) -> int:
        """How many bytes were hashed; a caller compares this with the stored size."""
        return self._length

    def update(self, data: BytesLike) -> None:
        """Hash more bytes, without copying them. Raises BufferError for scattered views."""
        if self._library is None:
            self._plain.update(data)
            self._length += data.nbytes if isinstance(data, memoryview) else len(data)
        else:
            self._length += self._engine.update(self._context, data)

    def hexdigest(self) -> str:
        """Return the digest of the bytes so far; more may follow."""
        if self._library is None:
            return self._plain.hexdigest()
        return self._engine.digest(self._context).hex()

    def state(self) -> bytes | None:
        """Return what ``restore`` needs; None when this Python's hashes cannot be saved."""
        if self._library is None:
            return None
        body = b"".join(
            (
                _MAGIC,
                bytes([_NUMBERS[self._algorithm]]),
                self._library.identity,
                self._length.to_bytes(_LENGTH_BYTES, "big"),
                self._engine.save(self._context),
            )
        )
        return body + _checksum(body)

    @classmethod
    def restore(cls, state: bytes) -> Self | None:
        """Return the hash that gave ``state``, ready for more bytes.

        None when the state comes from another build of the library, or is damaged, or this
        Python's hashes cannot be restored: then hash the stored bytes from the start.
        """
        library = libcrypto.load()
        body, checksum = state[:-_CHECKSUM_BYTES], state[-_CHECKSUM_BYTES:]
        head, context = body[:_HEAD_BYTES], body[_HEAD_BYTES:]
        if library is None or len(head) < _HEAD_BYTES or _checksum(body) != checksum:
            return None
        algorithm = _NAMES.get(head[len(_MAGIC)])
        identity = head[len(_MAGIC) + 1 :][:_IDENTITY_BYTES]
        if not head.startswith(_MAGIC) or algorithm is None or identity != library.identity:
            return None
        resumed = library.engines[algorithm].resume(context)
        if resumed is None:
            return None
        restored = cls(algorithm)
        restored._context = resumed
        restored._length = int.from_bytes(head[-_LENGTH_BYTES:], "big")
        return restored


def _checksum(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:_CHECKSUM_BYTES]
