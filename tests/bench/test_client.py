"""The load client, the pusher and the slow readers, against a small server in this process."""

import hashlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from bench.client import Client, body_length, drive, fetch, request_bytes
from bench.content import ContentMaker
from bench.errors import BenchmarkFailed
from bench.pusher import push_contents
from bench.slow_readers import slow_readers

LARGE_BYTES = 3_000_000


class Handler(BaseHTTPRequestHandler):
    """Answers with as many bytes as the path says, and takes uploads."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    pushed: ClassVar[dict[str, str]] = {}

    def do_GET(self) -> None:
        if self.path == "/missing":
            self._answer(404)
        else:
            self._answer(200, b"x" * int(self.path.strip("/")))

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self._answer(202, location="http://registry.example/uploads/1?state=a")

    def do_PATCH(self) -> None:
        self._body = b"".join(self._chunks())
        self._answer(202, location="/uploads/1")

    def do_PUT(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length) if length else self._body
        digest = self.path.partition("digest=")[2]
        self.pushed[digest] = f"sha256:{hashlib.sha256(body).hexdigest()}"
        self._answer(201)

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _answer(self, status: int, body: bytes = b"", location: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that leave in the middle of an answer."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("connections", [1, 4])
def test_requests_are_counted_and_bodies_measured(address: str, connections: int) -> None:
    request = request_bytes("GET", address, "/1000")
    load = drive(address, [request], connections=connections, seconds=0.2)
    assert load.requests >= connections
    assert load.received_bytes == load.requests * 1_000
    assert len(load.latencies) == load.requests
    assert 0.2 <= load.seconds < 5.0
    assert 0.0 < max(load.latencies) <= load.seconds
    assert load.per_second == load.requests / load.seconds


def test_bodies_longer_than_the_buffer_are_read_to_their_end(address: str) -> None:
    load = fetch(address, request_bytes("GET", address, f"/{LARGE_BYTES}"))
    assert (load.requests, load.received_bytes) == (1, LARGE_BYTES)


def test_answers_to_head_have_no_body(address: str) -> None:
    request = request_bytes("HEAD", address, "/1000")
    load = drive(address, [request], connections=2, seconds=0.1)
    assert load.requests >= 2
    assert load.received_bytes == 0


def test_connections_are_driven_again_with_other_requests(address: str) -> None:
    head, get = (request_bytes(method, address, "/1000") for method in ("HEAD", "GET"))
    with Client(address, 3) as client:
        loads = [client.drive([request], 0.05) for request in (head, get, head)]
    assert [load.received_bytes for load in loads] == [0, 1_000 * loads[1].requests, 0]
    assert min(load.requests for load in loads) >= 3


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_refusal_ends_the_run(address: str, method: str) -> None:
    with pytest.raises(BenchmarkFailed, match="404"):
        fetch(address, request_bytes(method, address, "/missing"))


def test_a_length_is_needed() -> None:
    assert body_length(b"HTTP/1.1 200 OK\r\nCONTENT-LENGTH: 12\r\n") == 12
    with pytest.raises(BenchmarkFailed):
        body_length(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n")


@pytest.mark.parametrize("streamed", [False, True])
def test_what_is_pushed_arrives_as_it_was(address: str, streamed: bool) -> None:
    maker = ContentMaker(100_000)
    contents = [maker.make() for _ in range(3)]
    push_contents(address, "a/b", {}, contents, connections=2, streamed=streamed)
    for content in contents:
        assert Handler.pushed[content.digest] == content.digest


def test_slow_readers_read_slowly(address: str) -> None:
    request = request_bytes("GET", address, f"/{LARGE_BYTES}")
    with slow_readers(address, request, count=3, bytes_per_second=10_000) as readers:
        time.sleep(1.0)
    assert readers.still_reading == 3
    assert 5_000 < readers.bytes_per_second < 20_000
