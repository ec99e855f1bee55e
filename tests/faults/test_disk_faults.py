"""A disk that is full or fails: an honest answer, and the upload goes on when it is well."""

import pytest

from tests.clients.protocol import Account, Registry
from tests.faults.invariants import Store
from tests.faults.uploads import random_content, resume
from tests.faults.webs import ArmedWeb
from tests.support.server import RunningServer

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.mark.parametrize(
    ("failpoint", "status"),
    [
        ("storage.write=enospc@2", 507),
        ("storage.sync=eio", 503),
    ],
)
def test_chunk_is_refused_and_sent_again(
    server: RunningServer,
    store: Store,
    registry: Registry,
    account: Account,
    repository: str,
    failpoint: str,
    status: int,
) -> None:
    content, digest = random_content(4_000_000)
    location = registry.start_upload(repository)
    assert registry.append(location, content[:1_000_000]).status == 202

    with ArmedWeb(server, failpoint) as web:
        refused = web.as_account(account).append(location, content[1_000_000:], start=1_000_000)

    assert refused.status == status, refused
    assert registry.upload_status(location).received == 1_000_000
    resume(registry, store, location, content, digest, acknowledged=1_000_000)
    assert registry.get_blob(repository, digest).body == content


@pytest.mark.parametrize(
    ("failpoint", "status_after"),
    [("storage.commit.synced=eio", 204), ("storage.commit.renamed=eio", 404)],
)
def test_closing_fails_and_nothing_is_visible(
    server: RunningServer,
    registry: Registry,
    account: Account,
    repository: str,
    failpoint: str,
    status_after: int,
) -> None:
    content, digest = random_content(1_000_000)
    location = registry.start_upload(repository)
    assert registry.append(location, content).status == 202

    with ArmedWeb(server, failpoint) as web:
        refused = web.as_account(account).finish(location, digest)

    assert refused.status == 503, refused
    assert registry.head_blob(repository, digest).status == 404
    # Bytes that the failure has cost are not counted any more.
    assert registry.upload_status(location).status == status_after
    # A new attempt from the start is always possible.
    assert registry.push_blob(repository, content) == digest
