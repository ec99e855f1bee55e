"""Run-time settings as clients of the registry feel them."""

from collections.abc import Iterator

import pytest

from core.artifacts.models import PullRecord
from core.audit.buffer import BUFFER
from core.audit.models import AuditEntry
from core.configurations.services import update_settings
from core.rbac.types import Actor
from core.robots.queries import login_name
from core.system_settings import queries
from core.system_settings.models import StoredSettings
from tests.factories.robots import make_robot
from tests.registry_api.asgi import Server
from tests.registry_api.cast import EMPTY_JSON, Client, sha256
from tests.registry_api.conftest import Place
from tests.registry_api.tokens import claims_of

pytestmark = pytest.mark.django_db


def change(**wanted: object) -> None:
    update_settings(wanted, actor=Actor.system())


@pytest.fixture(autouse=True)
def nothing_is_set(database: None) -> Iterator[None]:
    yield
    StoredSettings.objects.all().delete()
    queries.forget()


def test_tokens_last_as_long_as_is_set(server: Server, developer: Client, place: Place) -> None:
    made = make_robot("ci", project=place.project)
    robot, anybody = Client(server, login_name(made.robot), made.secret), Client(server)
    scope = f"repository:{place.name}:pull"
    for minutes in (2, 1440):
        change(token_expiration=minutes)
        # The first is answered by a thread, the next from memory.
        for client in (developer, robot, anybody, developer, robot, anybody):
            body = client.ask_token(scope).json()
            claims = claims_of(body["token"])
            assert body["expires_in"] == 60 * minutes == claims["exp"] - claims["iat"]


def test_robots_log_in_with_the_prefix_that_is_set(server: Server, place: Place) -> None:
    made = make_robot("ci", project=place.project)
    former = login_name(made.robot)
    assert Client(server, former, made.secret).ask_token().status == 200
    change(robot_name_prefix="bot$")
    name = f"bot${place.project.name}+ci"
    for _ in range(2):
        assert Client(server, former, made.secret).ask_token().status == 401
        answer = Client(server, name, made.secret).ask_token()
        assert answer.status == 200
        assert claims_of(answer.json()["token"])["rs_label"] == name


def test_read_only_mode(server: Server, owner: Client, guest: Client, place: Place) -> None:
    payload = owner.push_image(place.name, "v1")
    base = f"/v2/{place.name}"
    begun = owner.start_upload(place.name)
    change(read_only=True)
    token = owner.token(f"repository:{place.name}:pull,push,delete")
    data = b"new"
    for method, path, body in (
        ("POST", f"{base}/blobs/uploads/", b""),
        ("POST", f"{base}/blobs/uploads/?digest={sha256(data)}", data),
        ("PUT", f"{begun}?digest={sha256(data)}", data),
        ("PUT", f"{base}/manifests/v2", payload),
        ("DELETE", f"{base}/manifests/v1", b""),
        ("DELETE", f"{base}/manifests/{sha256(payload)}", b""),
    ):
        refused = owner.request(method, path, token=token, body=body)
        assert (refused.status, refused.codes) == (403, ["DENIED"]), (method, path, refused.body)
        assert b"read-only" in refused.body
    mount = f"{base}-copy/blobs/uploads/?mount={sha256(EMPTY_JSON)}&from={place.name}"
    mounting = owner.token(
        f"repository:{place.name}-copy:pull,push", f"repository:{place.name}:pull"
    )
    assert owner.request("POST", mount, token=mounting).status == 403
    assert guest.get(f"{base}/manifests/v1").body == payload
    assert guest.get(f"{base}/blobs/{sha256(EMPTY_JSON)}").status == 200
    change(read_only=False)
    owner.push_image(place.name, "v2")


def test_pulls_are_neither_counted_nor_recorded_where_that_is_set(
    owner: Client, guest: Client, place: Place
) -> None:
    owner.push_image(place.name, "v1")
    BUFFER.flush()

    def counts() -> tuple[int, int]:
        guest.get(f"/v2/{place.name}/manifests/v1")
        BUFFER.flush()
        recorded = AuditEntry.objects.filter(action="artifact.pulled").count()
        return PullRecord.objects.count(), recorded

    assert counts() == (1, 1)
    change(pull_count_update_disable=True)
    assert counts() == (1, 2)
    change(pull_audit_log_disable=True, pull_count_update_disable=False)
    assert counts() == (2, 2)
