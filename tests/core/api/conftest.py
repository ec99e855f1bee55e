"""Fixtures of the management API's own tests."""

from collections.abc import Iterator

import pytest

from tests.core.api.cast import Cast, played_cast


@pytest.fixture
def cast(db: None) -> Iterator[Cast]:
    yield from played_cast()
