"""The real application on a real database, with a cast of people.

Requests are answered by threads with connections of their own, so nothing runs inside a
test's transaction. Each test works in projects of its own name; all rows go at the end of
the module.
"""

import gc
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from pytest_django import DjangoDbBlocker

from core.audit.buffer import BUFFER
from core.authn import registry_tokens
from core.authn.services import ensure_signing_key
from core.members.models import Membership, Role
from core.projects.models import Project
from core.rbac.roles import BUILT_IN_ROLE_IDS
from core.rbac.types import Actor
from core.storage.selection import default_driver
from core.users.models import User
from core.users.services import create_user
from registry_api.app import application
from registry_api.lookups import CONNECTIONS
from registry_api.threads import Work, executor
from tests.factories.members import make_member
from tests.factories.projects import make_project
from tests.registry_api.asgi import Server
from tests.registry_api.cast import Client

PASSWORD = "Correct-horse-9"
ROLES = {"owner": "projectAdmin", "developer": "developer", "guest": "guest"}
KEPT_TABLES = ("django_migrations", "django_content_type", "auth_permission", "members_role")

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Place:
    """A project in which owner, developer and guest have their roles, and a repository."""

    project: Project
    name: str

    @property
    def other(self) -> str:
        """A second repository of the same project."""
        return f"{self.project.name}/other"


@pytest.fixture
def _django_db_helper(database: None) -> None:
    """Replace the fixture of pytest-django that wraps each test in a transaction."""


@pytest.fixture(scope="module")
def database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Open the database to all threads, and empty it afterwards."""
    with django_db_blocker.unblock():
        for name, role_id in BUILT_IN_ROLE_IDS.items():
            Role.objects.get_or_create(id=role_id, defaults={"name": name, "permissions": None})
        registry_tokens.forget_verified()
        ensure_signing_key()
        yield
        BUFFER.close()
        for work in Work:
            executor(work).shutdown(wait=True)
        executor.cache_clear()
        # The threads' connections end with them, once their reference cycles are found.
        gc.collect()
        _empty_tables()
        registry_tokens.forget_verified()


def _empty_tables() -> None:
    tables = set(connection.introspection.table_names()) - set(KEPT_TABLES)
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(sorted(tables))}")
        # The built-in roles belong to the migrations.
        cursor.execute("DELETE FROM members_role WHERE permissions IS NOT NULL")


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A storage directory of the module's own."""
    former = settings.STORAGE_ROOT
    settings.STORAGE_ROOT = tmp_path_factory.mktemp("storage")
    default_driver.cache_clear()
    yield settings.STORAGE_ROOT
    settings.STORAGE_ROOT = former
    default_driver.cache_clear()


@pytest.fixture(scope="module")
def server(database: None, storage: Path) -> Iterator[Server]:
    """The application, answering in this process."""
    running = Server(application)
    yield running
    running.run(CONNECTIONS.close)
    running.close()


@pytest.fixture(scope="module")
def people(database: None) -> dict[str, User]:
    """Administrator, owner, developer, guest and outsider, each with a password."""
    return {
        name: create_user(
            name,
            password=PASSWORD,
            is_system_admin=name == "administrator",
            actor=Actor.system(),
        )
        for name in ("administrator", "owner", "developer", "guest", "outsider")
    }


@pytest.fixture
def clients(server: Server, people: dict[str, User]) -> dict[str, Client]:
    """A client for each of them, and one without credentials."""
    found = {name: Client(server, name, PASSWORD) for name in people}
    found["anonymous"] = Client(server)
    return found


@pytest.fixture
def developer(clients: dict[str, Client]) -> Client:
    """May pull and push."""
    return clients["developer"]


@pytest.fixture
def owner(clients: dict[str, Client]) -> Client:
    """May pull, push and delete."""
    return clients["owner"]


@pytest.fixture
def guest(clients: dict[str, Client]) -> Client:
    """May pull."""
    return clients["guest"]


@pytest.fixture
def outsider(clients: dict[str, Client]) -> Client:
    """Has an account and no role."""
    return clients["outsider"]


@pytest.fixture
def anonymous(clients: dict[str, Client]) -> Client:
    """Has no account."""
    return clients["anonymous"]


@pytest.fixture
def administrator(clients: dict[str, Client]) -> Client:
    """May do everything."""
    return clients["administrator"]


@pytest.fixture
def place(people: dict[str, User]) -> Place:
    """A private project of the test's own."""
    return new_place(people, is_public=False)


@pytest.fixture
def public_place(people: dict[str, User]) -> Place:
    """A public project of the test's own."""
    return new_place(people, is_public=True)


@pytest.fixture
def foreign_place(people: dict[str, User]) -> Place:
    """A private project in which nobody but the administrator has rights."""
    return new_place({}, is_public=False)


def new_place(people: dict[str, User], *, is_public: bool) -> Place:
    """Make a project with its members."""
    project = make_project(f"team{next(_numbers)}", is_public=is_public)
    for name, role in ROLES.items():
        if name in people:
            make_member(project, people[name], role)
    assert Membership.objects.filter(project=project).count() in (0, len(ROLES))
    return Place(project, f"{project.name}/app")
