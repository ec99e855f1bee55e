"""A client that tries again, as registry clients do, and a crowd of them at one moment."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tests.clients.images import Image, sha256
from tests.clients.protocol import Account, Answer, ConnectionLost, Registry

Result = TypeVar("Result")

PAUSE_SECONDS = 0.2
UNSYNCED_BYTES = 4 << 20


class GaveUp(AssertionError):
    """A request that may be repeated did not succeed in the time a client has."""


class Patience:
    """What a crowd of clients may expect of the server while it is being disturbed."""

    def __init__(self, seconds: float = 60.0) -> None:
        """Try each request for so long."""
        self.seconds = seconds
        self.requests = 0
        self.retries = 0
        self._guard = threading.Lock()

    def count(self) -> None:
        """Count a request."""
        with self._guard:
            self.requests += 1

    def until(
        self,
        ask: Callable[[], Answer],
        *statuses: int,
        also_retry: Sequence[int] = (),
    ) -> Answer:
        """Repeat a request until one of the statuses comes.

        Only lost connections, silence, 503 and 507 are worth repeating, and those of
        `also_retry`; every other answer is wrong. A 503 must say when to ask again. Raises
        AssertionError.
        """
        give_up_at = time.monotonic() + self.seconds
        last: object = None
        while time.monotonic() < give_up_at:
            self.count()
            try:
                answer = ask()
            except (ConnectionLost, OSError) as error:
                last = error
            else:
                if answer.status in statuses:
                    return answer
                assert answer.status in (503, 507, *also_retry), answer
                assert answer.status != 503 or "retry-after" in answer.headers, answer
                last = answer
            with self._guard:
                self.retries += 1
            time.sleep(PAUSE_SECONDS)
        raise GaveUp(last)


class PatientRegistry:
    """Pushes and pulls of one account that go on through faults."""

    def __init__(self, address: str, account: Account, patience: Patience | None = None) -> None:
        """Take `address` as host and port."""
        self.registry = Registry(address, account)
        self.patience = patience or Patience()

    def push_blob(
        self, repository: str, content: bytes, digest: str, *, chunk_bytes: int | None = None
    ) -> None:
        """Push a blob by stream, or in chunks; begin anew when the upload is gone."""
        for _attempt in range(10):
            started = self.patience.until(lambda: self._start(repository), 202)
            sent = self._send(started.location, content, chunk_bytes)
            if sent and self._finish(started.location, digest):
                return
        raise GaveUp(f"{repository}: the upload of {digest} is lost again and again")

    def push_image(self, repository: str, tag: str, image: Image) -> None:
        """Push the blobs of an image, then its manifest under a tag."""
        for content, digest in blobs_of(image):
            self.push_blob(repository, content, digest)
        self.put_manifest(repository, tag, image.manifest)

    def put_manifest(self, repository: str, reference: str, payload: bytes) -> None:
        """Push a manifest whose blobs are there."""
        self.patience.until(
            lambda: self.registry.push_manifest(repository, reference, payload), 201
        )

    def get_blob(self, repository: str, digest: str) -> bytes:
        """Fetch a blob that is there."""
        return self.patience.until(lambda: self.registry.get_blob(repository, digest), 200).body

    def _start(self, repository: str) -> Answer:
        return self.registry.request("POST", f"/v2/{repository}/blobs/uploads/", body=b"")

    def _send(self, location: str, content: bytes, chunk_bytes: int | None) -> bool:
        """Send what the server lacks until it lacks nothing; False when the upload is gone."""
        size = chunk_bytes or len(content)
        # Only the first try may be a stream; who goes on says where.
        position, is_stream = 0, chunk_bytes is None
        give_up_at = time.monotonic() + self.patience.seconds
        while position < len(content):
            piece = content[position : position + size]
            if self._append(location, piece, start=None if is_stream else position):
                position += len(piece)
                continue
            is_stream = False
            told = self.patience.until(lambda: self.registry.upload_status(location), 204, 404)
            if told.status == 404:
                return False
            # An answer that was lost may have acknowledged more. There is less only where the
            # database died, and then by less than what waits for its disk (ADR 0011).
            assert told.received > position - UNSYNCED_BYTES, (told.received, position)
            position = told.received
            if time.monotonic() > give_up_at:
                raise GaveUp(f"{location} does not get beyond {position} bytes")
            time.sleep(PAUSE_SECONDS)
        return True

    def _append(self, location: str, piece: bytes, *, start: int | None) -> bool:
        self.patience.count()
        try:
            answer = self.registry.append(location, piece, start=start)
        except (ConnectionLost, OSError):
            return False
        assert answer.status in (202, 404, 416, 503, 507), answer
        return answer.status == 202

    def _finish(self, location: str, digest: str) -> bool:
        answer = self.patience.until(lambda: self.registry.finish(location, digest), 201, 400, 404)
        # After the death of the database the upload may have forgotten its newest bytes.
        assert answer.status != 400 or answer.json["errors"][0]["code"] == "DIGEST_INVALID", answer
        return answer.status == 201


def blobs_of(image: Image) -> list[tuple[bytes, str]]:
    """Return the contents of an image's blobs with their digests."""
    named = [(layer.content, layer.digest) for layer in image.layers]
    return [*named, (image.config, sha256(image.config))]


def at_once(count: int, act: Callable[[int], Result]) -> list[Result]:
    """Let so many clients act at the same moment; return what each got. Raises the first error."""
    ready = threading.Barrier(count)

    def begin(number: int) -> Result:
        ready.wait(60)
        return act(number)

    with ThreadPoolExecutor(count) as crowd:
        return [future.result(120) for future in [crowd.submit(begin, n) for n in range(count)]]


def count_by_status(answers: Sequence[Answer]) -> Mapping[int, int]:
    """Return how often each status came."""
    counts: dict[int, int] = {}
    for answer in answers:
        counts[answer.status] = counts.get(answer.status, 0) + 1
    return counts
