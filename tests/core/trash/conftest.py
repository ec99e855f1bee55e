"""Fixtures of this feature's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from core.projects.models import Project
from tests.factories.artifacts import storage_in
from tests.factories.projects import make_project


@pytest.fixture(autouse=True)
def storage_root(tmp_path: Path, settings: Settings) -> Iterator[Path]:
    """A storage directory of the test's own."""
    with storage_in(tmp_path / "storage", settings) as root:
        yield root


@pytest.fixture
def project(db: None) -> Project:
    """A private project."""
    return make_project("team")
