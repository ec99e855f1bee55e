"""Every way in which the specification lets a blob be uploaded."""

from collections.abc import Callable, Iterator

from tests.clients.protocol import Answer
from tests.conformance.conftest import Place
from tests.conformance.content import digest_of

OCTETS = {"Content-Type": "application/octet-stream"}
Upload = Callable[[Place, bytes, str], Answer]


def begin(place: Place, query: str = "") -> str:
    """Start an upload and return its location."""
    answer = place.request("POST", f"blobs/uploads/{query}", body=b"")
    assert answer.status == 202, answer
    return answer.location


def with_digest(location: str, digest: str) -> str:
    """Return the address of the closing request."""
    return f"{location}{'&' if '?' in location else '?'}digest={digest}"


def send(place: Place, method: str, location: str, piece: bytes, start: int | None) -> Answer:
    """Send a piece of an upload, with its range if it has a start."""
    headers = dict(OCTETS)
    if start is not None:
        headers["Content-Range"] = f"{start}-{start + len(piece) - 1}"
    return place.registry.request(method, location, body=piece, headers=headers)


def post_only(place: Place, content: bytes, digest: str) -> Answer:
    """Send everything with the first request (end-4b)."""
    return place.request("POST", f"blobs/uploads/?digest={digest}", body=content, headers=OCTETS)


def post_put(place: Place, content: bytes, digest: str) -> Answer:
    """Begin, and send everything with the closing request (end-4a, end-6)."""
    return send(place, "PUT", with_digest(begin(place), digest), content, None)


def chunked_single(place: Place, content: bytes, digest: str) -> Answer:
    """Send everything as one chunk (end-5)."""
    sent = send(place, "PATCH", begin(place), content, 0)
    assert (sent.status, sent.headers["range"]) == (202, f"0-{len(content) - 1}")
    return send(place, "PUT", with_digest(sent.location, digest), b"", None)


def chunked(place: Place, content: bytes, digest: str) -> Answer:
    """Send several chunks, each with its range."""
    location = _send_pieces(place, begin(place), content, pieces=3)
    return send(place, "PUT", with_digest(location, digest), b"", None)


def chunked_with_last_in_put(place: Place, content: bytes, digest: str) -> Answer:
    """Send several chunks, the last with the closing request."""
    cut = len(content) - len(content) // 4
    location = _send_pieces(place, begin(place), content[:cut], pieces=2)
    return send(place, "PUT", with_digest(location, digest), content[cut:], cut)


def stream(place: Place, content: bytes, digest: str) -> Answer:
    """Send everything in a body of unknown length, without a range."""

    def body() -> Iterator[bytes]:
        yield from (content[i : i + 300] for i in range(0, len(content), 300))

    sent = place.registry.request("PATCH", begin(place), body=body(), headers=OCTETS)
    assert (sent.status, sent.headers["range"]) == (202, f"0-{len(content) - 1}")
    return send(place, "PUT", with_digest(sent.location, digest), b"", None)


def out_of_order(place: Place, content: bytes, digest: str) -> Answer:
    """Send chunks at wrong places, learn the right one, and go on from there."""
    location = _misplace(place, content, method="PATCH", closing=None)
    location = send(place, "PATCH", location, content[500:], 500).location
    return send(place, "PUT", with_digest(location, digest), b"", None)


def out_of_order_closing(place: Place, content: bytes, digest: str) -> Answer:
    """The same with closing requests."""
    location = _misplace(place, content, method="PUT", closing=digest)
    return send(place, "PUT", with_digest(location, digest), content[500:], 500)


METHODS: dict[str, Upload] = {
    "post-only": post_only,
    "post-put": post_put,
    "chunked-single": chunked_single,
    "chunked": chunked,
    "chunked-last-in-put": chunked_with_last_in_put,
    "stream": stream,
    "out-of-order": out_of_order,
    "out-of-order-closing": out_of_order_closing,
}


def push(place: Place, content: bytes, algorithm: str = "sha256") -> str:
    """Upload a blob in the simplest way and return its digest."""
    digest = digest_of(content, algorithm)
    answer = post_put(place, content, digest)
    assert answer.status == 201, answer
    return digest


def _send_pieces(place: Place, location: str, content: bytes, *, pieces: int) -> str:
    length = -(-len(content) // pieces)
    for start in range(0, len(content), length):
        piece = content[start : start + length]
        sent = send(place, "PATCH", location, piece, start)
        assert (sent.status, sent.headers["range"]) == (202, f"0-{start + len(piece) - 1}")
        location = sent.location
    return location


def _misplace(place: Place, content: bytes, *, method: str, closing: str | None) -> str:
    """Store 500 bytes; have a chunk ahead and a rewind refused; return where to go on."""
    location = send(place, "PATCH", begin(place), content[:500], 0).location
    for start in (600, 0, 499):
        where = location if closing is None else with_digest(location, closing)
        refused = send(place, method, where, content[start : start + 100], start)
        assert refused.status == 416, (start, refused)
        status = place.registry.request("GET", location)
        assert (status.status, status.headers["range"]) == (204, "0-499")
        location = status.location
    return location
