"""`roadstead import` beside a running server, from a directory that the Go registry has made."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.protocol import Account, Registry
from tests.conformance.content import DataSet
from tests.core.imports.reference import PROGRAM, ReferenceRegistry, is_installed
from tests.faults.invariants import Store
from tests.support.server import ADMINISTRATOR, RunningServer

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(not is_installed(), reason=f"{PROGRAM} is not installed"),
]

REPOSITORIES = ("team/app", "team/deep/er", "plain")
ALL = ("--create-projects", "--project", "library")


class Origin:
    """What was pushed to the reference registry, and where it lies."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "registry"
        self.made = DataSet()
        with ReferenceRegistry(directory) as running:
            self._fill(running.registry)

    def _fill(self, registry: Registry) -> None:
        subject = self.made.image("v1")
        self.made.index([subject, self.made.image()], "multi")
        self.made.artifact("report", subject=subject)
        for repository in REPOSITORIES:
            for content in self.made.blobs:
                registry.push_blob(repository, content)
            for manifest in self.made.manifests:
                reference = manifest.tag or manifest.digest
                answer = registry.push_manifest(repository, reference, manifest.payload)
                assert answer.status == 201, answer
                assert answer.headers["docker-content-digest"] == manifest.digest

    def assert_pullable(self, server: RunningServer) -> None:
        """Expect every manifest, blob, tag and referrer under the same digests."""
        registry = Registry(server.registry, Account(ADMINISTRATOR, server.admin_password))
        for repository in ("team/app", "team/deep/er", "library/plain"):
            for manifest in self.made.manifests:
                for reference in filter(None, (manifest.digest, manifest.tag)):
                    assert registry.digest_of(repository, reference) == manifest.digest
                    registry.verify(repository, reference)
            tags = registry.request("GET", f"/v2/{repository}/tags/list").json["tags"]
            assert tags == ["multi", "report", "v1"]
            subject = self.made.manifests[0].digest
            referrers = registry.request("GET", f"/v2/{repository}/referrers/{subject}").json
            assert [item["digest"] for item in referrers["manifests"]] == [
                self.made.manifests[-1].digest
            ]


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Origin:
    """A directory that the reference registry has left; tests only read it."""
    return Origin(tmp_path_factory.mktemp("reference"))


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[RunningServer]:
    """A server that holds nothing."""
    with RunningServer(tmp_path / "data") as running:
        yield running


def inodes(directory: Path) -> set[tuple[int, int]]:
    """Return what files there are, whatever their names."""
    files = (path.stat() for path in directory.rglob("*") if path.is_file())
    return {(facts.st_dev, facts.st_ino) for facts in files}


def run(server: RunningServer, origin: Origin, *options: str) -> "subprocess.CompletedProcess[str]":
    return server.command("import", "registry-dir", str(origin.directory), *options)


def test_migration(fresh: RunningServer, origin: Origin) -> None:
    store = Store(fresh.data_dir)
    would = run(fresh, origin, "--dry-run", *ALL)
    assert (would.returncode, would.stderr) == (0, "")
    assert "Would take over 12 manifests and 9 tags of 3 repositories" in would.stdout
    assert store.records.rows("SELECT count(*) FROM artifacts_repository") == [(0,)]
    done = run(fresh, origin, *ALL)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Took over 12 manifests and 9 tags of 3 repositories" in done.stdout
    origin.assert_pullable(fresh)
    store.assert_sound()
    store.assert_nothing_leaked()
    assert inodes(fresh.data_dir / "storage" / "blobs") < inodes(origin.directory)
    again = run(fresh, origin, *ALL)
    assert "Took over 0 manifests and 0 tags of 3 repositories; 12 manifests and 9" in again.stdout
    store.assert_sound()


def test_an_import_that_is_killed_again_and_again_goes_on(
    fresh: RunningServer, origin: Origin
) -> None:
    store = Store(fresh.data_dir)
    for failpoint in (
        "upload.started=kill@2",
        "storage.adopt.linked=kill@2",
        "upload.commit.before_transaction=kill@2",
        "upload.commit.in_transaction=kill@2",
        "upload.commit.after_transaction=kill@2",
    ):
        assert run_until_killed(fresh, origin, failpoint) == -signal.SIGKILL, failpoint
        store.assert_sound()
    done = run(fresh, origin, *ALL)
    assert (done.returncode, done.stderr) == (0, "")
    origin.assert_pullable(fresh)
    store.assert_sound()
    assert store.records.rows("SELECT count(*) FROM artifacts_manifest") == [(12,)]


def run_until_killed(server: RunningServer, origin: Origin, failpoint: str) -> int:
    command = ("-m", "core.config.cli", "import", "registry-dir", str(origin.directory), *ALL)
    return subprocess.run(
        [sys.executable, *command],
        cwd="/",
        env=server.environment() | {"ROADSTEAD_FAILPOINTS": failpoint},
        capture_output=True,
        timeout=60,
        check=False,
    ).returncode


def test_broken_content_is_listed_and_the_status_says_so(
    fresh: RunningServer, origin: Origin, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(origin.directory, broken)
    layer = origin.made.manifests[1].document["layers"][0]["digest"].partition(":")[2]
    blob = broken / "docker/registry/v2/blobs/sha256" / layer[:2] / layer / "data"
    blob.unlink()
    os.symlink("/etc/passwd", blob)
    for options in (("--dry-run", *ALL), ALL):
        outcome = fresh.command("import", "registry-dir", str(broken), *options)
        assert outcome.returncode == 3, outcome
        assert "Symbolic links are not followed." in outcome.stdout
        assert "manifests and 9 tags of 3 repositories" in outcome.stdout
    refused = fresh.command("import", "registry-dir", str(tmp_path))
    assert refused.returncode == 1
    assert "is not the storage directory of a registry" in refused.stderr
