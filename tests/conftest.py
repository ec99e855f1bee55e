"""Fixtures for every test; the services themselves start in tests/support/services.py."""

import threading
from collections.abc import Generator, Iterator

import hypothesis
import pytest
from django.test import TransactionTestCase

from core.audit import buffer
from core.system_settings import queries as system_settings
from tests.support import buffering
from tests.support.emptying import empty_database
from tests.support.server import RunningServer
from tests.support.threads import assert_none_goes_on

# A busy machine is no fault of the code: nothing in these tests depends on time.
hypothesis.settings.register_profile(
    "roadstead", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("roadstead")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    """Put files with slow tests first, after pytest-randomly has chosen the order of all.

    Many quick files at the end keep every process busy until the last moment.
    """
    yield
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Keep the flushing thread from writing beside a test's own transaction."""
    buffer.FLUSH_INTERVAL_SECONDS = 7_200 * buffering.FLUSH_INTERVAL_SECONDS
    # Settings are read once by each test, whatever its length, so that statements can be counted.
    system_settings.FRESH_SECONDS = 7_200.0


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    """Let no buffered record, and no connection of its thread, outlive the test's database."""
    buffer.BUFFER.forget()
    buffer.BUFFER.close()
    system_settings.forget()


@pytest.fixture(scope="session", autouse=True)
def quick_emptying() -> Iterator[None]:
    """Empty the database behind tests that commit without truncating every table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _: empty_database())
        yield


@pytest.fixture(scope="module", autouse=True)
def no_thread_goes_on() -> Iterator[None]:
    """Let no thread that a test has started work beside the tests of the next file."""
    before = frozenset(threading.enumerate())
    yield
    assert_none_goes_on(before)


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """A real server, shared by the tests of a session; they use projects of their own."""
    with RunningServer() as running:
        yield running
