"""Every system call of a push fails once: what was acknowledged is kept, nothing wrong is shown.

The errors come from the kernel's side of the call (see `tests.faults.strace`), also where no
failpoint is. A failed sync is never made good by a later one: its bytes count as not written.
"""

import json
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.storage.errors import UploadMissing
from core.storage.filesystem import FilesystemDriver
from core.storage.keys import key_for_upload
from tests.clients.protocol import Account, Answer
from tests.faults.invariants import Store
from tests.faults.one_push import CONTENT
from tests.faults.strace import CHANGES, Attached, need_strace, parse, run_with_fault
from tests.faults.uploads import random_content, resume, upload_id_of
from tests.faults.webs import ArmedWeb
from tests.support.server import REPOSITORY_ROOT, RunningServer

pytestmark = [pytest.mark.server, pytest.mark.slow]

FIRST, ALL = 300_000, 900_000
MAY_BE_IGNORED = {("close", "uploads"), ("close", "blobs")}
"""Folders that were listed: nothing was changed through what is closed there."""


def push_command(root: Path, key: str) -> list[str]:
    """Return the program that pushes once."""
    return [sys.executable, "-m", "tests.faults.one_push", str(root), key]


def calls_of_a_push(root: Path) -> list[tuple[str, int, str]]:
    """Return name, number and file of each call that a push makes below the root."""
    log = root.with_name("calls")
    strace = ["strace", "-f", "-y", "-xx", "-s", "300000", "-o", str(log)]
    strace += ["-e", f"trace={CHANGES},close"]
    key = key_for_upload(uuid.uuid4())
    for command in (push_command(root, key), [*strace, *push_command(root, key_of_next())]):
        subprocess.run(command, check=True, capture_output=True, cwd=REPOSITORY_ROOT)
    counts: Counter[str] = Counter()
    found = []
    for call in parse(log.read_text()):
        counts[call.name] += 1
        names = [call.file, *(name.decode(errors="replace") for name in call.strings[:2])]
        below = [name for name in names if name.startswith(f"{root}/")]
        if below:
            found.append((call.name, counts[call.name], below[0].removeprefix(f"{root}/")))
    return found


def key_of_next() -> str:
    """Return a key that nobody has."""
    return key_for_upload(uuid.uuid4())


def test_each_call_of_a_push_fails_once(tmp_path: Path) -> None:
    need_strace()
    root = tmp_path / "storage"
    calls = calls_of_a_push(root)
    assert {"openat", "pwrite64", "fdatasync", "fsync", "rename", "close"} <= {
        name for name, _, _ in calls
    }
    ignored = []
    for name, number, file in calls:
        for error in ("EIO", "ENOSPC", "EDQUOT") if name == "pwrite64" else ("EIO",):
            key = key_of_next()
            done = run_with_fault(
                push_command(root, key), inject=f"{name}:error={error}:when={number}"
            )
            where = f"{error} of {name} of {file}: {done.stdout}{done.stderr[-2000:]}"
            told = [json.loads(line) for line in done.stdout.splitlines()]
            assert told, where
            if told[-1][0] == "committed":
                ignored.append((name, file))
            else:
                # The first line comes when the storage is prepared.
                failed = "StorageFailed" if len(told) > 1 else "StorageMisconfigured"
                assert told[-1][0] == (failed if error == "EIO" else "StorageFull"), where
            expect_what_was_told(FilesystemDriver(root), key, told, where)
    assert set(ignored) <= MAY_BE_IGNORED, ignored


def expect_what_was_told(
    driver: FilesystemDriver, key: str, told: list[list[object]], where: str
) -> None:
    """Expect the blob to be whole or absent, and the upload to go on from what was acknowledged."""
    if driver.stat(key) is not None:
        assert content_of(driver, key) == CONTENT, where
    if told[-1][0] == "committed":
        assert driver.stat(key) == len(CONTENT), where
        return
    acknowledged = [line for line in told if isinstance(line[0], int)]
    size, state = acknowledged[-1] if acknowledged else (0, driver.start(key))
    assert isinstance(size, int)
    assert isinstance(state, dict)
    try:
        if size < len(CONTENT):
            writer = driver.open_writer(key, state, size)
            writer.write(CONTENT[size:])
            state = writer.sync(last=True)
            writer.close()
        driver.commit(key, state, len(CONTENT))
    except UploadMissing:
        # Only a failed commit may cost an upload, and then no blob is there.
        assert size == len(CONTENT), where
        assert driver.stat(key) is None, where
        return
    assert content_of(driver, key) == CONTENT, where


def content_of(driver: FilesystemDriver, key: str) -> bytes:
    reader = driver.open_blob(key)
    try:
        return reader.read(0, reader.size)
    finally:
        reader.close()


@pytest.mark.parametrize("error", ["ENOSPC", "EIO", "EDQUOT"])
def test_folders_that_cannot_be_made(tmp_path: Path, error: str) -> None:
    """The storage is refused in a sentence, and made complete by the next start."""
    need_strace()
    for name, number in (("mkdir", 1), ("mkdir", 2), ("mkdir", 300), ("fsync", 1), ("rename", 1)):
        root = tmp_path / f"{name}-{number}"
        done = run_with_fault(
            push_command(root, key_of_next()), inject=f"{name}:error={error}:when={number}"
        )
        assert json.loads(done.stdout.splitlines()[-1])[0] == "StorageMisconfigured", done
        driver, key = FilesystemDriver(root), key_of_next()
        driver.check()
        again = subprocess.run(
            push_command(root, key), capture_output=True, check=True, cwd=REPOSITORY_ROOT
        )
        assert b"committed" in again.stdout
        assert content_of(driver, key) == CONTENT


@pytest.fixture(scope="module")
def web(killable: RunningServer) -> Iterator[ArmedWeb]:
    """Return a web process that lives through all the faults below."""
    need_strace()
    with ArmedWeb(killable) as web:
        yield web


# Whether it is the first chunk, which needs the file's name on disk, or another one.
APPENDING = [
    ("openat:error=EIO", 503, False),
    ("openat:error=ENOSPC", 507, False),
    ("openat:error=EROFS", 503, False),
    ("openat:error=EMFILE", 503, False),
    ("pwrite64:error=ENOSPC", 507, False),
    ("pwrite64:error=EDQUOT", 507, False),
    ("pwrite64:error=EIO", 503, False),
    ("fdatasync:error=EIO", 503, False),
    ("fdatasync:error=ENOSPC", 507, False),
    ("fsync:error=EIO", 503, True),
    ("fsync:error=ENOSPC", 507, True),
]


@pytest.mark.parametrize(("inject", "status", "is_first"), APPENDING)
def test_chunk_meets_a_failing_call(
    server: RunningServer,
    store: Store,
    account: Account,
    repository: str,
    web: ArmedWeb,
    inject: str,
    status: int,
    *,
    is_first: bool,
) -> None:
    """The offset stays honest, the doubtful bytes go, and the same process takes them again."""
    through = web.as_account(account)
    content, digest = random_content(ALL)
    location = through.start_upload(repository)
    size = 0 if is_first else FIRST
    if size:
        assert through.append(location, content[:size], start=0).status == 202
    key = key_for_upload(uuid.UUID(upload_id_of(location)))
    file = store.directory.unfinished_file(key)
    broken = file.parent if is_first else file

    with Attached(
        web.worker_pid(), trace=inject.partition(":")[0], inject=inject, paths=[broken]
    ) as strace:
        answer = through.append(location, content[size:], start=size)
        assert strace.injected >= 1

    assert_refused(answer, status)
    assert through.upload_status(location).received == size
    assert file.stat().st_size == size, "bytes that no sync made safe were left to be believed"
    resume(through, store, location, content, digest, acknowledged=size)
    assert through.get_blob(repository, digest).body == content


FINISHING = [
    ("rename:error=EIO", 503, True),
    ("rename:error=ENOSPC", 507, True),
    ("rename:error=EDQUOT", 507, True),
    ("fsync:error=EIO", 503, False),
]


@pytest.mark.parametrize(("inject", "status", "is_kept"), FINISHING)
def test_closing_meets_a_failing_call(
    server: RunningServer,
    store: Store,
    account: Account,
    repository: str,
    web: ArmedWeb,
    inject: str,
    status: int,
    *,
    is_kept: bool,
) -> None:
    """No blob appears; the upload goes on, or is gone when the failure has cost its bytes."""
    through = web.as_account(account)
    content, digest = random_content(ALL)
    location = through.start_upload(repository)
    assert through.append(location, content).status == 202

    with Attached(web.worker_pid(), trace=inject.partition(":")[0], inject=inject) as strace:
        answer = through.finish(location, digest)
        assert strace.injected >= 1

    assert_refused(answer, status)
    assert through.head_blob(repository, digest).status == 404
    assert through.upload_status(location).status == (204 if is_kept else 404)
    if is_kept:
        resume(through, store, location, content, digest, acknowledged=ALL)
    else:
        assert through.push_blob(repository, content) == digest
    assert through.get_blob(repository, digest).body == content


def assert_refused(answer: Answer, status: int) -> None:
    """Expect an honest refusal; one that asks to come again says when."""
    assert answer.status == status, answer
    assert answer.json["errors"][0]["code"] == "UNAVAILABLE"
    assert status != 503 or int(answer.headers["retry-after"]) >= 1
