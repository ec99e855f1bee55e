"""Edge cases 47, 99 and 101 to 103: what tokens and credentials allow."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta

import jwt
import pytest
import time_machine
from django.conf import settings

from core.artifacts.models import Repository
from core.artifacts.services.repositories import delete_repository
from core.audit.buffer import BUFFER
from core.audit.models import AuditEntry
from core.authn import registry_tokens
from core.authn.services import create_personal_token, revoke_personal_token
from core.common.clock import now
from core.grants.services import grant_repository
from core.members.models import Membership
from core.members.services import remove_member
from core.projects.services import create_project, delete_project, update_project
from core.rbac.types import Actor
from core.robots.queries import login_name
from core.system_settings import queries as system_settings
from core.users.models import User
from core.users.services import create_user, set_active
from tests.factories.members import actor_of, make_group, make_member
from tests.factories.robots import make_robot
from tests.registry_api.asgi import HOST, Server
from tests.registry_api.cast import Client, basic, challenge_of, image_manifest, sha256
from tests.registry_api.conftest import PASSWORD, Place
from tests.registry_api.tokens import (
    access_of,
    assert_invalid_token,
    bearer,
    claims_of,
    with_changes,
)

pytestmark = pytest.mark.django_db


# --- What tokens allow ------------------------------------------------------------


def test_edge_99_token_for_another_repository(
    server: Server, developer: Client, place: Place
) -> None:
    developer.push_image(place.name, "v1")
    token = developer.token(f"repository:{place.other}:pull,push")
    answer = bearer(server, "GET", f"/v2/{place.name}/manifests/v1", token)
    assert answer.status == 401
    assert challenge_of(answer)["error"] == "insufficient_scope"
    assert challenge_of(answer)["scope"] == f"repository:{place.name}:pull"


def test_edge_99_pull_token_used_to_push(server: Server, developer: Client, place: Place) -> None:
    token = developer.token(f"repository:{place.name}:pull")
    answer = bearer(server, "POST", f"/v2/{place.name}/blobs/uploads/", token)
    assert answer.status == 401
    assert challenge_of(answer)["scope"] == f"repository:{place.name}:pull,push"


def encoded(value: object) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def forged_tokens(server: Server, token: str) -> Iterator[tuple[str, str]]:
    header, claims = jwt.get_unverified_header(token), claims_of(token)
    payload = token.split(".")[1]
    yield "no signature", f"{encoded({**header, 'alg': 'none'})}.{payload}."
    key = server.request("GET", "/service/token/jwks").body
    signed = f"{encoded({**header, 'alg': 'HS256'})}.{payload}"
    mac = hmac.new(key, signed.encode(), hashlib.sha256).digest()
    yield "HS256 with the public key", f"{signed}.{encoded(mac)}"
    parts = token.split(".")
    yield "unknown key", f"{encoded({**header, 'kid': 'unknown'})}.{parts[1]}.{parts[2]}"
    yield "changed claims", f"{parts[0]}.{encoded({**claims, 'sub': 'user:1'})}.{parts[2]}"
    yield "cut off", token[:-4]
    yield "not a token", "x.y.z"
    yield "personal token as bearer", "rsd_pat_" + "x" * 36


def test_edge_99_forged_tokens(server: Server, developer: Client, place: Place) -> None:
    developer.push_image(place.name, "v1")
    token = developer.token(f"repository:{place.name}:pull")
    path = f"/v2/{place.name}/manifests/v1"
    assert bearer(server, "GET", path, token).status == 200
    for name, forged in forged_tokens(server, token):
        answer = bearer(server, "GET", path, forged)
        assert answer.status == 401, name
        assert challenge_of(answer)["error"] == "invalid_token", name


def test_edge_99_token_for_another_service(server: Server, developer: Client) -> None:
    token = developer.token()
    answer = server.request(
        "GET", "/v2/", headers={"Authorization": f"Bearer {token}", "Host": "other.test"}
    )
    assert_invalid_token(answer)


def test_edge_99_expired_token(server: Server, developer: Client, place: Place) -> None:
    developer.push_image(place.name, "v1")
    token = developer.token(f"repository:{place.name}:pull")
    path = f"/v2/{place.name}/manifests/v1"
    with time_machine.travel(now() + timedelta(hours=1), tick=False):
        assert_invalid_token(bearer(server, "GET", path, token))


def test_edge_47_token_expires_during_an_upload(
    server: Server, developer: Client, owner: Client, place: Place
) -> None:
    scope = f"repository:{place.name}:pull,push"
    mine, foreign = developer.token(scope), owner.token(scope)
    location = developer.start_upload(place.name)
    with time_machine.travel(now() + timedelta(hours=1), tick=False):
        assert_invalid_token(bearer(server, "POST", f"/v2/{place.name}/blobs/uploads/", mine))
        assert_invalid_token(bearer(server, "GET", f"/v2/{place.name}/manifests/v1", mine))
        for method in ("GET", "DELETE", "PATCH"):
            assert_invalid_token(bearer(server, method, location, foreign))
        sent = developer.request("PATCH", location, body=b"data", token=mine)
        assert sent.status == 202
        assert bearer(server, "GET", location, mine).status == 204
        closing = f"{location}?digest={sha256(b'data')}"
        # The second time for a client that lost the first answer.
        assert bearer(server, "PUT", closing, mine).status == 201
        assert bearer(server, "PUT", closing, mine).status == 201
        assert_invalid_token(bearer(server, "PUT", closing, foreign))
    with time_machine.travel(now() + timedelta(hours=26), tick=False):
        assert_invalid_token(bearer(server, "GET", location, mine))


def test_edge_47_no_grace_after_revocation(
    server: Server, people: dict[str, User], place: Place
) -> None:
    user = create_user("leaving", password=PASSWORD, actor=Actor.system())
    make_member(place.project, user, "developer")
    client = Client(server, "leaving", PASSWORD)
    location = client.start_upload(place.name)
    token = client.token(f"repository:{place.name}:pull,push")
    set_active(user, False, actor=Actor.system())
    with time_machine.travel(now() + timedelta(hours=1), tick=False):
        assert_invalid_token(bearer(server, "PATCH", location, token))


def test_edge_47_no_grace_for_a_robot_that_has_ended(server: Server, place: Place) -> None:
    made = make_robot("ending", project=place.project, duration_days=1)
    robot = Client(server, login_name(made.robot), made.secret)
    location = robot.start_upload(place.name)
    token = robot.token(f"repository:{place.name}:pull,push")
    with time_machine.travel(now() + timedelta(hours=23), tick=False):
        assert bearer(server, "GET", location, token).status == 204
    with time_machine.travel(now() + timedelta(hours=24, minutes=1), tick=False):
        assert_invalid_token(bearer(server, "GET", location, token))


def test_edge_47_no_grace_for_a_personal_token_that_has_ended(
    server: Server, people: dict[str, User], place: Place
) -> None:
    user = people["developer"]
    made = create_personal_token(
        user,
        name="ending",
        scopes=["repository:pull", "repository:push"],
        expires_at=now() + timedelta(minutes=30),
        actor=actor_of(user),
    )
    client = Client(server, "developer", made.secret)
    location = client.start_upload(place.name)
    token = client.token(f"repository:{place.name}:pull,push")
    with time_machine.travel(now() + timedelta(minutes=25), tick=False):
        assert bearer(server, "GET", location, token).status == 204
    with time_machine.travel(now() + timedelta(minutes=35), tick=False):
        assert_invalid_token(bearer(server, "GET", location, token))


def test_revoked_tokens_end_at_once(server: Server, people: dict[str, User], place: Place) -> None:
    user = create_user("member-for-a-while", password=PASSWORD, actor=Actor.system())
    membership = make_member(place.project, user, "developer")
    client = Client(server, "member-for-a-while", PASSWORD)
    client.push_image(place.name, "v1")
    token = client.token(f"repository:{place.name}:pull,push")
    paths = [f"/v2/{place.name}/manifests/v1", f"/v2/{place.name}/blobs/{sha256(b'{}')}"]
    paths += [f"/v2/{place.name}/tags/list", "/v2/", "/v2/_catalog"]
    assert [bearer(server, "GET", path, token).status for path in paths] == [200] * 5
    remove_member(Membership.objects.get(pk=membership.pk), actor=Actor.system())
    for path in paths:
        assert_invalid_token(bearer(server, "GET", path, token))
    renewed = client.token(f"repository:{place.name}:pull")
    assert bearer(server, "GET", paths[0], renewed).status == 403


def test_personal_tokens(server: Server, people: dict[str, User], place: Place) -> None:
    user = people["developer"]
    made = create_personal_token(
        user,
        name=f"pull only {place.name}",
        scopes=["repository:pull"],
        project_names=[place.project.name],
        actor=actor_of(user),
    )
    client = Client(server, "developer", made.secret)
    scope = f"repository:{place.name}:pull,push"
    answer = client.ask_token(scope)
    assert access_of(answer) == {place.name: {"pull"}}
    token = answer.json()["token"]
    path = f"/v2/{place.name}/blobs/uploads/"
    assert bearer(server, "POST", path, token).status == 403
    with_basic = server.request("POST", path, headers={"Authorization": client.basic})
    assert with_basic.status == 403
    revoke_personal_token(made.token, actor=actor_of(user))
    assert client.ask_token(scope).status == 401
    assert_invalid_token(bearer(server, "GET", "/v2/", token))


# --- Refusals that end ------------------------------------------------------------


def test_edge_101_anonymous_pull_and_push(
    server: Server, developer: Client, anonymous: Client, public_place: Place
) -> None:
    payload = developer.push_image(public_place.name, "v1")
    path = f"/v2/{public_place.name}/manifests/v1"
    challenged = server.request("GET", path)
    assert challenged.status == 401
    token = anonymous.token(challenge_of(challenged)["scope"])
    assert claims_of(token)["sub"] == ""
    assert bearer(server, "GET", path, token).body == payload
    upload = f"/v2/{public_place.name}/blobs/uploads/"
    assert server.request("POST", upload).status == 401
    assert bearer(server, "POST", upload, token).status == 401
    push = anonymous.token(f"repository:{public_place.name}:pull,push")
    denied = bearer(server, "POST", upload, push)
    assert (denied.status, denied.codes) == (403, ["DENIED"])
    assert bearer(server, "GET", path, push).status == 200


def test_edge_101_guest_push_is_denied_and_audited(
    server: Server, guest: Client, place: Place
) -> None:
    path = f"/v2/{place.name}/blobs/uploads/"
    answer = guest.post(path, b"")
    assert (answer.status, answer.codes) == (403, ["DENIED"])
    manifest = guest.put_manifest(place.name, "v1", image_manifest(b"", []))
    assert manifest.status == 403
    deleted = guest.delete(f"/v2/{place.name}/manifests/v1")
    assert deleted.status == 403
    BUFFER.flush()
    entries = AuditEntry.objects.filter(target_label=place.name, outcome="denied")
    assert {entry.action for entry in entries} == {"artifact.pushed", "artifact.deleted"}
    assert {entry.actor_label for entry in entries} == {"guest"}


def test_developer_may_not_delete(developer: Client, place: Place) -> None:
    developer.push_image(place.name, "v1")
    answer = developer.delete(f"/v2/{place.name}/manifests/v1")
    assert (answer.status, answer.codes) == (403, ["DENIED"])


def test_project_made_private_ends_anonymous_pulls(
    server: Server, developer: Client, anonymous: Client, public_place: Place
) -> None:
    developer.push_image(public_place.name, "v1")
    path = f"/v2/{public_place.name}/manifests/v1"
    token = anonymous.token(f"repository:{public_place.name}:pull")
    assert bearer(server, "GET", path, token).status == 200
    update_project(public_place.project, is_public=False, actor=Actor.system())
    assert_invalid_token(bearer(server, "GET", path, token))
    renewed = anonymous.token(f"repository:{public_place.name}:pull")
    assert bearer(server, "GET", path, renewed).status == 403


def test_project_made_private_ends_pulls_of_outsiders_with_a_token(
    server: Server, developer: Client, outsider: Client, public_place: Place
) -> None:
    payload = developer.push_image(public_place.name, "v1")
    path = f"/v2/{public_place.name}/manifests/v1"
    scope = f"repository:{public_place.name}:pull"
    former, outsiders = developer.token(scope), outsider.token(scope)
    assert bearer(server, "GET", path, outsiders).status == 200
    update_project(public_place.project, is_public=False, actor=Actor.system())
    blob = f"/v2/{public_place.name}/blobs/{sha256(b'{}')}"
    for reference in (path, blob, path.replace("v1", sha256(payload))):
        for method in ("GET", "HEAD"):
            assert_invalid_token(bearer(server, method, reference, outsiders))
    assert_invalid_token(bearer(server, "GET", f"/v2/{public_place.name}/tags/list", outsiders))
    assert bearer(server, "GET", path, outsider.token(scope)).status == 403
    # Members go on after one challenge.
    assert_invalid_token(bearer(server, "GET", path, former))
    renewed = developer.token(scope)
    assert bearer(server, "GET", path, renewed).status == 200
    update_project(public_place.project, is_public=True, actor=Actor.system())
    assert bearer(server, "GET", path, renewed).status == 200
    # What was withdrawn stays so.
    for token in (former, outsiders):
        assert_invalid_token(bearer(server, "GET", path, token))


def test_project_made_again_under_its_name(
    server: Server, developer: Client, administrator: Client, place: Place
) -> None:
    developer.push_image(place.name, "v1")
    token = developer.token(f"repository:{place.name}:pull,push")
    delete_repository(place.name, actor=Actor.system())
    delete_project(place.project, actor=Actor.system())
    create_project(place.project.name, actor=Actor.system())
    administrator.push_image(place.name, "secret")
    assert_invalid_token(bearer(server, "GET", f"/v2/{place.name}/manifests/secret", token))
    assert_invalid_token(bearer(server, "POST", f"/v2/{place.name}/blobs/uploads/", token))


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_edge_102_private_looks_like_missing(
    server: Server, outsider: Client, administrator: Client, place: Place, method: str
) -> None:
    administrator.push_image(place.name, "v1")
    names = [place.name, f"{place.project.name}/missing", "missing-project/app"]
    answers = []
    for name in names:
        token = outsider.token(f"repository:{name}:pull,push,delete")
        path = f"/v2/{name}/manifests/v1"
        answers.append(outsider.request(method, path, token=token, body=None))
        headers = {"Authorization": outsider.basic}
        answers.append(server.request(method, path, headers=headers))
    assert {answer.status for answer in answers} == {403}
    assert len({answer.body for answer in answers}) == 1
    kept = [{k: v for k, v in answer.headers.items() if k != "x-request-id"} for answer in answers]
    assert all(headers == kept[0] for headers in kept)


def test_edge_102_with_the_right_a_missing_repository_is_missing(
    developer: Client, place: Place
) -> None:
    answer = developer.get(f"/v2/{place.project.name}/missing/manifests/v1")
    assert (answer.status, answer.codes) == (404, ["NAME_UNKNOWN"])


def test_administrator_and_a_missing_project(administrator: Client) -> None:
    for answer in (
        administrator.get("/v2/missing-project/app/manifests/v1"),
        administrator.post("/v2/missing-project/app/blobs/uploads/", b""),
    ):
        assert (answer.status, answer.codes) == (404, ["NAME_UNKNOWN"])


# --- Basic on /v2 -----------------------------------------------------------------


def test_edge_103_basic_with_unusual_secrets(server: Server, place: Place) -> None:
    password = "Colon:and-\u00fcmlaut:9"
    user = create_user("unusual", password=password, actor=Actor.system())
    make_member(place.project, user, "developer")
    headers = {"Authorization": basic("unusual", password)}
    assert server.request("GET", "/v2/", headers=headers).status == 200
    pushed = server.request(
        "POST",
        f"/v2/{place.name}/blobs/uploads/?digest={sha256(b'data')}",
        headers=headers,
        body=b"data",
    )
    assert pushed.status == 201
    assert server.request("GET", f"/v2/{place.name}/tags/list", headers=headers).status == 200
    assert server.request("GET", "/v2/_catalog", headers=headers).status == 200
    wrong = server.request("GET", "/v2/", headers={"Authorization": basic("unusual", "Colon")})
    assert wrong.status == 401
    assert challenge_of(wrong)["realm"] == f"http://{HOST}/service/token"


@pytest.mark.parametrize("prefix", ["robot-", "robot$"])
def test_edge_103_robots(
    server: Server, place: Place, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    auth = with_changes(settings.ROADSTEAD.auth, robot_name_prefix=prefix)
    monkeypatch.setattr(settings, "ROADSTEAD", with_changes(settings.ROADSTEAD, auth=auth))
    system_settings.forget()
    made = make_robot("ci", project=place.project)
    name = login_name(made.robot)
    assert name == f"{prefix}{place.project.name}+ci"
    headers = {"Authorization": basic(name, made.secret)}
    assert server.request("GET", "/v2/", headers=headers).status == 200
    robot = Client(server, name, made.secret)
    payload = robot.push_image(place.name, "v1")
    assert robot.get(f"/v2/{place.name}/manifests/v1").body == payload
    assert robot.delete(f"/v2/{place.name}/manifests/v1").status == 403


def test_expired_robot(server: Server, place: Place) -> None:
    made = make_robot("short", project=place.project, duration_days=1)
    robot = Client(server, login_name(made.robot), made.secret)
    location = robot.start_upload(place.name)
    token = robot.token(f"repository:{place.name}:pull,push")
    with time_machine.travel(now() + timedelta(days=2), tick=False):
        assert robot.ask_token().status == 401
        headers = {"Authorization": robot.basic}
        assert server.request("GET", "/v2/", headers=headers).status == 401
        assert_invalid_token(bearer(server, "GET", location, token))


def test_tokens_survive_key_rotation(server: Server, developer: Client, place: Place) -> None:
    token = developer.token(f"repository:{place.name}:pull")
    registry_tokens.forget_verified()
    answer = bearer(server, "GET", f"/v2/{place.name}/manifests/v1", token)
    assert (answer.status, answer.codes) == (404, ["NAME_UNKNOWN"])


@pytest.mark.parametrize("through_group", [False, True])
def test_tokens_from_a_grant_end_with_the_repository(
    server: Server, outsider: Client, administrator: Client, place: Place, through_group: bool
) -> None:
    user = User.objects.get(username="outsider")
    group = make_group("readers", user) if through_group else None
    administrator.push_image(place.name, "v1")
    grant_repository(
        Repository.objects.get(name=place.name),
        user=None if through_group else user,
        group=group,
        permission="pull",
        actor=Actor.system(),
    )
    token = outsider.token(f"repository:{place.name}:pull")
    path = f"/v2/{place.name}/manifests/v1"
    assert bearer(server, "GET", path, token).status == 200
    delete_repository(place.name, actor=Actor.system())
    administrator.push_image(place.name, "v1")
    assert_invalid_token(bearer(server, "GET", path, token))
