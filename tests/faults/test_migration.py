"""Content moves to another storage and back, is killed on the way, and nobody notices."""

import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.storage.s3.options import S3Options
from tests.clients.images import Image, make_image, make_layer
from tests.clients.management import Management
from tests.clients.protocol import Account, Registry
from tests.clients.records import Records
from tests.core.storage.s3_server import S3Server, options_for
from tests.faults.contents import Bucket, Contents, Directory
from tests.faults.invariants import Store
from tests.faults.pulls import check_everything
from tests.faults.sweeper import sweep_everything
from tests.support.server import RunningServer

pytestmark = [pytest.mark.server, pytest.mark.slow]

BEFORE = 8
LARGE_BYTES = 6 << 20
PUSHES = 30
"""In each direction, at most: all of them are pulled and compared in the end."""
PULL_PAUSE_SECONDS = 0.1
"""Between two pulls: dozens meet each step of a migration, which needs the processor itself."""

# Each migration dies once at either step, then goes on to its end.
DEATHS = ("move.copied=kill@3", "move.adopted=kill@2")


class Traffic:
    """People who push new images, a number of them, and pull any that are there."""

    def __init__(self, registry: Registry, repository: str) -> None:
        self._registry = registry
        self._repository = repository
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._tags: list[str] = []
        self.failures: list[BaseException] = []
        self.pulls = 0

    @property
    def tags(self) -> list[str]:
        """Every tag that was acknowledged."""
        with self._lock:
            return list(self._tags)

    def push(self, image: Image, tag: str) -> None:
        """Push one image, all of it acknowledged."""
        for content in (image.config, *(layer.content for layer in image.layers)):
            self._registry.push_blob(self._repository, content)
        answer = self._registry.push_manifest(self._repository, tag, image.manifest)
        assert answer.status == 201, answer
        with self._lock:
            self._tags.append(tag)

    def assert_listed(self) -> None:
        """Expect every acknowledged tag to be there, and no other."""
        listed = self._registry.request("GET", f"/v2/{self._repository}/tags/list").json["tags"]
        assert sorted(listed) == sorted(self.tags)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Push and pull from threads of their own until the block ends; any failure is raised."""
        threads = [threading.Thread(target=self._pushing), threading.Thread(target=self._pulling)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()
            self._stop.clear()
        assert self.failures == []

    def _pushing(self) -> None:
        for _ in range(PUSHES):
            if not self._is_done(lambda: self.push(make_image(), f"t{len(self.tags)}")):
                return

    def _pulling(self) -> None:
        choose = random.Random(len(self.tags))
        while self._is_done(lambda: self._pull(choose.choice(self.tags))):
            self._stop.wait(PULL_PAUSE_SECONDS)

    def _pull(self, tag: str) -> None:
        self._registry.verify(self._repository, tag)
        self.pulls += 1

    def _is_done(self, act: Callable[[], None]) -> bool:
        """Act, unless it is over; a failure ends it."""
        if self._stop.is_set():
            return False
        try:
            act()
        except BaseException as error:  # whatever it is, going_on fails with it
            self.failures.append(error)
            return False
        return True


@pytest.fixture
def s3() -> Iterator[S3Server]:
    server = S3Server()
    yield server
    server.stop()


def migrate(server: RunningServer, failpoints: str = "") -> int:
    """Run the command as an operator does and return its exit code."""
    armed = {"ROADSTEAD_FAILPOINTS": failpoints} if failpoints else {}
    done = subprocess.run(
        [sys.executable, "-m", "core.config.cli", "storage", "migrate", "--jobs", "2"],
        cwd="/",
        env=server.environment() | armed,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if not failpoints:
        assert done.returncode == 0, done.stdout + done.stderr
    return done.returncode


def in_directory(prefix: str, name: str, directory: Path) -> dict[str, str]:
    return {f"{prefix}storage_name": name, f"{prefix}storage_dir": str(directory)}


def in_bucket(prefix: str, name: str, options: S3Options) -> dict[str, str]:
    assert options.access_key_id is not None
    assert options.secret_access_key is not None
    return {
        f"{prefix}storage_name": name,
        f"{prefix}storage_url": f"s3://{options.bucket}/{options.prefix}",
        f"{prefix}s3_endpoint": str(options.endpoint_url),
        f"{prefix}s3_region": str(options.region),
        f"{prefix}s3_access_key_id": options.access_key_id,
        f"{prefix}s3_secret_access_key": options.secret_access_key,
        "storage_redirect": "false",
    }


def settled(server: RunningServer, source: str, target: str) -> None:
    """Let a day pass: nothing is left in the former storage, and all is sound."""
    records = Records(server.data_dir)
    rows = records.rows("SELECT store, count(*) FROM blobs_blob GROUP BY store")
    assert [store for store, _ in rows] == [target]
    records.change("UPDATE blobs_condemnedobject SET kept_until = clock_timestamp()")
    # Copies that broke off are condemned as well: there is nothing to search for.
    assert sweep_everything(server)["strays"] == 0
    assert records.value("SELECT count(*) FROM blobs_condemnedobject") == 0
    status = server.command("storage", "status").stdout
    (line,) = (line for line in status.splitlines() if f" {source} " in line)
    assert [cell.strip() for cell in line.strip("│ ").split("│")][2:] == ["0", "0 bytes", "0", "0"]


def test_content_moves_there_and_back_while_people_push_and_pull(
    tmp_path: Path, s3: S3Server, account: Account
) -> None:
    bucket = options_for(s3.url, s3.new_bucket())
    data_dir, directory = tmp_path / "data", tmp_path / "objects"
    with RunningServer(data_dir, **in_directory("", "main", directory)) as server:
        port = server.port
        project = Management(server.registry, account).create_project()
        traffic = Traffic(Registry(server.registry, account), f"{project}/app")
        for number in range(BEFORE):
            size = LARGE_BYTES if number % 4 == 0 else 4_096
            traffic.push(make_image(layers=[make_layer(size)]), f"before{number}")

    there = in_bucket("", "bucket", bucket) | in_directory("former_", "main", directory)
    back = in_directory("", "main", directory) | in_bucket("former_", "bucket", bucket)
    directions: tuple[tuple[str, str, dict[str, str], Contents], ...] = (
        ("main", "bucket", there, Bucket(s3.client(), bucket.bucket, bucket.prefix)),
        ("bucket", "main", back, Directory(directory)),
    )
    for source, target, settings, contents in directions:
        with RunningServer(data_dir, port=port, **settings) as server:
            with traffic.going_on():
                for death in DEATHS:
                    assert migrate(server, death) == -9
                checked = server.command("fsck", "--read-content")
                assert checked.returncode == 0, checked.stdout + checked.stderr
                migrate(server)
            settled(server, source, target)
            last = Store(data_dir, contents)
            traffic.assert_listed()
            check_everything(server, last, account)
            last.assert_nothing_leaked()
    assert [path for path in directory.rglob("uploads/*/*") if path.is_file()] == []
    assert traffic.pulls > 0
    assert len(traffic.tags) > BEFORE
