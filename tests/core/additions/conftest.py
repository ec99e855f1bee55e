"""A cast on a storage of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from core.storage.selection import default_driver
from tests.core.api.cast import Cast, make_cast


@pytest.fixture
def cast(db: None, tmp_path: Path, settings: Settings) -> Iterator[Cast]:
    settings.STORAGE_ROOT = tmp_path
    default_driver.cache_clear()
    yield make_cast()
    default_driver.cache_clear()
