"""Fixtures for every test; the services themselves start in tests/support/services.py."""

from collections.abc import Iterator

import pytest

from tests.support.server import RunningServer


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """A real server, shared by the tests of a session; they use projects of their own."""
    with RunningServer() as running:
        yield running
