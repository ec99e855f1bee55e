"""Fixtures for every test; the services themselves start in tests/support/services.py."""

from collections.abc import Iterator

import pytest

from core.audit.buffer import BUFFER
from tests.support.server import RunningServer


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    """Let no buffered record, and no connection of its thread, outlive the test's database."""
    BUFFER.close()


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """A real server, shared by the tests of a session; they use projects of their own."""
    with RunningServer() as running:
        yield running
