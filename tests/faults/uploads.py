"""A client that does not give up: it asks how far its upload is and goes on from there."""

import os
import time
from collections.abc import Callable

from tests.clients.images import sha256
from tests.clients.protocol import Answer, Registry
from tests.faults.invariants import Store

_LOCK_LAPSES = """
UPDATE blobs_upload SET locked_until = clock_timestamp() - interval '1 second' WHERE id = %s
"""


def random_content(size: int) -> tuple[bytes, str]:
    """Return bytes that nobody has pushed yet, and their digest."""
    content = os.urandom(size)
    return content, sha256(content)


def upload_id_of(location: str) -> str:
    """Return the id of the upload at a location."""
    return location.partition("?")[0].rstrip("/").rpartition("/")[2]


def resume(
    registry: Registry,
    store: Store,
    location: str,
    content: bytes,
    digest: str,
    *,
    acknowledged: int,
    at_once: bool = False,
) -> None:
    """Finish an upload that broke off; at least `acknowledged` bytes must not be sent again.

    `at_once`: a writer that died must not keep it from going on, not even for seconds.
    """
    unlocking = None if at_once else store
    status = registry.upload_status(location)
    if status.status == 404:
        # Only an upload that has become a blob may be gone.
        assert registry.finish(location, digest).status == 201
        return
    assert status.status == 204, status
    assert acknowledged <= status.received <= len(content)
    if status.received < len(content):
        _persist(registry, unlocking, location, content[status.received :], status.received)
    done = _until_unlocked(unlocking, location, lambda: registry.finish(location, digest))
    assert done.status == 201, done
    assert done.headers["docker-content-digest"] == digest


def _persist(
    registry: Registry, store: Store | None, location: str, rest: bytes, start: int
) -> None:
    answer = _until_unlocked(store, location, lambda: registry.append(location, rest, start=start))
    assert answer.status == 202, answer
    assert answer.received == start + len(rest)


def _until_unlocked(store: Store | None, location: str, ask: Callable[[], Answer]) -> Answer:
    """Ask; when the dead writer still counts as alive, let its claim lapse and ask again."""
    answer = ask()
    if answer.status == 503 and store is not None:
        assert int(answer.headers["retry-after"]) >= 1
        store.records.change(_LOCK_LAPSES, upload_id_of(location))
        time.sleep(0.05)
        answer = ask()
    return answer
