"""What operators do, and what a disk does that fills up: stopping, reloading, running out."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.clients.images import make_image, make_layer
from tests.clients.management import Management
from tests.clients.protocol import Account, Answer, Registry
from tests.faults.invariants import Store
from tests.faults.load import Load
from tests.faults.patience import Patience, PatientRegistry
from tests.faults.pulls import check_everything
from tests.faults.slow_clients import SlowReaders, head
from tests.faults.sweeper import sweep_everything
from tests.faults.uploads import random_content, resume
from tests.faults.webs import ArmedWeb
from tests.support.server import RunningServer

pytestmark = [pytest.mark.server, pytest.mark.slow]

FIRST, ALL = 300_000, 3_000_000
DISK_BYTES = 400 << 20
GUARD_BYTES = 40 << 20


class TestStopping:
    def test_requests_in_flight_finish(
        self, server: RunningServer, store: Store, account: Account, repository: str
    ) -> None:
        """SIGTERM waits for a slow push and a slow pull; an open upload goes on after the start."""
        registry = Registry(server.registry, account)
        content, digest = random_content(ALL)
        pulled, pulled_digest = random_content(ALL)
        registry.push_blob(repository, pulled)
        later, later_digest = random_content(6_000_000)
        open_upload = registry.start_upload(repository)
        assert registry.append(open_upload, later[:5_000_000]).status == 202
        location = registry.start_upload(repository)
        answers: list[Answer] = []
        has_begun = threading.Event()

        def body() -> Iterator[bytes]:
            for number, start in enumerate(range(0, ALL, FIRST)):
                yield content[start : start + FIRST]
                if number == 2:
                    has_begun.set()
                time.sleep(0.2)

        push = threading.Thread(
            target=lambda: answers.append(registry.request("PATCH", location, body=body()))
        )
        request = head("GET", f"/v2/{repository}/blobs/{pulled_digest}", account)
        readers = SlowReaders(server.registry, request, 5)
        try:
            readers.read_slowly(seconds=0.5, bytes_per_second=50_000)
            push.start()
            assert has_begun.wait(60)

            os.kill(server.pid, signal.SIGTERM)
            assert set(readers.read_to_the_end(ALL)) == {pulled_digest}
            push.join(60)
        finally:
            readers.close()
        assert [answer.status for answer in answers] == [202]
        assert server.stop() == 0
        server.start()

        resume(registry, store, location, content, digest, acknowledged=ALL, at_once=True)
        resume(registry, store, open_upload, later, later_digest, acknowledged=5_000_000)

    def test_web_processes_are_replaced_under_load(
        self, server: RunningServer, account: Account, repository: str
    ) -> None:
        """By SIGHUP, as a reload does, and by kill -9, as a crash does."""
        with Load(server.registry, account, repository) as load:
            for _round in range(2):
                before = {worker.pid for worker in server.web_workers()}
                (parent,) = {worker.ppid() for worker in server.web_workers()}
                psutil.Process(parent).send_signal(signal.SIGHUP)
                load.wait_for_progress(6)
                server.kill_web_processes()
                load.wait_for_progress(6)
                assert not before & {worker.pid for worker in server.web_workers()}


def test_guard_refuses_uploads_only(
    server: RunningServer, store: Store, account: Account, repository: str
) -> None:
    """Below the free space that is kept: 507 for uploads, pulls and deletes go on."""
    registry = Registry(server.registry, account)
    patient = PatientRegistry(server.registry, account)
    patient.push_image(repository, "1", make_image())
    patient.push_image(repository, "2", make_image())
    content, digest = random_content(ALL)
    location = registry.start_upload(repository)
    assert registry.append(location, content[:FIRST]).status == 202

    with ArmedWeb(server, minimum_free_bytes=str(1 << 50)) as web:
        through = web.as_account(account)
        for refused in (
            through.request("POST", f"/v2/{repository}/blobs/uploads/", body=b""),
            through.append(location, content[FIRST:], start=FIRST),
            through.finish(location, digest),
        ):
            assert refused.status == 507, refused
        assert through.upload_status(location).received == FIRST
        through.verify(repository, "1")
        assert through.request("DELETE", f"/v2/{repository}/manifests/2").status == 202

    resume(registry, store, location, content, digest, acknowledged=FIRST)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a directory on a file system of its own that is soon full."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(directory: Path, *, leave_bytes: int) -> Path:
    """Take all space of the file system but so much; return the file that takes it."""
    ballast = directory / "ballast"
    figures = os.statvfs(directory)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, figures.f_bavail * figures.f_frsize - leave_bytes)
    return ballast


def test_disk_that_database_and_content_share_fills_up(small_disk: Path, account: Account) -> None:
    """With the guard everything but uploads goes on; without it nothing is lost either."""
    (small_disk / "data").mkdir()
    with RunningServer(small_disk / "data") as server:
        store = Store(server.data_dir)
        repository = f"{Management(server.registry, account).create_project()}/thing"
        patient = PatientRegistry(server.registry, account)
        patient.push_image(repository, "1", make_image(layers=[make_layer(FIRST)]))
        patient.push_image(repository, "2", make_image())

        with ArmedWeb(server, minimum_free_bytes=str(GUARD_BYTES)) as web:
            guarded = web.as_account(account)
            with upload_on_a_full_disk(small_disk, guarded, repository, GUARD_BYTES // 2) as where:
                assert guarded.upload_status(where).received == FIRST
                guarded.verify(repository, "1")
                assert guarded.request("DELETE", f"/v2/{repository}/manifests/2").status == 202
        with upload_on_a_full_disk(small_disk, patient.registry, repository, 1 << 20):
            pass

        check_everything(server, store, account)
        sweep_everything(server)
        check_everything(server, store, account)
        store.assert_nothing_leaked()


@contextmanager
def upload_on_a_full_disk(
    disk: Path, registry: Registry, repository: str, leave_bytes: int
) -> Iterator[str]:
    """Refuse a chunk of an upload for want of space; complete it when there is some again."""
    content, digest = random_content(ALL)
    location = registry.start_upload(repository)
    assert registry.append(location, content[:FIRST]).status == 202
    # Rows of unfinished uploads reach the disk a moment later (ADR 0011).
    time.sleep(1)
    ballast = fill(disk, leave_bytes=leave_bytes)
    refused = registry.append(location, content[FIRST:], start=FIRST)
    assert refused.status == 507, refused
    yield location
    ballast.unlink()
    rest = Patience().until(lambda: registry.append(location, content[FIRST:], start=FIRST), 202)
    assert rest.received == ALL
    assert registry.finish(location, digest).status == 201
    assert registry.get_blob(repository, digest).body == content
