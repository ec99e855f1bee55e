"""Fixtures of the management API's own tests."""

from collections.abc import Iterator

import pytest
from pytest_django import DjangoDbBlocker

from tests.core.api.cast import Cast, make_cast
from tests.core.api.stage import Stage, set_stage


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


@pytest.fixture(scope="module")
def stage(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stage]:
    """Make everything once; each call of a test is taken back by itself."""
    with django_db_blocker.unblock(), set_stage(tmp_path_factory.mktemp("storage")) as made:
        yield made
