"""What `roadstead import` prints, and how it ends."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from core.blobs.models import Blob
from core.common.clock import now
from core.imports.commands import app
from core.oci.digest import Digest
from tests.core.imports.sources import LAYER, Source
from tests.factories.projects import make_project

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("storage_root"),
]


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """A source with one image under two tags."""
    made = Source(tmp_path / "source")
    made.image("team/app", "v1", "v2")
    return made


def run(path: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["registry-dir", str(path), *options])


def test_it_says_what_was_done(source: Source) -> None:
    done = run(source.path, "--create-projects")
    assert done.exit_code == 0
    assert done.output.splitlines() == [
        "Took over 1 manifest and 2 tags of 1 repository; 0 manifests and 0 tags were here"
        " already.",
        "Blobs: 2 linked, 0 copied, 0 here already; 7 bytes verified.",
    ]


def test_a_dry_run_says_what_would_be_done(source: Source) -> None:
    make_project("team")
    would = run(source.path, "--dry-run")
    assert would.exit_code == 0
    assert would.output.startswith("Would take over 1 manifest and 2 tags of 1 repository;")


def test_it_says_what_was_healed(source: Source) -> None:
    run(source.path, "--create-projects")
    Blob.objects.filter(digest=Digest.of(LAYER).to_bytes()).update(damaged_at=now())
    assert "Would heal 1 damaged blob." in run(source.path, "--dry-run").output.splitlines()
    healed = run(source.path)
    assert healed.exit_code == 0
    assert healed.output.splitlines() == [
        "Took over 0 manifests and 0 tags of 1 repository; 1 manifest and 2 tags were here"
        " already.",
        "Healed 1 damaged blob.",
        "Blobs: 0 linked, 0 copied, 0 here already; 5 bytes verified.",
    ]


def test_what_is_left_out_is_listed_and_changes_the_status(source: Source) -> None:
    make_project("team")
    source.blob_file(Digest.of(LAYER)).unlink()
    done = run(source.path)
    assert done.exit_code == 3
    first, *_, last = done.output.splitlines()
    assert first.startswith("team/app@sha256:")
    assert first.endswith(f"Layer {Digest.of(LAYER)}: It is missing.")
    assert last == "Left out, for the reasons above: 3."


def test_a_wrong_directory_is_one_sentence(tmp_path: Path) -> None:
    refused = run(tmp_path)
    assert refused.exit_code == 1
    assert len(refused.stderr.splitlines()) == 1
