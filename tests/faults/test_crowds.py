"""Many clients at one moment at one thing: an upload, a blob, a tag, a mount, a repository."""

import itertools
import json
import os
import threading
from contextlib import suppress

import pytest

from tests.clients.images import make_image, make_index, make_layer, sha256
from tests.clients.protocol import Account, Answer, ConnectionLost, Registry
from tests.faults.invariants import Store
from tests.faults.patience import Patience, PatientRegistry, at_once, blobs_of, count_by_status
from tests.faults.uploads import random_content, upload_id_of
from tests.support.server import RunningServer

pytestmark = [pytest.mark.server, pytest.mark.slow]

CROWD = 50


def numbered_manifest(number: int) -> bytes:
    """Return one of many different manifests that need no content."""
    return json.dumps(json.loads(make_index({})) | {"annotations": {"n": str(number)}}).encode()


class TestOneUpload:
    def test_two_writers_at_one_offset(self, registry: Registry, repository: str) -> None:
        """Exactly one chunk counts each time; the other writer is told where the upload is."""
        location, content = registry.start_upload(repository), b""
        for _round in range(8):
            pieces = [os.urandom(250_000), os.urandom(200_000)]

            def append(who: int, start: int = len(content), both: list[bytes] = pieces) -> Answer:
                return registry.append(location, both[who], start=start)

            answers = at_once(2, append)
            statuses = [answer.status for answer in answers]
            assert sorted(statuses) in ([202, 416], [202, 503]), answers
            content += pieces[statuses.index(202)]
            assert registry.upload_status(location).received == len(content)
        digest = sha256(content)
        assert registry.finish(location, digest).status == 201
        assert registry.get_blob(repository, digest).body == content

    # The smaller ones are received before they are written, the larger ones while they come.
    @pytest.mark.parametrize("size", [700_000, 1_500_000])
    def test_two_streams(self, registry: Registry, repository: str, size: int) -> None:
        """Their bytes do not mix: whole pieces follow each other, and either may close it."""
        for _round in range(3):
            pieces = [os.urandom(size), os.urandom(size)]
            location = registry.start_upload(repository)

            def append(who: int, at: str = location, both: list[bytes] = pieces) -> Answer:
                return Patience(60).until(lambda: registry.append(at, both[who]), 202)

            ends = [answer.received for answer in at_once(2, append)]
            assert sorted(ends) == [size, 2 * size], ends
            content = pieces[ends.index(size)] + pieces[ends.index(2 * size)]
            digest = sha256(content)
            assert registry.finish(location, digest).status == 201
            assert registry.get_blob(repository, digest).body == content

    def test_two_closing_requests(self, registry: Registry, repository: str) -> None:
        for _round in range(5):
            content, digest = random_content(300_000)
            location = registry.start_upload(repository)
            assert registry.append(location, content).status == 202
            answers = at_once(2, lambda _, at=location, d=digest: registry.finish(at, d))  # type: ignore[misc]
            assert [answer.status for answer in answers] == [201, 201], answers
            assert registry.get_blob(repository, digest).body == content

    def test_cancelled_while_it_is_written(self, registry: Registry, repository: str) -> None:
        for _round in range(5):
            content, digest = random_content(1_000_000)
            location = registry.start_upload(repository)

            def act(number: int, at: str = location, data: bytes = content) -> Answer:
                if number:
                    return registry.request("DELETE", at)
                return registry.append(at, data)

            written, cancelled = at_once(2, act)
            assert cancelled.status == 204
            assert written.status in (202, 404, 503), written
            assert registry.upload_status(location).status == 404
            assert registry.finish(location, digest).status == 404


class TestOneBlob:
    @pytest.mark.parametrize("repositories", [1, CROWD])
    def test_fifty_uploads_at_once(
        self,
        store: Store,
        server: RunningServer,
        account: Account,
        repository: str,
        repositories: int,
    ) -> None:
        content, digest = random_content(200_000)
        patient = PatientRegistry(server.registry, account)

        at_once(
            CROWD,
            lambda n: patient.push_blob(f"{repository}/{n % repositories}", content, digest),
        )

        stored = b"\x01" + bytes.fromhex(digest.removeprefix("sha256:"))
        links = store.records.value(
            "SELECT count(*) FROM artifacts_repositoryblob l"
            " JOIN blobs_blob b ON b.id = l.blob_id WHERE b.digest = %s",
            stored,
        )
        assert links == repositories
        assert store.records.value("SELECT count(*) FROM blobs_blob WHERE digest = %s", stored) == 1

    def test_mount_racing_delete(self, registry: Registry, repository: str) -> None:
        """A mount that says 201 stands, whatever becomes of its source."""
        outcomes = []
        for number in range(12):
            content, digest = random_content(10_000)
            source, target = f"{repository}/source", f"{repository}/target{number}"
            registry.push_blob(source, content)

            def act(who: int, s: str = source, t: str = target, d: str = digest) -> Answer:
                if who:
                    return registry.request("DELETE", f"/v2/{s}/blobs/{d}")
                path = f"/v2/{t}/blobs/uploads/?mount={d}&from={s}"
                return registry.request("POST", path, body=b"")

            mounted, deleted = at_once(2, act)
            assert deleted.status == 202
            assert mounted.status in (201, 202), mounted
            outcomes.append(mounted.status)
            expected = 200 if mounted.status == 201 else 404
            assert registry.head_blob(target, digest).status == expected
            assert registry.head_blob(source, digest).status == 404
        assert outcomes

    def test_delete_racing_the_manifest_that_needs_it(
        self, registry: Registry, repository: str
    ) -> None:
        """Either the manifest stands with its blob, or neither was promised."""
        for number in range(8):
            image, name = make_image(layers=[make_layer(2_000)]), f"{repository}/{number}"
            for content, _digest in blobs_of(image):
                registry.push_blob(name, content)
            layer = image.layer_digests[0]

            def act(who: int, n: str = name, d: str = layer, m: bytes = image.manifest) -> Answer:
                if who:
                    return registry.request("DELETE", f"/v2/{n}/blobs/{d}")
                return registry.push_manifest(n, "1", m)

            pushed, deleted = at_once(2, act)
            assert (pushed.status, deleted.status) in ((201, 405), (400, 202)), (pushed, deleted)
            if pushed.status == 201:
                registry.verify(name, "1")


class TestOneTag:
    def test_fifty_manifests_at_once(
        self, store: Store, server: RunningServer, account: Account, repository: str
    ) -> None:
        patient = PatientRegistry(server.registry, account)
        manifests = [numbered_manifest(number) for number in range(CROWD)]

        at_once(CROWD, lambda n: patient.put_manifest(repository, "latest", manifests[n]))

        history = store.records.rows(
            "SELECT t.digest, t.started_at, t.ended_at FROM artifacts_tag t"
            " JOIN artifacts_repository r ON r.id = t.repository_id"
            " WHERE r.name = %s AND t.name = 'latest' ORDER BY t.id",
            repository,
        )
        digests = [f"sha256:{bytes(digest)[1:].hex()}" for digest, _, _ in history]
        # Each was asked for once or, after a busy answer, twice; each stands in the history.
        assert set(digests) == {sha256(manifest) for manifest in manifests}
        assert all(before[2] == after[1] for before, after in itertools.pairwise(history)), (
            "a gap in the history"
        )
        assert history[-1][2] is None
        assert patient.registry.digest_of(repository, "latest") == digests[-1]

    def test_delete_racing_push(self, registry: Registry, repository: str) -> None:
        """The tag is there with the pushed manifest, or not there; nothing in between."""
        statuses: list[tuple[int, int]] = []
        for number in range(12):
            old, new = numbered_manifest(2 * number), numbered_manifest(2 * number + 1)
            assert registry.push_manifest(repository, "moving", old).status == 201

            def act(who: int, payload: bytes = new) -> Answer:
                if who:
                    return registry.request("DELETE", f"/v2/{repository}/manifests/moving")
                return registry.push_manifest(repository, "moving", payload)

            pushed, deleted = at_once(2, act)
            assert pushed.status == 201, pushed
            assert deleted.status in (202, 404), deleted
            statuses.append((pushed.status, deleted.status))
            found = registry.head_manifest(repository, "moving")
            assert found.status in (200, 404)
            if found.status == 200:
                assert found.headers["docker-content-digest"] == sha256(new)
            assert registry.head_manifest(repository, sha256(new)).status == 200
        assert statuses

    def test_manifest_deleted_while_it_is_tagged(self, registry: Registry, repository: str) -> None:
        for number in range(8):
            payload = numbered_manifest(number)
            assert registry.push_manifest(repository, "first", payload).status == 201

            def act(who: int, payload: bytes = payload) -> Answer:
                if who:
                    return registry.request(
                        "DELETE", f"/v2/{repository}/manifests/{sha256(payload)}"
                    )
                return registry.push_manifest(repository, "second", payload)

            pushed, deleted = at_once(2, act)
            assert (pushed.status, deleted.status) == (201, 202), (pushed, deleted)
            by_tag = registry.head_manifest(repository, "second").status
            assert by_tag == registry.head_manifest(repository, sha256(payload)).status


def test_repository_deleted_while_it_is_pushed_to(
    registry: Registry, server: RunningServer, repository: str
) -> None:
    project, _, name = repository.partition("/")
    path = f"/api/v2.0/projects/{project}/repositories/{name}"
    stop = threading.Event()
    deletions: list[int] = []

    def delete_again_and_again() -> None:
        while not stop.is_set():
            deletions.append(registry.request("DELETE", path).status)

    deleter = threading.Thread(target=delete_again_and_again)
    deleter.start()
    answers: list[Answer] = []
    try:
        for number in range(40):
            image = make_image(layers=[make_layer(1_000)])
            for content, digest in blobs_of(image):
                location = registry.start_upload(repository)
                answers.append(registry.finish(location, digest, content))
            answers.append(registry.push_manifest(repository, f"t{number}", image.manifest))
    finally:
        stop.set()
        deleter.join(60)

    # A blob or the repository may be gone again when the manifest comes; nothing breaks.
    assert set(count_by_status(answers)) <= {201, 400, 404, 503}, count_by_status(answers)
    assert set(deletions) <= {200, 404}, deletions
    assert 200 in deletions


def test_uploads_are_fenced_by_their_ids(registry: Registry, repository: str) -> None:
    """What is no id of an upload is unknown, however long or strange it is (edge case 44)."""
    location = registry.start_upload(repository)
    own = upload_id_of(location)
    for strange in ("../x", "%2e%2e%2fx", own.upper() + "0", own[:-1], "x" * 7_000, "%00"):
        path = f"/v2/{repository}/blobs/uploads/{strange}"
        answer = registry.request("PATCH", path, body=b"data")
        assert answer.status in (400, 404, 414), (strange, answer)
    # So long that the server need not even read it to its end.
    with suppress(ConnectionLost):
        assert registry.request("PATCH", location + "x" * 1_000_000, body=b"").status == 414
    assert registry.append(location, b"data").status == 202
    assert registry.request("DELETE", location).status == 204


class TestOneLimit:
    @pytest.mark.parametrize("room", [0, 17])
    def test_so_many_pushes_succeed_as_fit(
        self, registry: Registry, store: Store, repository: str, room: int
    ) -> None:
        """Of fifty at one moment; those refused leave neither usage nor upload."""
        size = 20_000
        project = repository.partition("/")[0]
        management = f"/api/v2.0/projects/{project}"
        registry.push_blob(repository, b"in every project")
        used = registry.request("GET", f"{management}/summary").json["quota"]["used"]["storage"]
        (quota,) = registry.request(
            "GET", f"/api/v2.0/quotas?reference_id={project_id(registry, project)}"
        ).json
        limit = used + room * size + size // 2
        changed = registry.request(
            "PUT",
            f"/api/v2.0/quotas/{quota['id']}",
            body=json.dumps({"hard": {"storage": limit}}).encode(),
            headers={"Content-Type": "application/json"},
        )
        assert changed.status == 200, changed
        blobs = [random_content(size) for _ in range(CROWD)]
        locations = [registry.start_upload(f"{repository}/{n % 5}") for n in range(CROWD)]

        def push(number: int) -> Answer:
            content, digest = blobs[number]
            return registry.finish(locations[number], digest, content)

        answers = at_once(CROWD, push)

        assert count_by_status(answers) == {
            status: count for status, count in ((201, room), (403, CROWD - room)) if count
        }
        refused = [answer for answer in answers if answer.status == 403]
        assert {error["code"] for answer in refused for error in answer.json["errors"]} == {
            "DENIED"
        }
        assert "adding 19.5 KiB of storage resource" in refused[0].json["errors"][0]["message"]
        summary = registry.request("GET", f"{management}/summary").json
        assert summary["quota"]["used"]["storage"] == used + room * size <= limit
        kept = "SELECT count(*) FROM blobs_upload WHERE repository_name LIKE %s"
        assert store.records.value(kept, f"{repository}%") == room + 1
        for location, answer in zip(locations, answers, strict=True):
            if answer.status == 403:
                assert registry.upload_status(location).status == 404


def project_id(registry: Registry, project: str) -> int:
    number: int = registry.request("GET", f"/api/v2.0/projects/{project}").json["project_id"]
    return number
