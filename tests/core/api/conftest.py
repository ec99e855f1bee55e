"""Fixtures of the management API's own tests."""

import pytest

from tests.core.api.cast import Cast, make_cast


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()
