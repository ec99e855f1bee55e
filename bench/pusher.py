"""Pushes as clients make them, over one keep-alive connection with little overhead."""

import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from bench.client import request_bytes
from bench.content import Content, Image
from bench.errors import BenchmarkFailed
from core.oci.media_types import OCI_IMAGE_MANIFEST

PIECE_BYTES = 32 << 10
"""docker and containerd copy in pieces of this size into a chunked body."""

_OCTETS = {"Content-Type": "application/octet-stream"}


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and headers, names in lower case; the body is thrown away."""

    status: int
    headers: Mapping[str, str]

    @property
    def location(self) -> str:
        """Path and query of the Location header, with a mark for more parameters at its end."""
        parts = urlsplit(self.headers["location"])
        return f"{parts.path}?{parts.query}&" if parts.query else f"{parts.path}?"


class Pusher:
    """One client: a connection, and the headers of somebody who may push."""

    def __init__(self, address: str, timeout_seconds: float = 60.0) -> None:
        host, _, port = address.rpartition(":")
        self._address = address
        self._socket = socket.create_connection((host, int(port)), timeout_seconds)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def push_whole(self, repository: str, content: Content, headers: Mapping[str, str]) -> None:
        """Push a blob as containerd and oras do: POST, then PUT with the body."""
        location = self._start(repository, headers)
        pieces = (content.shared, content.tail)
        self._send("PUT", f"{location}digest={content.digest}", headers, pieces, expect=201)

    def push_streamed(self, repository: str, content: Content, headers: Mapping[str, str]) -> None:
        """Push a blob as docker does: POST, PATCH with a chunked body, PUT without one."""
        location = self._start(repository, headers)
        sent = {**headers, **_OCTETS, "Transfer-Encoding": "chunked"}
        self._socket.sendall(request_bytes("PATCH", self._address, location.rstrip("?&"), sent))
        with memoryview(content.shared) as shared:
            for start in range(0, len(shared), PIECE_BYTES):
                self._send_chunk(shared[start : start + PIECE_BYTES])
        self._send_chunk(content.tail)
        self._socket.sendall(b"0\r\n\r\n")
        location = self._receive("PATCH", 202).location
        self._send("PUT", f"{location}digest={content.digest}", headers, expect=201)

    def push_image(
        self,
        repository: str,
        image: Image,
        headers: Mapping[str, str],
        reference: str = "latest",
    ) -> None:
        """Push an image as podman and crane do: HEAD, POST, PATCH, PUT per blob; a manifest.

        The manifest goes to a tag, or to its digest.
        """
        for content in (image.layer, image.config):
            path = f"/v2/{repository}/blobs/{content.digest}"
            self._send("HEAD", path, headers, expect=404)
            location = self._start(repository, headers)
            pieces = (content.shared, content.tail)
            answer = self._send("PATCH", location.rstrip("?&"), headers, pieces, expect=202)
            closing = f"{answer.location}digest={content.digest}"
            self._send("PUT", closing, headers, expect=201)
        typed = {**headers, "Content-Type": OCI_IMAGE_MANIFEST}
        path = f"/v2/{repository}/manifests/{reference}"
        self._send("PUT", path, typed, (image.manifest,), expect=201)

    def _start(self, repository: str, headers: Mapping[str, str]) -> str:
        path = f"/v2/{repository}/blobs/uploads/"
        return self._send("POST", path, headers, expect=202).location

    def _send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        pieces: Sequence[bytes] = (),
        *,
        expect: int,
    ) -> Answer:
        sent = dict(headers)
        if method != "HEAD":
            sent = {**_OCTETS, **sent, "Content-Length": str(sum(map(len, pieces)))}
        head = request_bytes(method, self._address, path, sent)
        self._send_pieces(head, pieces)
        return self._receive(method, expect)

    def _send_pieces(self, head: bytes, pieces: Iterable[bytes]) -> None:
        """Send small pieces together with the head, and large ones without copying them."""
        waiting = head
        for piece in pieces:
            if len(piece) < PIECE_BYTES:
                waiting += piece
            else:
                self._socket.sendall(waiting)
                self._socket.sendall(piece)
                waiting = b""
        if waiting:
            self._socket.sendall(waiting)

    def _send_chunk(self, piece: bytes | memoryview) -> None:
        self._socket.sendall(b"".join((b"%x\r\n" % len(piece), piece, b"\r\n")))

    def _receive(self, method: str, expect: int) -> Answer:
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._receive_some()
        head, _, body = received.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        missing = 0 if method == "HEAD" else int(headers.get("content-length", 0)) - len(body)
        while missing > 0:
            piece = self._receive_some()
            body, missing = body + piece, missing - len(piece)
        if int(status.split()[1]) != expect:
            raise BenchmarkFailed(f"{method}: {expect} was expected, not {status!r}: {body!r}")
        return Answer(expect, headers)

    def _receive_some(self) -> bytes:
        piece = self._socket.recv(1 << 16)
        if not piece:
            raise BenchmarkFailed("The server closed a connection in the middle of a push.")
        return piece


@dataclass(frozen=True, slots=True)
class Push:
    """One image and where it goes."""

    repository: str
    headers: Mapping[str, str]
    image: Image


def push_images(address: str, pushes: Sequence[Push], connections: int) -> None:
    """Push all of them, sharing them out between so many clients. Raises BenchmarkFailed."""

    def work(number: int) -> None:
        with Pusher(address) as pusher:
            for push in pushes[number::connections]:
                pusher.push_image(push.repository, push.image, push.headers)

    in_threads(work, connections)


def push_contents(
    address: str,
    repository: str,
    headers: Mapping[str, str],
    contents: Sequence[Content],
    *,
    connections: int,
    streamed: bool,
) -> None:
    """Push blobs into one repository with so many clients. Raises BenchmarkFailed."""

    def work(number: int) -> None:
        with Pusher(address) as pusher:
            push = pusher.push_streamed if streamed else pusher.push_whole
            for content in contents[number::connections]:
                push(repository, content, headers)

    in_threads(work, connections)


def in_threads(work: Callable[[int], None], count: int) -> None:
    """Run the work in so many threads, given their numbers; raise what one of them raised."""
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(work, range(count)))
