"""What bodies under way take in memory, all of them together."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.blobs.sessions import UploadSession
from registry_api.body_memory import BODIES, BodyMemory, Holding
from tests.registry_api.asgi import Exchange
from tests.registry_api.cast import Client, sha256
from tests.registry_api.conftest import Place

PUSHES = 24
PIECE = 32 << 10
PIECES = 16
LIMIT = 256 << 10


def wait_until(is_so: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


@pytest.fixture
def peak(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A small memory, and the most that was ever held of it."""
    peaks = [0]
    take = BodyMemory.take

    def watched(memory: BodyMemory, size: int) -> None:
        take(memory, size)
        peaks[0] = max(peaks[0], memory.held_bytes)

    monkeypatch.setattr(BODIES, "limit_bytes", LIMIT)
    monkeypatch.setattr(BodyMemory, "take", watched)
    return peaks


@pytest.mark.pure
def test_bodies_go_on_as_there_is_room() -> None:
    async def visit() -> None:
        memory = BodyMemory(1 << 20)
        first, order = Holding(memory), list[int]()
        first.take(2 << 20)
        assert first.must_write
        assert not Holding(memory).must_write

        async def body(number: int, size: int) -> None:
            mine = Holding(memory)
            await mine.wait_for_room()
            order.append(number)
            mine.take(size)
            await asyncio.sleep(0)
            mine.release()
            mine.release()

        # The second one goes on only when the first has let go of what it brought, and the
        # last ones although nobody wakes them.
        bodies = [asyncio.ensure_future(body(n, (2 << 20) if n < 2 else 0)) for n in range(9)]
        await asyncio.sleep(0)
        bodies[8].cancel()
        first.give_back(1 << 19)
        await asyncio.sleep(0)
        assert order == []
        first.release()
        assert memory.held_bytes == 0
        await asyncio.wait(bodies)
        assert order[0] == 0
        assert sorted(order) == list(range(8))
        assert memory.held_bytes == 0

    asyncio.run(visit())


@pytest.mark.django_db
def test_a_disk_that_falls_behind_has_clients_wait(
    developer: Client, place: Place, peak: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = developer.token(f"repository:{place.name}:pull,push")
    goes_on = threading.Event()
    write = UploadSession.write

    def wait_and_write(session: UploadSession, data: bytes) -> None:
        assert goes_on.wait(60)
        write(session, data)

    monkeypatch.setattr(UploadSession, "write", wait_and_write)

    def push(number: int) -> int:
        content = [bytes([number, piece]) * (PIECE // 2) for piece in range(PIECES)]
        digest = sha256(b"".join(content))
        path = f"/v2/{place.name}/blobs/uploads/?digest={digest}"
        return developer.request("POST", path, body=content, token=token).status

    with ThreadPoolExecutor(PUSHES) as pool:
        pushes = [pool.submit(push, number) for number in range(PUSHES)]
        wait_until(lambda: peak[0] >= LIMIT)
        goes_on.set()
        assert {pushed.result() for pushed in pushes} == {201}
    assert LIMIT <= peak[0] <= LIMIT + PUSHES * PIECE < PUSHES * PIECES * PIECE
    assert BODIES.held_bytes == 0


@pytest.mark.django_db
def test_clients_that_stall_hold_nothing(developer: Client, place: Place, peak: list[int]) -> None:
    """What they have sent goes to the disk, so that it keeps nobody from being read."""
    token = developer.token(f"repository:{place.name}:pull,push")
    goes_on = threading.Event()

    def stall(position: int) -> None:
        if position > 0:
            goes_on.wait(60)

    def stalled(*, ends: bool) -> int:
        location = developer.start_upload(place.name)
        exchange = Exchange([], leaves_early=not ends, pauses=stall)
        # Two of them fill the memory.
        body = [bytes(LIMIT // 2), b"the rest"]
        answer = developer.request("PATCH", location, body=body, exchange=exchange, token=token)
        return answer.status

    with ThreadPoolExecutor(4) as pool:
        slow = [pool.submit(stalled, ends=number != 0) for number in range(4)]
        wait_until(lambda: peak[0] >= LIMIT)
        developer.push_blob(place.name, b"in between")
        wait_until(lambda: BODIES.held_bytes == 0)
        goes_on.set()
        assert sorted(done.result() for done in slow) == [0, 202, 202, 202]
    assert BODIES.held_bytes == 0
