"""Slow, idle, lying and vanishing clients: everybody else is served, and nothing is left over."""

import os
import time
from collections.abc import Iterator
from functools import partial

import psutil
import pytest

from registry_api.streaming import BUFFER_BYTES
from tests.clients.images import make_image, sha256
from tests.clients.protocol import Account, Answer, Registry
from tests.faults.invariants import Store
from tests.faults.load import Load
from tests.faults.patience import Patience, PatientRegistry, at_once
from tests.faults.slow_clients import SlowReaders, connect, head, leave, status_of
from tests.faults.uploads import random_content
from tests.support.server import RunningServer

pytestmark = [pytest.mark.server, pytest.mark.slow]

MEMORY_BOUND_BYTES = 300 << 20


@pytest.fixture
def nothing_left_over(server: RunningServer, store: Store, registry: Registry) -> Iterator[None]:
    """Expect as many open files and database sessions afterwards as before, or fewer."""
    registry.request("GET", "/v2/")
    before = _held(server, store)
    yield
    deadline = time.monotonic() + 30
    while any(now > then for now, then in zip(_held(server, store), before, strict=True)):
        assert time.monotonic() < deadline, (before, _held(server, store))
        time.sleep(0.1)


def _held(server: RunningServer, store: Store) -> tuple[int, int, int]:
    """Return client connections, open blobs and uploads, and uploads with a writer."""
    workers = server.web_workers()
    connections = sum(
        1
        for worker in workers
        for connection in worker.net_connections("tcp")
        if connection.status != psutil.CONN_LISTEN
    )
    files = sum(
        1
        for worker in workers
        for file in worker.open_files()
        if file.path.startswith(str(server.data_dir / "storage"))
    )
    writers = store.records.value(
        "SELECT count(*) FROM blobs_upload WHERE lock_token IS NOT NULL"
        " AND committed_digest IS NULL AND expires_at > clock_timestamp()"
    )
    return connections, files, writers


def test_five_hundred_slow_pullers(
    server: RunningServer, registry: Registry, account: Account, repository: str
) -> None:
    """At 10 KB/s each they hold nobody up, and get the right bytes in the end.

    How long others wait beside them is measured by `make bench B=slow`.
    """
    content, digest = random_content(400_000)
    registry.push_blob(repository, content)
    image = make_image()
    PatientRegistry(server.registry, account).push_image(repository, "1", image)
    request = head("GET", f"/v2/{repository}/blobs/{digest}", account)

    readers = SlowReaders(server.registry, request, 500)
    try:
        for _round in range(3):
            readers.read_slowly(seconds=0.5, bytes_per_second=10_000)
            answers = at_once(10, lambda _: registry.get_manifest(repository, "1"))
            assert {answer.body for answer in answers} == {image.manifest}
            registry.verify(repository, "1")
        assert set(readers.read_to_the_end(len(content))) == {digest}
    finally:
        readers.close()


@pytest.mark.usefixtures("nothing_left_over")
def test_two_hundred_half_open_uploads(
    server: RunningServer, registry: Registry, account: Account, repository: str
) -> None:
    """Half of a body and then nothing, and some with half of a head: others push as before."""
    locations = [registry.start_upload(f"{repository}/idle") for _ in range(200)]
    idle = [connect(server.registry) for _ in range(220)]
    try:
        request = b""
        for connection, location in zip(idle, locations, strict=False):
            request = head("PATCH", location, account, {"Content-Length": "100000"})
            connection.sendall(request + b"x" * 50_000)
        for connection in idle[len(locations) :]:
            connection.sendall(request[: len(request) // 2])

        with Load(server.registry, account, repository) as load:
            load.wait_for_progress(12)

        statuses = [registry.request("DELETE", location).status for location in locations]
        assert set(statuses) == {204}
    finally:
        for connection in idle:
            connection.close()


class TestBodiesOfAnotherLength:
    """What was declared and what came differ; the offset stays honest (edge cases 24 and 26)."""

    def test_shorter_by_content_length(
        self, server: RunningServer, registry: Registry, account: Account, repository: str
    ) -> None:
        content, digest = random_content(100_000)
        location = registry.start_upload(repository)
        for by_reset in (False, True):
            connection = connect(server.registry)
            declared = {"Content-Length": str(len(content)), "Content-Range": "0-99999"}
            connection.sendall(head("PATCH", location, account, declared) + content[:60_000])
            leave(connection, by_reset=by_reset)
        answer = registry.append(location, content, start=0)
        assert answer.status == 202, answer
        assert registry.finish(location, digest).status == 201

    def test_longer_by_content_length(
        self, server: RunningServer, registry: Registry, account: Account, repository: str
    ) -> None:
        """What follows the declared bytes is no request, and no part of the blob."""
        content, digest = random_content(50_000)
        location = registry.start_upload(repository)
        connection = connect(server.registry)
        request = head("PATCH", location, account, {"Content-Length": str(len(content))})
        connection.sendall(request + content + os.urandom(5_000))
        assert status_of(connection) == 202
        connection.close()
        assert registry.upload_status(location).received == len(content)
        assert registry.finish(location, digest).status == 201

    @pytest.mark.parametrize("sent", [40_000, 60_000])
    def test_other_than_its_range(self, registry: Registry, repository: str, sent: int) -> None:
        content, digest = random_content(50_000)
        location = registry.start_upload(repository)
        body = (content + os.urandom(10_000))[:sent]
        answer = registry.request(
            "PATCH", location, body=iter([body]), headers={"Content-Range": "0-49999"}
        )
        assert answer.status in (400, 416), answer
        assert registry.upload_status(location).received == 0
        assert registry.append(location, content, start=0).status == 202
        assert registry.finish(location, digest).status == 201

    @pytest.mark.parametrize("by_reset", [False, True])
    def test_chunks_that_never_end(
        self,
        server: RunningServer,
        registry: Registry,
        account: Account,
        repository: str,
        *,
        by_reset: bool,
    ) -> None:
        """A stream keeps what arrived in time, whole; nothing was promised of the rest."""
        content, digest = random_content(100_000)
        location = registry.start_upload(repository)
        connection = connect(server.registry)
        chunked = head("PATCH", location, account, {"Transfer-Encoding": "chunked"})
        connection.sendall(
            chunked + b"9c40\r\n" + content[:40_000] + b"\r\n2710\r\n" + content[40_000:41_000]
        )
        leave(connection, by_reset=by_reset)

        def go_on() -> Answer:
            start = registry.upload_status(location).received
            return registry.append(location, content[start:], start=start)

        patient = PatientRegistry(server.registry, account)
        rest = patient.patience.until(go_on, 202, also_retry=(416,))
        assert rest.received == len(content)
        assert registry.finish(location, digest).status == 201

    def test_broken_chunks(
        self,
        server: RunningServer,
        store: Store,
        registry: Registry,
        account: Account,
        repository: str,
    ) -> None:
        """Of these only whole chunks of long bodies count; the upload goes on where it stands."""
        content, digest = random_content(3 * BUFFER_BYTES)
        location = registry.start_upload(repository)
        position = 20_000
        assert registry.append(location, content[:position]).status == 202
        good = content[position : position + 2 * BUFFER_BYTES]

        def stands_at(position: int) -> bool:
            return registry.upload_status(location).received == position

        for rubbish, kept in (
            (b"xyz\r\ndata\r\n", 0),
            (b"-5\r\nhello\r\n", 0),
            (b"5\r\n" + good[:5] + b", too long\r\n0\r\n\r\n", 0),
            (b"%x\r\n" % len(good) + good + b", too long\r\n0\r\n\r\n", len(good)),
        ):
            connection = connect(server.registry)
            chunked = head("PATCH", location, account, {"Transfer-Encoding": "chunked"})
            connection.sendall(chunked + rubbish)
            assert status_of(connection) in (0, 400), rubbish[:40]
            connection.close()
            position += kept
            store.records.wait_until(partial(stands_at, position))
        rest = Patience(30).until(
            lambda: registry.append(location, content[position:], start=position), 202
        )
        assert rest.received == len(content)
        assert registry.finish(location, digest).status == 201
        assert registry.get_blob(repository, digest).body == content


@pytest.mark.usefixtures("nothing_left_over")
def test_gone_in_the_middle_of_a_body(
    server: RunningServer, registry: Registry, account: Account, repository: str
) -> None:
    """A hundred times over one upload; each of its bytes may be sent again at once."""
    content, digest = random_content(200_000)
    location = registry.start_upload(repository)
    for number in range(100):
        connection = connect(server.registry)
        declared = {"Content-Length": str(len(content)), "Content-Range": "0-199999"}
        connection.sendall(head("PATCH", location, account, declared) + content[: 1_900 * number])
        leave(connection, by_reset=number % 2 == 0)

    PatientRegistry(server.registry, account).patience.until(
        lambda: registry.append(location, content, start=0), 202
    )
    assert registry.finish(location, digest).status == 201
    assert registry.get_blob(repository, digest).body == content


@pytest.mark.usefixtures("nothing_left_over")
def test_gone_in_the_middle_of_an_answer(
    server: RunningServer, registry: Registry, account: Account, repository: str
) -> None:
    """A thousand times, before, at and after the first bytes (edge case 60)."""
    content, digest = random_content(3_000_000)
    registry.push_blob(repository, content)
    request = head("GET", f"/v2/{repository}/blobs/{digest}", account)

    def leave_early(client: int) -> None:
        for number in range(100):
            connection = connect(server.registry)
            connection.sendall(request)
            if number % 3:
                connection.recv(1 if number % 3 == 1 else 100_000)
            leave(connection, by_reset=(client + number) % 2 == 0)

    at_once(10, leave_early)

    assert registry.get_blob(repository, digest).body == content


def test_many_large_uploads_need_little_memory(
    server: RunningServer, registry: Registry, account: Account, repository: str
) -> None:
    """Fifty at once, each slow: no process holds more than a bounded part of them."""
    piece, pieces = os.urandom(500_000), 12
    digest = sha256(piece * pieces)
    peaks: list[int] = []

    def push(number: int) -> int:
        if number == 50:
            for _look in range(40):
                peaks.append(max(worker.memory_info().rss for worker in server.web_workers()))
                time.sleep(0.1)
            return 201
        location = registry.start_upload(f"{repository}/{number}")

        def slowly() -> Iterator[bytes]:
            for _piece in range(pieces):
                yield piece
                time.sleep(0.3)

        answer = registry.request("PATCH", location, body=slowly(), timeout=120)
        assert answer.status == 202, answer
        return registry.finish(location, digest).status

    assert set(at_once(51, push)) == {201}
    assert max(peaks) < MEMORY_BOUND_BYTES, max(peaks)
