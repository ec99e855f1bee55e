"""A server that the tests of faults may kill, and what they need around it."""

from collections.abc import Iterator

import pytest

from tests.clients.management import Management
from tests.clients.protocol import Account, ConnectionLost, Registry
from tests.faults.invariants import Store
from tests.faults.pulls import check_everything, forget_what_is_old
from tests.faults.sweeper import Sweeper
from tests.support.server import ADMINISTRATOR, PASSWORD, RunningServer


@pytest.fixture(scope="session")
def killable() -> Iterator[RunningServer]:
    """Return a server of these tests alone; each leaves it running."""
    with RunningServer() as running:
        yield running


@pytest.fixture(scope="session")
def account() -> Account:
    """Return the administrator, on whose behalf everything happens here."""
    return Account(ADMINISTRATOR, PASSWORD)


def is_running(server: RunningServer) -> bool:
    """Say whether a server answers; one that a test has brought down must start again."""
    try:
        return Registry(server.registry).request("GET", "/v2/").status == 401
    except ConnectionLost:
        return False


@pytest.fixture(scope="session")
def memory(killable: RunningServer) -> Store:
    """Return what sees the server's database and storage, and remembers them."""
    return Store(killable.data_dir)


@pytest.fixture(scope="session")
def sweeper(killable: RunningServer) -> Iterator[Sweeper]:
    """Return the housekeeping of the server."""
    with Sweeper(killable) as running:
        yield running


@pytest.fixture
def server(
    killable: RunningServer,
    memory: Store,
    sweeper: Sweeper,
    account: Account,
    request: pytest.FixtureRequest,
) -> Iterator[RunningServer]:
    """Return the server; afterwards nothing may be broken, and the sweeper leaves nothing."""
    yield killable
    if not is_running(killable):
        killable.stop()
        killable.start()
    check_everything(killable, memory, account)
    forget_what_is_old(killable, memory, account)
    removed = sweeper.sweep_everything()
    memory.assert_sound()
    memory.assert_nothing_leaked()
    # A crash leaves a row that names what to remove: no search through the storage.
    assert removed["strays"] == 0 or "database_forgets" in request.fixturenames


@pytest.fixture
def database_forgets() -> None:
    """Say that the database dies, and may take the rows of the newest uploads along (ADR 0011)."""


@pytest.fixture
def store(server: RunningServer, memory: Store) -> Store:
    """Return the server's database and storage."""
    return memory


@pytest.fixture
def registry(server: RunningServer, account: Account) -> Registry:
    """Return the registry as the administrator sees it."""
    return Registry(server.registry, account)


@pytest.fixture
def repository(server: RunningServer, account: Account) -> str:
    """Return the name of a repository that does not exist yet, in a new project."""
    return f"{Management(server.registry, account).create_project()}/thing"
