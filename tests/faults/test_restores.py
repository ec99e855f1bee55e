"""A database that was restored from an older copy, beside newer storage: nothing is removed."""

import shutil
from pathlib import Path

import pytest

from tests.clients.images import make_image, make_layer
from tests.clients.management import Management
from tests.clients.protocol import Account, Registry
from tests.faults.invariants import Store
from tests.faults.patience import PatientRegistry
from tests.faults.pulls import check_everything
from tests.faults.sweeper import Sweeper
from tests.faults.uploads import random_content
from tests.support.server import RunningServer

pytestmark = [pytest.mark.server, pytest.mark.slow]

FIRST = 300_000
SUSPICIOUS = 101
"""So many objects without a row are no leftovers of crashes any more."""


def test_older_database_beside_newer_storage(tmp_path: Path, account: Account) -> None:
    server = RunningServer(tmp_path / "data")
    database, copy = server.data_dir / "postgresql", tmp_path / "copy"
    with server:
        repository = f"{Management(server.registry, account).create_project()}/thing"
        registry = Registry(server.registry, account)
        patient = PatientRegistry(server.registry, account)
        kept, forgotten = make_image(layers=[make_layer(FIRST)]), make_image()
        patient.push_image(repository, "kept", kept)
        content, digest = random_content(2 * FIRST)
        location = registry.start_upload(repository)
        assert registry.append(location, content[:FIRST], start=0).status == 202
        server.stop()
        shutil.copytree(database, copy)

        server.start()
        patient.push_image(repository, "kept", forgotten)
        patient.push_image(repository, "forgotten", forgotten)
        assert registry.append(location, content[FIRST:], start=FIRST).status == 202
        assert registry.finish(location, digest).status == 201
        for number in range(SUSPICIOUS):
            registry.push_blob(repository, b"forgotten %d" % number)
        server.stop()
        shutil.rmtree(database)
        shutil.move(copy, database)

        server.start()
        store = Store(server.data_dir)
        check_everything(server, store, account)
        assert registry.digest_of(repository, "kept") == kept.digest
        assert registry.head_manifest(repository, "forgotten").status == 404
        expect_refusal_to_remove(server, store)
        # The upload has become an object since the copy was made; it is not continued as a file.
        assert registry.append(location, content[FIRST:], start=FIRST).status in (404, 416)
        assert registry.push_blob(repository, content) == digest
        patient.push_image(repository, "forgotten", forgotten)
        check_everything(server, store, account)


def expect_refusal_to_remove(server: RunningServer, store: Store) -> None:
    """What no row knows is reported at once, and stays even when it is old enough to go."""
    before = store.directory.finished()
    reported = server.command("fsck")
    assert reported.returncode == 1, reported.stdout + reported.stderr
    assert "No row knows a large part of a storage" in reported.stdout
    with Sweeper(server) as sweeper:
        swept = sweeper.sweep_beside_pushes(abandoned_seconds=3_600)
    assert swept["refused"] > SUSPICIOUS
    assert store.directory.finished() == before
