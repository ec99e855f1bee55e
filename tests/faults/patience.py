"""A client that tries again, as registry clients do, and a crowd of them at one moment."""

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from tests.clients.images import Image, sha256
from tests.clients.protocol import Account, Answer, ConnectionLost, Registry

Result = TypeVar("Result")

PAUSE_SECONDS = 0.2
UNSYNCED_BYTES = 4 << 20
"""A record of so many new bytes waits for the database's disk (ADR 0011)."""
UNSYNCED_SECONDS = 3.0
"""Older changes are on that disk; half a second, and what a busy machine adds to it."""


class GaveUp(AssertionError):
    """A request that may be repeated did not succeed in the time a client has."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A change of an upload that the server has acknowledged: its start, or a piece of it."""

    asked_at: float
    told_at: float
    start: int
    end: int

    def without(self, kept_bytes: int) -> int:
        """How many of its bytes are gone when the upload holds so many."""
        return self.end - max(self.start, min(kept_bytes, self.end))


class Patience:
    """What a crowd of clients may expect of the server while it is being disturbed.

    Whatever breaks, an upload stands where it was acknowledged to stand. There are two
    exceptions, and who makes use of one must say so: `database_dies`, and `storage_fails`.
    """

    def __init__(self, seconds: float = 60.0, *, storage_fails: bool = False) -> None:
        """Try each request for so long. With `storage_fails` a failed commit may cost an upload."""
        self.seconds = seconds
        self.storage_fails = storage_fails
        self.requests = 0
        self.retries = 0
        self.interruptions = 0
        """Requests whose connection was lost; they are among the retries."""
        self.restarts = 0
        """Uploads that were begun anew."""
        self.steps_back = 0
        """How often an upload held less than was acknowledged."""
        self._deaths: list[tuple[float, float]] = []
        self._guard = threading.Lock()

    @contextmanager
    def database_dies(self) -> Iterator[None]:
        """Let PostgreSQL die in the block: it may take along what is newest then (ADR 0011)."""
        with self._guard:
            self._deaths.append((time.monotonic(), math.inf))
        try:
            yield
        finally:
            with self._guard:
                began_at, _ = self._deaths.pop()
                self._deaths.append((began_at, time.monotonic()))

    def expect_lost(self, acknowledged: Sequence[Acknowledged], kept_bytes: int = 0) -> None:
        """Expect that the database may have forgotten these. Raises AssertionError."""
        for each in acknowledged:
            is_newest = any(
                each.asked_at <= ended_at and each.told_at >= began_at - UNSYNCED_SECONDS
                for began_at, ended_at in self._deaths
            )
            assert is_newest, f"acknowledged and lost, though no database died then: {each}"
            assert each.without(kept_bytes) < UNSYNCED_BYTES, (each, kept_bytes)

    def count(self, **counts: int) -> None:
        """Add to the counts of those names."""
        with self._guard:
            for name, more in counts.items():
                setattr(self, name, getattr(self, name) + more)

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
            self.count(requests=1)
            try:
                answer = ask()
            except (ConnectionLost, OSError) as error:
                last = error
                self.count(interruptions=1)
            else:
                if answer.status in statuses:
                    return answer
                assert answer.status in (503, 507, *also_retry), answer
                assert answer.status != 503 or "retry-after" in answer.headers, answer
                last = answer
            self.count(retries=1)
            time.sleep(PAUSE_SECONDS)
        raise GaveUp(last)


class PatientUpload:
    """One upload of one blob, and what was acknowledged of it."""

    def __init__(self, registry: Registry, patience: Patience, repository: str) -> None:
        """Start it."""
        self._registry = registry
        self._patience = patience
        asked_at = time.monotonic()
        path = f"/v2/{repository}/blobs/uploads/"
        self._location = patience.until(
            lambda: registry.request("POST", path, body=b""), 202
        ).location
        self._acknowledged: list[Acknowledged] = []
        self._acknowledge(asked_at, 0, 0)

    def push(self, content: bytes, digest: str, chunk_bytes: int | None) -> bool:
        """Send everything and close it; False when the upload is gone, as it may be.

        Raises AssertionError when less is there than was acknowledged.
        """
        return self._send(content, chunk_bytes) and self._finish(digest)

    def _send(self, content: bytes, chunk_bytes: int | None) -> bool:
        """Send what the server lacks until it lacks nothing; False when the upload is gone."""
        size = chunk_bytes or len(content)
        # Only the first try may be a stream; who goes on says where.
        position, is_stream = 0, chunk_bytes is None
        give_up_at = time.monotonic() + self._patience.seconds
        while position < len(content):
            piece = content[position : position + size]
            asked_at = time.monotonic()
            if self._append(piece, start=None if is_stream else position):
                self._acknowledge(asked_at, position, position + len(piece))
                position += len(piece)
                continue
            is_stream = False
            told = self._patience.until(
                lambda: self._registry.upload_status(self._location), 204, 404
            )
            if told.status == 404:
                self._patience.expect_lost(self._acknowledged)
                return False
            if told.received < position:
                self._step_back(told.received)
            elif told.received > position:
                # The answer was lost, or comes to nobody.
                self._acknowledge(asked_at, position, told.received)
            position = told.received
            if time.monotonic() > give_up_at:
                raise GaveUp(f"{self._location} does not get beyond {position} bytes")
            time.sleep(PAUSE_SECONDS)
        return True

    def _append(self, piece: bytes, *, start: int | None) -> bool:
        self._patience.count(requests=1)
        try:
            answer = self._registry.append(self._location, piece, start=start)
        except (ConnectionLost, OSError):
            self._patience.count(retries=1, interruptions=1)
            return False
        if answer.status == 202:
            assert answer.received == (start or 0) + len(piece), answer
            return True
        assert answer.status in (404, 416, 503, 507), answer
        self._patience.count(retries=1)
        return False

    def _finish(self, digest: str) -> bool:
        tries = 0

        def finish() -> Answer:
            nonlocal tries
            tries += 1
            return self._registry.finish(self._location, digest)

        answer = self._patience.until(finish, 201, 400, 404)
        if answer.status == 201:
            return True
        if answer.status == 400:
            assert answer.json["errors"][0]["code"] == "DIGEST_INVALID", answer
        is_first = tries == 1
        if not is_first and answer.status == 404 and self._patience.storage_fails:
            return False
        # A wrong digest, and the end of the upload after it, need no more than the newest bytes.
        everything = answer.status == 404 and is_first
        self._patience.expect_lost(self._acknowledged if everything else self._acknowledged[-1:])
        return False

    def _acknowledge(self, asked_at: float, start: int, end: int) -> None:
        self._acknowledged.append(Acknowledged(asked_at, time.monotonic(), start, end))

    def _step_back(self, kept_bytes: int) -> None:
        self._patience.count(steps_back=1)
        lost = [each for each in self._acknowledged if each.end > kept_bytes]
        self._patience.expect_lost(lost, kept_bytes)
        self._acknowledged = [
            replace(each, end=min(each.end, kept_bytes))
            for each in self._acknowledged
            if each.start <= kept_bytes
        ]


class PatientRegistry:
    """Pushes and pulls of one account that go on through faults."""

    def __init__(self, address: str, account: Account, patience: Patience | None = None) -> None:
        """Take `address` as host and port."""
        self.registry = Registry(address, account)
        self.patience = patience or Patience()

    def push_blob(
        self, repository: str, content: bytes, digest: str, *, chunk_bytes: int | None = None
    ) -> None:
        """Push a blob by stream, or in chunks; begin anew when the upload is gone.

        Raises AssertionError when it is gone and may not be.
        """
        for _attempt in range(10):
            upload = PatientUpload(self.registry, self.patience, repository)
            if upload.push(content, digest, chunk_bytes):
                return
            self.patience.count(restarts=1)
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
