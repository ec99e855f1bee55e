"""A server over a real socket, and a repository of its own for every test."""

from dataclasses import dataclass
from itertools import count

import pytest

from tests.clients.protocol import Account, Answer, Registry
from tests.support.server import ADMINISTRATOR, RunningServer

_NUMBERS = count(1)


@dataclass(frozen=True, slots=True)
class Place:
    """One repository, as somebody sees it who may do everything there."""

    registry: Registry
    name: str

    def request(self, method: str, path: str, **options: object) -> Answer:
        """Make a request below the repository: ``manifests/v1``, ``tags/list``."""
        return self.registry.request(method, f"/v2/{self.name}/{path}", **options)  # type: ignore[arg-type]

    def beside(self, name: str) -> "Place":
        """Return another repository of the same test."""
        return Place(self.registry, f"{self.name}-{name}")


@pytest.fixture(scope="session")
def registry(server: RunningServer) -> Registry:
    """The server as its administrator sees it."""
    return Registry(server.registry, Account(ADMINISTRATOR, server.admin_password))


@pytest.fixture
def place(registry: Registry) -> Place:
    """A repository that nothing was pushed to yet."""
    return Place(registry, f"library/conformance-{next(_NUMBERS)}")
