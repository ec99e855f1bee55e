"""A server whose bucket fails at every turn: pushes and pulls get through, nothing is lost.

What the driver makes of each single fault is tested in tests/core/storage/test_s3_faults.py,
links that are out of date and clocks that differ in test_s3_setup.py; here all of them meet
whole pushes and pulls, through a running server.
"""

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest

from tests.clients.images import make_image, make_layer
from tests.clients.management import Management
from tests.clients.protocol import Account, Registry
from tests.core.storage.s3_server import CREDENTIALS, FaultyProxy, S3Server
from tests.faults.contents import Bucket
from tests.faults.invariants import Store
from tests.faults.patience import Patience, PatientRegistry, at_once
from tests.faults.pulls import check_everything, forget_what_is_old
from tests.faults.storms import Storm
from tests.faults.sweeper import sweep_everything
from tests.faults.uploads import random_content
from tests.support.server import RunningServer, wait_until_ended

pytestmark = [pytest.mark.server, pytest.mark.slow]

PREFIX = "registry/"
PART_BYTES = 5 << 20
PUSHERS = 3

OPERATIONS = (
    "HeadObject",
    "PutObject",
    "CreateMultipartUpload",
    "UploadPart",
    "CompleteMultipartUpload",
    "GetObject",
    "DeleteObject",
)
"""What pushes and pulls ask of a bucket."""

CLAIMS_LAPSE = """
UPDATE blobs_upload SET locked_until = clock_timestamp() - interval '1 second'
 WHERE lock_token IS NOT NULL
"""


@dataclass(frozen=True)
class Place:
    """A server on a bucket, and the proxy between them."""

    server: RunningServer
    storm: Storm
    store: Store
    client: object
    bucket: str


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    s3 = S3Server()
    storm = Storm(seed=20)
    proxy = FaultyProxy(s3, script=storm)
    bucket = s3.new_bucket()
    variables = {
        "storage_url": f"s3://{bucket}/{PREFIX.strip('/')}",
        # Bytes come through the server, so that its own reading meets the storm too.
        "storage_redirect": "false",
        "s3_endpoint": proxy.url,
        "s3_region": "us-east-1",
        "s3_access_key_id": CREDENTIALS["access_key_id"],
        "s3_secret_access_key": CREDENTIALS["secret_access_key"],
    }
    try:
        with RunningServer(**variables) as server, closing(s3.client()) as client:
            store = Store(server.data_dir, Bucket(client, bucket, PREFIX))
            yield Place(server, storm, store, client, bucket)
    finally:
        proxy.stop()
        s3.stop()


def expect_everything(place: Place, account: Account) -> None:
    """Let the storm pass, then check, pull, sweep, and check again."""
    place.storm.share = 0.0
    check_everything(place.server, place.store, account)
    forget_what_is_old(place.server, place.store, account)
    sweep_everything(place.server)
    check_everything(place.server, place.store, account)
    place.store.assert_nothing_leaked()


def test_pushes_and_pulls_in_a_storm(place: Place, account: Account) -> None:
    repository = f"{Management(place.server.registry, account).create_project()}/thing"
    patience = Patience(120)
    patient = PatientRegistry(place.server.registry, account, patience)
    place.storm.share = 0.04

    def push(number: int) -> None:
        name = f"{repository}/{number}"
        for tag in ("1", "2"):
            image = make_image(layers=[make_layer(30_000), make_layer(200_000)])
            patient.push_image(name, tag, image)
        # Several parts of a multipart upload, and chunks that end in tails.
        content, digest = random_content(2 * PART_BYTES + 70_000)
        patient.push_blob(name, content, digest)
        content, digest = random_content(PART_BYTES + 90_000)
        patient.push_blob(name, content, digest, chunk_bytes=2_000_000)
        assert patient.get_blob(name, digest) == content

    at_once(4, push)

    assert not place.storm.missing(OPERATIONS)
    expect_everything(place, account)


def test_bucket_is_away(place: Place, account: Account) -> None:
    """Pushes and pulls of blobs wait; what needs no blob goes on; then all goes on."""
    registry = Registry(place.server.registry, account)
    repository = f"{Management(place.server.registry, account).create_project()}/thing"
    image = make_image()
    PatientRegistry(place.server.registry, account).push_image(repository, "1", image)
    content, digest = random_content(300_000)
    location = registry.start_upload(repository)
    assert registry.append(location, content[:100_000], start=0).status == 202
    other, other_digest = random_content(PART_BYTES + 100_000)
    closing = registry.start_upload(repository)
    assert registry.append(closing, other).status == 202

    place.storm.share = 1.0
    assert registry.digest_of(repository, "1") == image.digest
    assert registry.request("GET", f"/v2/{repository}/tags/list").status == 200
    for answer in (
        registry.append(location, content[100_000:], start=100_000),
        registry.get_blob(repository, image.layer_digests[0]),
        registry.finish(closing, other_digest),
    ):
        assert answer.status == 503, answer
        assert int(answer.headers["retry-after"]) >= 1
    assert registry.upload_status(location).received == 100_000

    place.storm.share = 0.0
    assert registry.append(location, content[100_000:], start=100_000).status == 202
    assert registry.finish(location, digest).status == 201
    assert registry.finish(closing, other_digest).status == 201
    expect_everything(place, account)


def test_objects_that_somebody_removed_or_cut(place: Place, account: Account) -> None:
    """Clients are never sent to wrong bytes, and a new push heals the blob."""
    registry = Registry(place.server.registry, account)
    repository = f"{Management(place.server.registry, account).create_project()}/thing"
    for damage in ("removed", "cut"):
        content, digest = random_content(300_000)
        registry.push_blob(repository, content)
        key = place.store.records.value(
            "SELECT storage_key FROM blobs_blob WHERE digest = %s",
            b"\x01" + bytes.fromhex(digest.removeprefix("sha256:")),
        )
        where = {"Bucket": place.bucket, "Key": f"{PREFIX}{key}"}
        if damage == "removed":
            place.client.delete_object(**where)  # type: ignore[attr-defined]
        else:
            place.client.put_object(**where, Body=content[:1_000])  # type: ignore[attr-defined]

        assert registry.get_blob(repository, digest).status == 500
        assert registry.head_blob(repository, digest).status == 404
        registry.push_blob(repository, content)
        assert registry.head_blob(repository, digest).status == 200
    expect_everything(place, account)


def test_the_server_dies_in_a_storm(place: Place, account: Account) -> None:
    """At three steps of pushes that are under way; each goes on where it was."""
    repository = f"{Management(place.server.registry, account).create_project()}/thing"
    patience = Patience(120)
    patient = PatientRegistry(place.server.registry, account, patience)
    place.storm.share = 0.04
    pushed: list[tuple[str, bytes, str]] = []
    is_over = threading.Event()

    def push(number: int) -> None:
        if number == PUSHERS:
            try:
                for operation in ("CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"):
                    kill_during(place, operation, patience)
            finally:
                is_over.set()
            return
        while len(pushed) < PUSHERS or not is_over.is_set():
            content, digest = random_content(PART_BYTES + 1_000_000)
            name = f"{repository}/{number}"
            patient.push_blob(name, content, digest, chunk_bytes=1_500_000)
            pushed.append((name, content, digest))

    at_once(PUSHERS + 1, push)
    for name, content, digest in pushed:
        assert patient.get_blob(name, digest) == content
    expect_everything(place, account)


def kill_during(place: Place, operation: str, patience: Patience) -> None:
    """Kill the web processes while one waits for the bucket; its client must notice."""
    with place.storm.holding(operation):
        before = patience.interruptions
        workers = place.server.web_workers()
        place.server.kill_web_processes()
        wait_until_ended(workers)
        # What the dead have claimed would be free after twenty seconds.
        place.store.records.change(CLAIMS_LAPSE)
    place.store.records.wait_until(lambda: patience.interruptions > before, timeout=60)
