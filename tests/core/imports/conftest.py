"""Fixtures of this feature's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from tests.factories.artifacts import storage_in


@pytest.fixture
def storage_root(tmp_path: Path, settings: Settings) -> Iterator[Path]:
    """A storage directory of the test's own."""
    with storage_in(tmp_path / "storage", settings) as root:
        yield root
