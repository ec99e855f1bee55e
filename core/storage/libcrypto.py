"""SHA-2 of the OpenSSL that Python itself uses, reached so that its state can be copied.

``hashlib`` computes with libcrypto but hides the running state. The older functions
``SHA256_Init/Update/Final`` keep it in a flat structure of plain numbers, without pointers,
which may be written down and continued by the same build of the library in another process.
They use the same processor instructions and release the interpreter lock while they run.
"""

import ctypes
import hashlib
import sys
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import ClassVar

from core.storage.types import BytesLike

# More than any known structure, so that a library with a larger one writes into spare room,
# where the self-test sees it, and not over somebody's memory.
_ROOM_BYTES = 512
_SPARE_BYTE = 0xA5


@dataclass(frozen=True, slots=True)
class Shape:
    """One algorithm: names of its functions, sizes in bytes, position of the fill counter."""

    prefix: str
    context_bytes: int
    block_bytes: int
    digest_bytes: int

    @property
    def fill_position(self) -> int:
        """Where the number of bytes waiting for a full block stands, as a C unsigned int."""
        return self.context_bytes - 8


SHAPES = {
    "sha256": Shape("SHA256", context_bytes=112, block_bytes=64, digest_bytes=32),
    "sha512": Shape("SHA512", context_bytes=216, block_bytes=128, digest_bytes=64),
}

Context = ctypes.Array[ctypes.c_char]


class _BufferView(ctypes.Structure):
    """``Py_buffer`` of the stable interface: the only way to the address of a read-only view."""

    _fields_: ClassVar = [
        ("address", ctypes.c_void_p),
        ("owner", ctypes.py_object),
        ("length", ctypes.c_ssize_t),
        ("item_bytes", ctypes.c_ssize_t),
        ("is_readonly", ctypes.c_int),
        ("dimensions", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    ]


_get_buffer = ctypes.pythonapi.PyObject_GetBuffer
_get_buffer.argtypes = (ctypes.py_object, ctypes.POINTER(_BufferView), ctypes.c_int)
_get_buffer.restype = ctypes.c_int
_release_buffer = ctypes.pythonapi.PyBuffer_Release
_release_buffer.argtypes = (ctypes.POINTER(_BufferView),)
_release_buffer.restype = None


class Engine:
    """The three functions of one algorithm in one loaded library."""

    def __init__(self, library: ctypes.CDLL, shape: Shape) -> None:
        """Find the functions; raises AttributeError where the library lacks them."""
        self.shape = shape
        self._initialise = getattr(library, f"{shape.prefix}_Init")
        self._initialise.argtypes = (ctypes.c_void_p,)
        self._update = getattr(library, f"{shape.prefix}_Update")
        self._update.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
        self._finish = getattr(library, f"{shape.prefix}_Final")
        self._finish.argtypes = (ctypes.c_void_p, ctypes.c_void_p)

    def new(self) -> Context:
        """Return the context of no bytes at all."""
        context = self._room()
        self._succeed(self._initialise(context))
        return context

    def resume(self, saved: bytes) -> Context | None:
        """Return a context continuing from ``saved``; None for one that cannot be right.

        The fill counter is looked at because the library uses it unchecked as an index.
        """
        shape = self.shape
        fill = saved[shape.fill_position : shape.fill_position + 4]
        tail = saved[shape.fill_position + 4 :]
        if (
            len(saved) != shape.context_bytes
            or int.from_bytes(fill, sys.byteorder) >= shape.block_bytes
            or int.from_bytes(tail, sys.byteorder) != shape.digest_bytes
        ):
            return None
        context = self._room()
        ctypes.memmove(context, saved, len(saved))
        return context

    def save(self, context: Context) -> bytes:
        """Return the meaningful bytes of ``context``."""
        return context.raw[: self.shape.context_bytes]

    def spare_room_is_untouched(self, context: Context) -> bool:
        """Say whether the library kept to the size of the structure as we know it."""
        return set(context.raw[self.shape.context_bytes :]) == {_SPARE_BYTE}

    def update(self, context: Context, data: BytesLike) -> int:
        """Feed ``data`` without copying it; return its length in bytes."""
        if isinstance(data, bytes):
            self._succeed(self._update(context, data, len(data)))
            return len(data)
        view = _BufferView()
        _get_buffer(data, ctypes.byref(view), 0)
        try:
            length = int(view.length)
            self._succeed(self._update(context, view.address, length))
        finally:
            _release_buffer(ctypes.byref(view))
        return length

    def digest(self, context: Context) -> bytes:
        """Return the digest of what was fed so far; ``context`` can go on."""
        copy = self._room()
        ctypes.memmove(copy, context, self.shape.context_bytes)
        result = ctypes.create_string_buffer(self.shape.digest_bytes)
        self._succeed(self._finish(result, copy))
        return result.raw

    def works(self) -> bool:
        """Compare with hashlib and known vectors, in pieces, with a resumed state between."""
        if self.digest(self.new()).hex() != _EMPTY[self.shape.prefix]:
            return False
        message = bytes(range(256)) * 5
        for cut in (1, 63, 64, 127, 128, 500, len(message)):
            context = self.new()
            self.update(context, memoryview(message)[:cut])
            resumed = self.resume(self.save(context))
            if resumed is None or not self.spare_room_is_untouched(context):
                return False
            self.update(resumed, message[cut:])
            expected = hashlib.new(self.shape.prefix, message).digest()
            if self.digest(resumed) != expected or not self.spare_room_is_untouched(resumed):
                return False
        return True

    @staticmethod
    def _room() -> Context:
        return ctypes.create_string_buffer(bytes([_SPARE_BYTE]) * _ROOM_BYTES, _ROOM_BYTES)

    @staticmethod
    def _succeed(answer: int) -> None:
        if answer != 1:
            raise RuntimeError("libcrypto refused to hash.")


_EMPTY = {
    "SHA256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "SHA512": "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
    "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
}


@dataclass(frozen=True, slots=True)
class Library:
    """A libcrypto that passed the self-test, with 16 bytes that name its build."""

    identity: bytes
    engines: dict[str, Engine]


@cache
def load() -> Library | None:
    """Return the library, tested, or None where its functions are missing or wrong.

    The extension module behind ``hashlib`` is opened once more, which finds the very
    libcrypto it is linked to, wherever that lies. Where the module is part of the
    interpreter, the interpreter itself is asked; builds that hide the symbols get None.
    """
    try:
        library = ctypes.CDLL(_extension_path())
        engines = {name: Engine(library, shape) for name, shape in SHAPES.items()}
        identity = _identity(library)
    except (AttributeError, ImportError, OSError):
        return None
    if not all(engine.works() for engine in engines.values()):
        return None
    return Library(identity, engines)


def _extension_path() -> str | None:
    """Return the file of Python's OpenSSL bindings; None when they are built in."""
    spec = find_spec("_hashlib")
    if spec is None:
        raise ImportError("This Python has no OpenSSL bindings.")
    return spec.origin if spec.has_location else None


def _identity(library: ctypes.CDLL) -> bytes:
    """Return 16 bytes that differ between versions, builds and processor families."""
    describe = library.OpenSSL_version
    describe.argtypes = (ctypes.c_int,)
    describe.restype = ctypes.c_char_p
    version, flags, built_on, platform = (describe(topic) or b"" for topic in range(4))
    parts = (version, flags, built_on, platform, sys.byteorder.encode())
    return hashlib.sha256(b"\0".join(parts)).digest()[:16]
