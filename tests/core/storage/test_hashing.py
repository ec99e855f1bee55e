"""Resumable hashes against hashlib, across processes, and without libcrypto."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from core.storage import hashing, libcrypto
from core.storage.hashing import ALGORITHMS, ResumableHash

PROJECT = Path(__file__).parents[3]

pieces = some.lists(some.binary(max_size=700), max_size=8)
algorithms = pytest.mark.parametrize("algorithm", ALGORITHMS)


@pytest.fixture
def without_libcrypto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libcrypto, "load", lambda: None)


def saved(running: ResumableHash) -> bytes:
    state = running.state()
    assert state is not None
    return state


def restored(state: bytes) -> ResumableHash:
    running = ResumableHash.restore(state)
    assert running is not None
    return running


def test_this_python_can_resume() -> None:
    """The supported builds can; if this fails, every interrupted upload is read twice."""
    assert libcrypto.load() is not None


@algorithms
@given(chunks=pieces)
def test_equals_hashlib_in_any_pieces(algorithm: str, chunks: list[bytes]) -> None:
    running, plain = ResumableHash(algorithm), hashlib.new(algorithm)
    for chunk in chunks:
        running.update(chunk)
        plain.update(chunk)
        assert running.hexdigest() == plain.hexdigest()
    assert running.length == sum(map(len, chunks))
    assert running.algorithm == algorithm


@algorithms
@given(chunks=pieces)
@settings(max_examples=50)
def test_resumes_between_any_pieces(algorithm: str, chunks: list[bytes]) -> None:
    running = ResumableHash(algorithm)
    for chunk in chunks:
        running = restored(saved(running))
        running.update(chunk)
    assert running.hexdigest() == hashlib.new(algorithm, b"".join(chunks)).hexdigest()
    assert running.length == sum(map(len, chunks))


@algorithms
def test_resumes_in_another_process(algorithm: str) -> None:
    running = ResumableHash(algorithm)
    running.update(b"a" * 100_003)
    program = (
        "import sys; from core.storage.hashing import ResumableHash;"
        "running = ResumableHash.restore(bytes.fromhex(sys.argv[1]));"
        "running.update(b'tail'); print(running.hexdigest(), running.length)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, saved(running).hex()],
        cwd=PROJECT,
        capture_output=True,
        check=True,
        text=True,
    )
    expected = hashlib.new(algorithm, b"a" * 100_003 + b"tail").hexdigest()
    assert answer.stdout.split() == [expected, "100007"]


@algorithms
def test_takes_every_kind_of_buffer(algorithm: str) -> None:
    data = bytes(range(200))
    views = (data, bytearray(data), memoryview(data), memoryview(bytearray(b"-" + data))[1:])
    for view in views:
        running = ResumableHash(algorithm)
        running.update(view)
        assert running.hexdigest() == hashlib.new(algorithm, data).hexdigest()
        assert running.length == 200


def test_keeps_no_hold_on_a_buffer() -> None:
    buffer = bytearray(1000)
    ResumableHash("sha256").update(memoryview(buffer)[10:])
    buffer.extend(b"a buffer that is still exported cannot grow")
    assert len(buffer) == 1043


def test_refuses_scattered_views_and_text() -> None:
    running = ResumableHash("sha256")
    with pytest.raises(BufferError):
        running.update(memoryview(bytes(10))[::2])
    with pytest.raises(TypeError):
        running.update("text")  # type: ignore[arg-type]
    assert running.hexdigest() == hashlib.sha256().hexdigest()


def test_refuses_other_algorithms() -> None:
    with pytest.raises(ValueError, match="md5"):
        ResumableHash("md5")


@algorithms
def test_damaged_state_is_refused(algorithm: str) -> None:
    running = ResumableHash(algorithm)
    running.update(b"data")
    state = saved(running)
    for position in range(len(state)):
        damaged = bytearray(state)
        damaged[position] ^= 1
        assert ResumableHash.restore(bytes(damaged)) is None
    assert ResumableHash.restore(b"") is None
    assert ResumableHash.restore(state[:-1]) is None
    assert ResumableHash.restore(state + b"\0") is None


def test_state_of_another_build_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    state = saved(ResumableHash("sha256"))
    library = libcrypto.load()
    assert library is not None
    other = libcrypto.Library(b"another build..!", library.engines)
    monkeypatch.setattr(libcrypto, "load", lambda: other)
    assert ResumableHash.restore(state) is None


@algorithms
def test_impossible_fill_counter_is_refused(algorithm: str) -> None:
    """The checksum is right, yet the library would write outside its buffer."""
    library = libcrypto.load()
    assert library is not None
    shape = library.engines[algorithm].shape
    body = bytearray(saved(ResumableHash(algorithm))[:-8])
    position = len(body) - shape.context_bytes + shape.fill_position
    body[position : position + 4] = shape.block_bytes.to_bytes(4, sys.byteorder)
    state = bytes(body) + hashing._checksum(bytes(body))
    assert ResumableHash.restore(state) is None


@algorithms
@pytest.mark.usefixtures("without_libcrypto")
def test_without_libcrypto_it_hashes_but_cannot_resume(algorithm: str) -> None:
    running = ResumableHash(algorithm)
    running.update(memoryview(b"da"))
    running.update(bytearray(b"ta"))
    assert running.hexdigest() == hashlib.new(algorithm, b"data").hexdigest()
    assert running.length == 4
    assert running.state() is None


def test_state_is_refused_without_libcrypto(monkeypatch: pytest.MonkeyPatch) -> None:
    state = saved(ResumableHash("sha256"))
    monkeypatch.setattr(libcrypto, "load", lambda: None)
    assert ResumableHash.restore(state) is None


def test_library_that_hashes_wrongly_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    real = libcrypto.Engine.digest
    monkeypatch.setattr(libcrypto.Engine, "digest", lambda self, context: real(self, context)[::-1])
    assert libcrypto.load.__wrapped__() is None


def test_library_with_a_larger_structure_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libcrypto.Engine, "spare_room_is_untouched", lambda _self, _context: False)
    assert libcrypto.load.__wrapped__() is None


@pytest.mark.parametrize("path", ["/nonexistent/library.so", None])
def test_library_without_the_functions_is_not_used(
    monkeypatch: pytest.MonkeyPatch, path: str | None
) -> None:
    monkeypatch.setattr(libcrypto, "_extension_path", lambda: path)
    found = libcrypto.load.__wrapped__()
    # None asks the interpreter itself, which may or may not be linked to a libcrypto.
    assert found is None or path is None


def test_python_without_openssl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libcrypto, "find_spec", lambda _name: None)
    assert libcrypto.load.__wrapped__() is None
