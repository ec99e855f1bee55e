"""What a request costs in the database: committed numbers, so that nobody adds to them."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from django.db.backends.utils import CursorWrapper

from core.artifacts.lookups import SMALL_PAYLOAD_BYTES
from core.authn import registry_tokens
from core.authn.models import LoginFailure
from core.authn.services import create_personal_token
from core.common.secrets_format import new_secret
from core.database.asynchronous import Connections
from core.database.prepared import PreparedStatement
from core.moves.services import rename_project
from core.rbac.types import Actor
from core.robots.queries import login_name
from core.users.models import User
from tests.factories.robots import make_robot
from tests.factories.users import actor_of
from tests.registry_api.asgi import Server
from tests.registry_api.cast import EMPTY_JSON, Client, image_manifest, sha256
from tests.registry_api.conftest import Place

pytestmark = pytest.mark.django_db


@contextmanager
def statements() -> Iterator[list[str]]:
    """Gather what the registry sends to the database, from its event loop and its threads."""
    sent: list[str] = []
    execute, fetch_all = CursorWrapper.execute, Connections.fetch_all

    def counting(self: CursorWrapper, sql: str, params: Any = None) -> Any:
        if threading.current_thread().name.startswith("registry-"):
            sent.append(sql)
        return execute(self, sql, params)

    async def counting_too(
        self: Connections, statement: PreparedStatement, parameters: Sequence[Any]
    ) -> Any:
        sent.append(statement.sql)
        return await fetch_all(self, statement, parameters)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CursorWrapper, "execute", counting)
        patch.setattr(Connections, "fetch_all", counting_too)
        yield sent


@pytest.fixture
def pulled(developer: Client, guest: Client, place: Place) -> tuple[Client, Place, str, str]:
    """Somebody with a token, and an image to pull."""
    payload = developer.push_image(place.name, "v1")
    token = guest.token(f"repository:{place.name}:pull")
    # Opens the connections of the threads, which costs statements of its own.
    for _ in range(20):
        guest.request("GET", f"/v2/{place.name}/manifests/v1", token=token)
        guest.request("GET", f"/v2/{place.name}/blobs/{sha256(EMPTY_JSON)}", token=token)
    return guest, place, token, sha256(payload)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_manifest_costs_one_statement(
    pulled: tuple[Client, Place, str, str], method: str
) -> None:
    client, place, token, digest = pulled
    for reference in ("v1", digest):
        with statements() as sent:
            path = f"/v2/{place.name}/manifests/{reference}"
            assert client.request(method, path, token=token).status == 200
        assert len(sent) == 1, sent


def test_a_pull_by_a_former_name_costs_one_statement(
    developer: Client, guest: Client, place: Place
) -> None:
    digest = sha256(developer.push_image(place.name, "v1"))
    rename_project(place.project, f"{place.project.name}-new", actor=Actor.system())
    token = guest.token(f"repository:{place.name}:pull")
    for path in ("manifests/v1", f"manifests/{digest}", f"blobs/{sha256(EMPTY_JSON)}"):
        with statements() as sent:
            answer = guest.request("GET", f"/v2/{place.name}/{path}", token=token)
            assert answer.status == 200
        assert len(sent) == 1, sent


def test_a_cold_manifest_costs_two_statements(pulled: tuple[Client, Place, str, str]) -> None:
    client, place, token, _ = pulled
    registry_tokens.forget_verified()
    with statements() as sent:
        path = f"/v2/{place.name}/manifests/v1"
        assert client.request("GET", path, token=token).status == 200
    # The second is for the signing keys, once for each process and key.
    assert len(sent) == 2, sent


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_blob_costs_one_statement(pulled: tuple[Client, Place, str, str], method: str) -> None:
    client, place, token, _ = pulled
    with statements() as sent:
        path = f"/v2/{place.name}/blobs/{sha256(EMPTY_JSON)}"
        assert client.request(method, path, token=token).status == 200
    assert len(sent) == 1, sent


def test_a_large_manifest_costs_two_statements(
    developer: Client, guest: Client, place: Place
) -> None:
    annotations = {"text": "x" * SMALL_PAYLOAD_BYTES}
    payload = image_manifest(EMPTY_JSON, [], annotations=annotations)
    developer.push_blob(place.name, EMPTY_JSON)
    assert developer.put_manifest(place.name, "large", payload).status == 201
    token = guest.token(f"repository:{place.name}:pull")
    path = f"/v2/{place.name}/manifests/large"
    with statements() as sent:
        answer = guest.request("GET", path, token=token)
    assert (answer.status, answer.body) == (200, payload)
    # Many of them in one statement would hold much memory.
    assert len(sent) == 2, sent
    with statements() as sent:
        assert guest.request("HEAD", path, token=token).status == 200
    assert len(sent) == 1, sent


def test_a_push_or_delete_is_admitted_with_one_statement(
    pulled: tuple[Client, Place, str, str], owner: Client
) -> None:
    _, place, _, _ = pulled
    token = owner.token(f"repository:{place.name}:pull,push,delete")
    path = f"/v2/{place.name}/manifests/-"
    assert owner.request("DELETE", path, token=token).status == 400
    with statements() as sent:
        assert owner.request("DELETE", path, token=token).status == 400
    assert len(sent) == 1, sent


@pytest.mark.parametrize("path", ["tags/list", f"referrers/{sha256(b'x')}"])
def test_a_list_costs_two_statements(pulled: tuple[Client, Place, str, str], path: str) -> None:
    client, place, token, _ = pulled
    with statements() as sent:
        assert client.request("GET", f"/v2/{place.name}/{path}", token=token).status == 200
    assert len(sent) == 2, sent


def test_a_page_of_the_catalog_costs_two_statements(
    server: Server, administrator: Client, anonymous: Client, place: Place, public_place: Place
) -> None:
    # Who the caller is now, and the page with whether rights were withdrawn.
    administrator.push_image(place.name, "v1")
    named = {place.project.name: ["repository:pull"]}
    asking = [(administrator, 2), (anonymous, 1)]
    for owner, permissions, costs in (
        (place.project, named, 2),
        (None, {"*": ["repository:pull"]}, 2),
        # Whether the projects it names are still those that were meant.
        (None, named, 3),
    ):
        new = make_robot(f"reader-{len(asking)}", project=owner, permissions=permissions)
        asking.append((Client(server, login_name(new.robot), new.secret), costs))
    for client, costs in asking:
        token = client.token("registry:catalog:*")
        for _ in range(20):
            client.request("GET", "/v2/_catalog?n=1", token=token)
        with statements() as sent:
            answer = client.request("GET", "/v2/_catalog?n=1000", token=token)
        names = answer.json()["repositories"]
        assert (answer.status, place.name in names) == (200, client is not anonymous)
        assert len(sent) == costs, sent


def test_a_token_costs_one_statement(
    server: Server,
    administrator: Client,
    developer: Client,
    anonymous: Client,
    place: Place,
    public_place: Place,
) -> None:
    for each in (place, public_place):
        administrator.push_image(each.name, "v1")
    LoginFailure.objects.all().delete()
    new = make_robot(project=place.project)
    user = User.objects.get(username="developer")
    created = create_personal_token(
        user, name=place.project.name, scopes=["repository:pull"], actor=actor_of(user)
    )
    robot = Client(server, login_name(new.robot), new.secret)
    token = Client(server, "", created.secret)
    pull, pull_public = f"repository:{place.name}:pull", f"repository:{public_place.name}:pull"
    asking = ((robot, pull), (token, pull), (developer, pull), (anonymous, pull_public))
    for client, scope in asking:
        client.ask_token(scope)
        # First by names, then by what these led to.
        for _ in range(2):
            with statements() as sent:
                assert client.ask_token(scope).status == 200
            assert len(sent) == 1, sent
        goes_by_keys = "(SELECT xmin FROM projects_project WHERE id" in sent[0]
        assert goes_by_keys == (client is not anonymous)
        # Whether a name that is none of a repository was once one is asked apart, for tokens that
        # could be meant to push there.
        missing = scope.replace(":pull", "-missing:pull")
        client.ask_token(missing)
        for _ in range(2):
            with statements() as sent:
                assert client.ask_token(missing).status == 200
            assert len(sent) == (1 if client is anonymous else 2), sent


def test_only_who_has_proven_it_is_answered_by_what_is_remembered(
    server: Server, administrator: Client, place: Place
) -> None:
    """Being answered sooner would tell a stranger that robot and project exist."""
    administrator.push_image(place.name, "v1")
    new = make_robot(project=place.project)
    scope, name = f"repository:{place.name}:pull", login_name(new.robot)
    stranger = Client(server, name, new_secret("rob"))
    robot = Client(server, name, new.secret)
    for client in (stranger, robot, stranger):
        for _ in range(3):
            with statements() as sent:
                answer = client.ask_token(scope)
        assert answer.status == (200 if client is robot else 401)
        assert any("xmin FROM robots_robot WHERE id" in sql for sql in sent) == (client is robot)
        assert any("r.secret_hash" in sql for sql in sent) == (client is not robot)
