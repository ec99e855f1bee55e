"""The power fails after every single change to the disk: what was acknowledged is there, whole.

One run of pushes is recorded by strace, answers and statements to the database included. For
each moment in it, and for each thing that a disk may make of unsynced writes, the storage is
put together again and compared with what had been promised until then.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from tests.clients.images import sha256
from tests.clients.protocol import Account, Registry
from tests.faults.invariants import Store
from tests.faults.power import Disk, Survival, moments
from tests.faults.strace import CHANGES, SENDS, Attached, SystemCall, need_strace
from tests.faults.uploads import random_content, upload_id_of
from tests.faults.webs import ArmedWeb
from tests.support.server import RunningServer

pytestmark = [pytest.mark.server, pytest.mark.slow]

PIECE = 40_000

MAKING_VISIBLE = (b"EXECUTE upload_commit_as_new", b"EXECUTE blob_share", b"UPDATE blobs_blob")
"""The statements through which a repository gets a blob."""


@dataclass(frozen=True, slots=True)
class Promise:
    """From a moment on, so many bytes of a content are under one of these names."""

    made_at: int
    names: tuple[str, ...]
    content: bytes
    why: str

    def is_broken(self, files: dict[str, bytes]) -> bool:
        """Say whether the files lack what was promised."""
        return not any(
            files.get(name, b"")[: len(self.content)] == self.content for name in self.names
        )


class Pushes:
    """The requests of the recorded run, and what each upload is made of."""

    def __init__(self, registry: Registry, repository: str) -> None:
        self.registry = registry
        self.repository = repository
        self.contents: dict[str, bytes] = {}

    def start(self, content: bytes) -> str:
        location = self.registry.start_upload(self.repository)
        self.contents[upload_id_of(location)] = content
        return location

    def in_chunks(self, size: int, pieces: int) -> None:
        """PATCH with Content-Range several times, then PUT without a body."""
        content, digest = random_content(size)
        location, step = self.start(content), -(-size // pieces)
        for start in range(0, size, step):
            answer = self.registry.append(location, content[start : start + step], start=start)
            assert answer.status == 202
        assert self.registry.finish(location, digest).status == 201

    def as_stream(self) -> None:
        """PATCH without a range, then PUT with the last bytes."""
        content, digest = random_content(3 * PIECE)
        location = self.start(content)
        assert self.registry.append(location, content[:PIECE]).status == 202
        assert self.registry.finish(location, digest, content[PIECE:]).status == 201

    def at_once(self, content: bytes | None = None) -> None:
        """PUT with everything."""
        content = content or random_content(2 * PIECE)[0]
        assert self.registry.finish(self.start(content), sha256(content), content).status == 201

    def in_one_request(self) -> None:
        """POST with everything."""
        content, digest = random_content(PIECE)
        self.contents[digest] = content
        path = f"/v2/{self.repository}/blobs/uploads/?digest={digest}"
        assert self.registry.request("POST", path, body=content).status == 201

    def with_a_chunk_refused(self) -> None:
        """A body shorter than its Content-Range is rolled back, then sent again."""
        content, digest = random_content(2 * PIECE)
        location = self.start(content)
        assert self.registry.append(location, content[:PIECE], start=0).status == 202
        headers = {"Content-Range": f"{PIECE}-{2 * PIECE - 1}"}
        short = self.registry.request(
            "PATCH", location, body=iter([content[PIECE : PIECE + 5_000]]), headers=headers
        )
        assert short.status in (400, 416), short
        assert self.registry.append(location, content[PIECE:], start=PIECE).status == 202
        assert self.registry.finish(location, digest).status == 201

    def cancelled(self) -> None:
        """An upload that its client gives up."""
        content, _ = random_content(PIECE)
        location = self.start(content)
        assert self.registry.append(location, content, start=0).status == 202
        assert self.registry.request("DELETE", location).status == 204


def key_of(upload_id: str) -> str:
    """Return folder and name of an upload's file below either area."""
    name = upload_id.replace("-", "")
    return f"{name[-2:]}/{name}"


def answers(calls: Sequence[SystemCall]) -> Iterator[tuple[int, int, dict[str, str]]]:
    """Return moment, status and headers of what the process answered, as soon as it left."""
    for call in calls:
        text = b"".join(call.strings)
        if call.name in ("write", "writev", "sendto", "sendmsg") and text.startswith(b"HTTP/1.1 "):
            first, *lines = text.partition(b"\r\n\r\n")[0].decode().split("\r\n")
            pairs = (line.split(": ", 1) for line in lines)
            yield call.began, int(first.split()[1]), {name.lower(): value for name, value in pairs}


def promises(
    calls: Sequence[SystemCall], contents: dict[str, bytes], keys: dict[str, str]
) -> Iterator[Promise]:
    """Return what the answers and the database statements of the run promise."""
    by_digest = {sha256(content): content for content in contents.values()}
    for moment, status, headers in answers(calls):
        if status == 202 and headers.get("range", "0-0") != "0-0":
            upload_id, size = headers["docker-upload-uuid"], int(headers["range"][2:]) + 1
            if upload_id not in keys:
                # Its client cancelled it.
                continue
            names = (f"uploads/{key_of(upload_id)}", f"blobs/{key_of(upload_id)}", keys[upload_id])
            why = f"202 for {size} bytes of {upload_id}"
            yield Promise(moment, names, contents[upload_id][:size], why)
        elif status == 201:
            digest = headers["docker-content-digest"]
            yield Promise(moment, (keys[digest],), by_digest[digest], f"201 for {digest}")
    yield from _promises_of_commits(calls, by_digest, keys)


def _promises_of_commits(
    calls: Sequence[SystemCall], by_digest: dict[str, bytes], keys: dict[str, str]
) -> Iterator[Promise]:
    """A row that PostgreSQL may have committed makes the blob visible, answered or not."""
    open_: dict[str, bytes] = {}
    for call in calls:
        text = b"".join(call.strings)
        if call.name not in ("sendto", "sendmsg") or not text.startswith((b"Q", b"P")):
            continue
        connection = call.arguments.partition("<")[0]
        if b"BEGIN" in text or connection in open_:
            open_[connection] = open_.get(connection, b"") + text
            if b"COMMIT" not in text and b"ROLLBACK" not in text:
                continue
        transaction = open_.pop(connection, text)
        if b"ROLLBACK" in text or not any(name in transaction for name in MAKING_VISIBLE):
            continue
        for digest, key in keys.items():
            if digest in by_digest and digest.partition(":")[2].encode() in transaction:
                yield Promise(call.began, (key,), by_digest[digest], f"COMMIT of {digest}")


def test_power_fails_after_every_change(
    server: RunningServer, store: Store, account: Account, repository: str
) -> None:
    need_strace()
    with ArmedWeb(server) as web:
        pushes = Pushes(web.as_account(account), repository)
        # What a process does for the first time only is no part of the run.
        pushes.at_once()
        disk = Disk.as_it_is(store.directory.root)
        with Attached(web.worker_pid(), trace=f"{CHANGES},{SENDS}") as strace:
            pushes.in_chunks(3 * PIECE, 3)
            pushes.as_stream()
            pushes.at_once()
            pushes.in_one_request()
            pushes.with_a_chunk_refused()
            pushes.cancelled()
            again, _ = random_content(PIECE)
            pushes.at_once(again)
            pushes.at_once(again)
            side_by_side = [
                threading.Thread(target=pushes.in_chunks, args=(4 * PIECE, 4)) for _ in range(2)
            ]
            for thread in side_by_side:
                thread.start()
            for thread in side_by_side:
                thread.join(60)
            calls = strace.calls()

    keys = final_keys(store, pushes.contents)
    promised = list(promises(calls, pushes.contents, keys))
    kinds = [promise.why.split()[0] for promise in promised]
    assert kinds.count("202") >= 12, kinds
    assert kinds.count("201") >= 8, kinds
    assert kinds.count("COMMIT") >= 7, kinds
    broken, points = [], 0
    for moment, call in moments(disk, calls):
        points += 1
        for survival in Survival:
            files = disk.survivors(survival)
            broken += [
                f"{promise.why} was promised; power lost after {call.name}, {survival}"
                for promise in promised
                if promise.made_at <= moment and promise.is_broken(files)
            ]
    assert not broken, "\n".join(broken[:20])
    assert points >= 60, points
    # The last state of the model is what really lies there: nothing was overlooked.
    assert disk.survivors(Survival.ALL) == files_below(store)


def final_keys(store: Store, contents: dict[str, bytes]) -> dict[str, str]:
    """Return where each content ended, by digest and by upload id."""
    rows = store.records.rows("SELECT digest, storage_key FROM blobs_blob")
    by_digest = {f"sha256:{bytes(digest)[1:].hex()}": key for digest, key in rows}
    return by_digest | {
        upload_id: by_digest[sha256(content)]
        for upload_id, content in contents.items()
        if sha256(content) in by_digest
    }


def files_below(store: Store) -> dict[str, bytes]:
    """Return every file of the storage."""
    root = store.directory.root.resolve()
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }
