"""kill -9 while a manifest is stored: its tags move with it, all of them or none."""

import pytest

from tests.clients.images import Image, make_image
from tests.clients.protocol import Account, Answer, ConnectionLost, Registry
from tests.faults.invariants import Store
from tests.faults.patience import blobs_of
from tests.faults.webs import ArmedWeb
from tests.support.server import RunningServer

pytestmark = [pytest.mark.server, pytest.mark.slow]

TAGS = ("latest", "stable")


def push_with_tags(registry: Registry, repository: str, image: Image) -> Answer:
    """Push a manifest by its digest, with both tags."""
    query = "&".join(f"tag={tag}" for tag in TAGS)
    return registry.push_manifest(repository, f"{image.digest}?{query}", image.manifest)


@pytest.mark.parametrize(
    ("failpoint", "is_stored"),
    [("manifest.push.in_transaction=kill", False), ("manifest.push.after_transaction=kill", True)],
)
def test_manifest_and_its_tags_are_stored_together(
    server: RunningServer,
    store: Store,
    registry: Registry,
    account: Account,
    repository: str,
    failpoint: str,
    *,
    is_stored: bool,
) -> None:
    before, after = make_image(), make_image()
    for content, _digest in (*blobs_of(before), *blobs_of(after)):
        registry.push_blob(repository, content)
    assert push_with_tags(registry, repository, before).status == 201

    with ArmedWeb(server, failpoint) as web, pytest.raises(ConnectionLost):
        push_with_tags(web.as_account(account), repository, after)

    store.assert_sound()
    assert registry.head_manifest(repository, after.digest).status == (200 if is_stored else 404)
    expected = after if is_stored else before
    assert [registry.digest_of(repository, tag) for tag in TAGS] == [expected.digest] * 2
    # The client that lost its answer asks again, and nothing is done twice.
    assert push_with_tags(registry, repository, after).status == 201
    for tag in TAGS:
        registry.verify(repository, tag)
        assert registry.digest_of(repository, tag) == after.digest
    changes = store.records.value(
        "SELECT count(*) FROM artifacts_tag t JOIN artifacts_repository r"
        " ON r.id = t.repository_id WHERE r.name = %s",
        repository,
    )
    assert changes == 2 * len(TAGS)
