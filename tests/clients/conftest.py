"""The server all client tests share, and the clients that work here."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex
from tempfile import gettempdir

import pytest

from tests.clients.containers import ContainersClient
from tests.clients.docker import Docker
from tests.clients.machines import NAMES, Client, ClientUnusable
from tests.clients.management import Management, unique
from tests.clients.programs import Machine
from tests.clients.protocol import Account, Registry
from tests.clients.records import Records
from tests.clients.skopeo import Skopeo
from tests.support.server import ADMINISTRATOR, PASSWORD, RunningServer


class Clients:
    """The clients of a session, each made when it is first asked for."""

    def __init__(self, directory: Path) -> None:
        """Give every client a machine below a directory."""
        self._directory = directory
        self._made: dict[str, Client] = {}
        self._unusable: dict[str, str] = {}

    def get(self, name: str) -> Client:
        """Return a client without credentials and images; skip the test if there is none."""
        if name in self._unusable:
            pytest.skip(self._unusable[name])
        if name not in self._made:
            self._make(name)
        client = self._made[name]
        client.log_out()
        client.clear()
        return client

    def close(self) -> None:
        """End what the clients run in the background."""
        docker = self._made.get("docker")
        if isinstance(docker, Docker):
            docker.close()

    def _make(self, name: str) -> None:
        try:
            if shutil.which(name) is None:
                raise ClientUnusable(f"{name} is not installed")
            # With or without buildx, docker builds in the daemon.
            machine = Machine(self._directory / name, DOCKER_BUILDKIT="0")
            if name == "skopeo":
                self._made[name] = Skopeo(machine)
            elif name == "docker":
                self._made[name] = Docker(machine)
            else:
                self._made[name] = ContainersClient(name, machine)
        except (ClientUnusable, subprocess.TimeoutExpired) as error:
            self._unusable[name] = str(error)
            pytest.skip(str(error))


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """Return the server that all client tests share."""
    with RunningServer() as running:
        yield running


def _directory_that_is_a_name() -> Path:
    """Make a directory whose path can be a repository name.

    podman and buildah name what they read from an OCI layout after its path, so no part of it may
    end in `_`, as those of `mkdtemp` do at times.
    """
    directory = Path(gettempdir()) / f"roadstead-clients-{token_hex(4)}"
    directory.mkdir(mode=0o700)
    return directory


@pytest.fixture(scope="session")
def clients() -> Iterator[Clients]:
    """Return the clients of this session."""
    directory = _directory_that_is_a_name()
    made = Clients(directory)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(params=NAMES)
def client(request: pytest.FixtureRequest, clients: Clients) -> Client:
    """Return each client in turn, with empty stores."""
    return clients.get(request.param)


@pytest.fixture
def skopeo(clients: Clients) -> Skopeo:
    """Return skopeo."""
    made = clients.get("skopeo")
    assert isinstance(made, Skopeo)
    return made


@pytest.fixture(params=["podman", "buildah"])
def containers(request: pytest.FixtureRequest, clients: Clients) -> ContainersClient:
    """Return podman, then buildah."""
    made = clients.get(request.param)
    assert isinstance(made, ContainersClient)
    return made


@pytest.fixture
def docker(clients: Clients) -> Docker:
    """Return docker."""
    made = clients.get("docker")
    assert isinstance(made, Docker)
    return made


@pytest.fixture(params=["podman", "buildah", "docker"])
def builder(request: pytest.FixtureRequest, clients: Clients) -> ContainersClient | Docker:
    """Return each client that builds images."""
    made = clients.get(request.param)
    assert isinstance(made, ContainersClient | Docker)
    return made


@pytest.fixture(scope="session")
def administrator() -> Account:
    """Return the first administrator."""
    return Account(ADMINISTRATOR, PASSWORD)


@pytest.fixture(scope="session")
def management(server: RunningServer, administrator: Account) -> Management:
    """Return the management API as the administrator uses it."""
    return Management(server.registry, administrator)


@pytest.fixture(scope="session")
def registry(server: RunningServer, administrator: Account) -> Registry:
    """Return the registry as the administrator sees it."""
    return Registry(server.registry, administrator)


@pytest.fixture(scope="session")
def records(server: RunningServer) -> Records:
    """Return the server's database."""
    return Records(server.data_dir)


@pytest.fixture(autouse=True)
def _forgiven(records: Records) -> None:
    """Forget refused logins: all tests come from one address, and their sum is no attack."""
    records.change("DELETE FROM authn_loginfailure")


@pytest.fixture
def project(management: Management) -> str:
    """Return a new private project."""
    return management.create_project()


@pytest.fixture
def public_project(management: Management) -> str:
    """Return a new public project."""
    return management.create_project(is_public=True)


@pytest.fixture
def developer(management: Management, project: str) -> Account:
    """Return somebody who may push to the project."""
    return management.create_member(project, "developer")


@pytest.fixture
def place(server: RunningServer, project: str) -> Callable[[str], str]:
    """Return what makes a reference in the project: place("1.0") is unused until then."""
    repository = unique("repository")

    def in_project(tag: str) -> str:
        return f"{server.registry}/{project}/{repository}:{tag}"

    return in_project
