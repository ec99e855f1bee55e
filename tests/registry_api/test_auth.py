"""Edge cases 47 and 98 to 103: challenges, tokens and what they allow."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlencode

import jwt
import pytest
import time_machine
from django.conf import settings

from core.artifacts.services.repositories import delete_repository
from core.audit.buffer import BUFFER
from core.audit.models import AuditEntry
from core.authn import registry_tokens
from core.authn.models import LoginFailure, RefreshToken
from core.authn.services import create_personal_token, revoke_personal_token
from core.common.clock import now
from core.members.models import Membership
from core.members.services import remove_member
from core.projects.services import create_project, delete_project, update_project
from core.rbac.types import Actor
from core.robots.queries import login_name
from core.users.models import User
from core.users.services import create_user, set_active, set_password
from tests.factories.members import actor_of, make_member
from tests.factories.robots import make_robot
from tests.registry_api.asgi import HOST, Answer, Server
from tests.registry_api.cast import Client, basic, challenge_of, image_manifest, sha256
from tests.registry_api.conftest import PASSWORD, Place

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_earlier_failures(database: None) -> None:
    """Wrong passwords of one test do not throttle the next."""
    LoginFailure.objects.all().delete()


def post_token(server: Server, *extra: tuple[str, str], **fields: str) -> Answer:
    return server.request(
        "POST",
        "/service/token",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        body=urlencode([*fields.items(), *extra]).encode(),
    )


def claims_of(token: str) -> dict[str, object]:
    claims: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    return claims


def access_of(answer: Answer) -> dict[str, set[str]]:
    """Return what a token answer grants: name to actions."""
    assert answer.status == 200, answer.body
    access = claims_of(answer.json()["access_token"])["access"]
    assert isinstance(access, list)
    return {e["name"]: set(e["actions"]) for e in access if e["type"] != "denied"}


def bearer(server: Server, method: str, path: str, token: str) -> Answer:
    return server.request(method, path, headers={"Authorization": f"Bearer {token}"})


def assert_invalid_token(answer: Answer) -> None:
    assert answer.status == 401
    assert challenge_of(answer)["error"] == "invalid_token"


# --- Challenges -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v2/p/r/manifests/v1", "repository:p/r:pull"),
        ("HEAD", "/v2/p/r/blobs/sha256:x", "repository:p/r:pull"),
        ("GET", "/v2/p/r/tags/list", "repository:p/r:pull"),
        ("GET", "/v2/p/r/referrers/sha256:x", "repository:p/r:pull"),
        ("PUT", "/v2/p/r/manifests/v1", "repository:p/r:pull,push"),
        ("POST", "/v2/p/r/blobs/uploads/", "repository:p/r:pull,push"),
        ("PATCH", "/v2/p/r/blobs/uploads/x", "repository:p/r:pull,push"),
        ("GET", "/v2/p/r/blobs/uploads/x", "repository:p/r:pull,push"),
        ("DELETE", "/v2/p/r/blobs/uploads/x", "repository:p/r:pull,push"),
        ("DELETE", "/v2/p/r/manifests/v1", "repository:p/r:delete"),
        ("DELETE", "/v2/p/r/blobs/sha256:x", "repository:p/r:delete"),
        ("GET", "/v2/_catalog", "registry:catalog:*"),
        (
            "POST",
            "/v2/p/r/blobs/uploads/?mount=sha256:x&from=p/s",
            "repository:p/r:pull,push repository:p/s:pull",
        ),
        ("GET", "/v2/P/r/manifests/v1", None),
        ("GET", '/v2/p"x/r/manifests/v1', None),
    ],
)
def test_challenge(server: Server, method: str, path: str, scope: str | None) -> None:
    answer = server.request(method, path)
    assert answer.status == 401
    parameters = challenge_of(answer)
    assert parameters["realm"] == f"http://{HOST}/service/token"
    assert parameters["service"] == HOST
    assert parameters.get("scope") == scope
    assert "error" not in parameters
    if method != "HEAD":
        assert answer.codes == ["UNAUTHORIZED"]


@pytest.mark.parametrize("header", ["", "Bearer", "Negotiate x", "Basic", "Basic !!", "Basic eA=="])
def test_unusable_authorization(server: Server, header: str) -> None:
    answer = server.request("GET", "/v2/p/r/tags/list", headers={"Authorization": header})
    assert answer.status == 401
    assert challenge_of(answer)["scope"] == "repository:p/r:pull"


def test_configured_address(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = type(settings.ROADSTEAD.server)
    fields = {name: getattr(settings.ROADSTEAD.server, name) for name in changed.__slots__}
    external = changed(**(fields | {"external_url": "https://registry.example.org:8443"}))
    monkeypatch.setattr(settings, "ROADSTEAD", _with(settings.ROADSTEAD, server=external))
    answer = server.request("GET", "/v2/")
    assert challenge_of(answer) == {
        "realm": "https://registry.example.org:8443/service/token",
        "service": "registry.example.org:8443",
    }
    refused = Client(server).ask_token(service="elsewhere.example.org")
    assert refused.status == 400
    accepted = Client(server).ask_token(service="registry.example.org:8443")
    assert claims_of(accepted.json()["token"])["aud"] == "registry.example.org:8443"


def _with(settings_section: object, **changes: object) -> object:
    kind = type(settings_section)
    fields = {name: getattr(settings_section, name) for name in kind.__slots__}
    return kind(**(fields | changes))


# --- Token requests ---------------------------------------------------------------


def test_edge_98_scopes_in_every_form(server: Server, developer: Client, place: Place) -> None:
    first, second = f"repository:{place.name}:pull,push", f"repository:{place.other}:pull"
    expected = {place.name: {"pull", "push"}, place.other: {"pull"}}
    assert access_of(developer.ask_token(first, second)) == expected
    assert access_of(developer.ask_token(f"{first} {second}")) == expected
    form = {"grant_type": "password", "username": "developer", "password": PASSWORD}
    repeated = post_token(server, ("scope", first), ("scope", second), **form)
    assert access_of(repeated) == expected
    joined = post_token(server, scope=f"{first} {second}", **form)
    assert access_of(joined) == expected
    unknown = developer.ask_token(first, second, "plugin:x:pull", "repository(plugin):a/b:pull")
    assert access_of(unknown) == expected
    merged = developer.ask_token(f"repository:{place.name}:pull", first, "garbage", "", ":::")
    assert access_of(merged) == {place.name: {"pull", "push"}}


def test_token_answers(server: Server, developer: Client, place: Place) -> None:
    scope = f"repository:{place.name}:pull,push,delete"
    answer = developer.ask_token(scope, service=HOST, account="someone", client_id="docker")
    body = answer.json()
    assert body["token"] == body["access_token"]
    assert body["expires_in"] == settings.ROADSTEAD.auth.token_lifetime_seconds
    assert body["issued_at"].endswith("Z")
    assert body["scope"] == f"repository:{place.name}:pull,push"
    assert "refresh_token" not in body
    assert answer.headers["cache-control"] == "no-store"
    claims = claims_of(body["token"])
    assert claims["aud"] == HOST
    assert str(claims["sub"]).startswith("user:")


def test_star_stands_for_every_action(owner: Client, guest: Client, place: Place) -> None:
    scope = f"repository:{place.name}:*"
    assert access_of(owner.ask_token(scope)) == {place.name: {"pull", "push", "delete"}}
    assert access_of(guest.ask_token(scope)) == {place.name: {"pull"}}


def test_catalog_scope(administrator: Client, developer: Client) -> None:
    assert access_of(administrator.ask_token("registry:catalog:*")) == {"catalog": {"*"}}
    assert access_of(developer.ask_token("registry:catalog:*")) == {}


def test_too_many_scopes(developer: Client) -> None:
    answer = developer.ask_token(*(f"repository:p/r{number}:pull" for number in range(200)))
    assert answer.status == 400


def test_keys(server: Server, developer: Client) -> None:
    answer = server.request("GET", "/service/token/jwks")
    keys = jwt.PyJWKSet.from_dict(answer.json())
    token = developer.token()
    key = keys[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, key, algorithms=["ES256"], audience=HOST)["iss"] == "roadstead"
    assert "d" not in answer.json()["keys"][0]


@pytest.mark.parametrize("grant_type", ["", "authorization_code", "client_credentials"])
def test_edge_100_unsupported_grant(server: Server, grant_type: str) -> None:
    answer = post_token(server, grant_type=grant_type)
    assert answer.status == 400
    assert answer.json()["error"] == "unsupported_grant_type"


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{}", 400),
        ("", b"grant_type=password", 400),
        ("application/x-www-form-urlencoded", b"x" * 70_000, 413),
        ("application/x-www-form-urlencoded", b"\xff=1", 400),
        ("application/x-www-form-urlencoded", b"a=%ff", 400),
        ("application/x-www-form-urlencoded", b"&".join([b"a=1"] * 5000), 400),
    ],
)
def test_edge_100_unreadable_form(
    server: Server, content_type: str, body: bytes, status: int
) -> None:
    answer = server.request(
        "POST", "/service/token", headers={"Content-Type": content_type}, body=body
    )
    assert answer.status == status
    assert answer.json()["error"] == "invalid_request"


def test_edge_100_double_attempt_is_one_failure(server: Server, people: dict[str, User]) -> None:
    form = {"grant_type": "password", "username": "guest", "password": "Wrong-horse-9"}
    posted = post_token(server, **form)
    got = Client(server, "guest", "Wrong-horse-9").ask_token()
    assert (posted.status, got.status) == (401, 401)
    assert posted.json()["error"] == "invalid_grant"
    assert posted.codes == got.codes == ["UNAUTHORIZED"]
    assert got.headers["www-authenticate"].startswith("Basic ")
    assert LoginFailure.objects.filter(username="guest").count() in (1, 2)
    windows = LoginFailure.objects.filter(username="guest").values_list("attempt", flat=True)
    assert len({bytes(window) for window in windows}) == len(windows)


def test_wrong_credentials_are_audited(server: Server, people: dict[str, User]) -> None:
    before = AuditEntry.objects.filter(action="user.login", outcome="denied").count()
    assert Client(server, "nobody-here", "Wrong-horse-9").ask_token().status == 401
    BUFFER.flush()
    entries = AuditEntry.objects.filter(action="user.login", outcome="denied")
    assert entries.count() == before + 1
    assert entries.order_by("-id")[0].address == "192.0.2.10"


def test_logins_are_audited(server: Server, people: dict[str, User]) -> None:
    create_user("audited", password=PASSWORD, actor=Actor.system())
    assert Client(server, "audited", PASSWORD).ask_token().status == 200
    BUFFER.flush()
    entry = AuditEntry.objects.get(action="user.login", actor_label="audited", outcome="success")
    assert entry.address == "192.0.2.10"


def test_throttled_logins(server: Server, people: dict[str, User]) -> None:
    create_user("throttled", password=PASSWORD, actor=Actor.system())
    answers = [
        Client(server, "throttled", f"Wrong-horse-{number}").ask_token() for number in range(60)
    ]
    throttled = [answer for answer in answers if answer.status == 429]
    assert throttled
    assert {answer.status for answer in answers} == {401, 429}
    assert int(throttled[0].headers["retry-after"]) > 0
    assert throttled[0].codes == ["TOOMANYREQUESTS"]


def test_refresh_tokens(server: Server, people: dict[str, User], place: Place) -> None:
    user = create_user("refreshing", password=PASSWORD, actor=Actor.system())
    make_member(place.project, user, "developer")
    client = Client(server, "refreshing", PASSWORD)
    scope = f"repository:{place.name}:pull"
    secret = client.ask_token(scope, offline_token="true", client_id="docker").json()[
        "refresh_token"
    ]
    assert RefreshToken.objects.get(subject=f"user:{user.pk}").client == "docker"
    refreshed = post_token(
        server, grant_type="refresh_token", refresh_token=secret, service=HOST, scope=scope
    )
    assert access_of(refreshed) == {place.name: {"pull"}}
    assert refreshed.json()["refresh_token"] == secret
    offline = post_token(
        server,
        grant_type="password",
        username="refreshing",
        password=PASSWORD,
        access_type="offline",
        client_id="containerd",
    )
    assert offline.json()["refresh_token"] not in ("", secret)
    set_password(user, "Other-horse-9", actor=Actor.system())
    for token in (secret, offline.json()["refresh_token"], "rsd_ref_x", ""):
        refused = post_token(server, grant_type="refresh_token", refresh_token=token)
        assert (refused.status, refused.json()["error"]) == (401, "invalid_grant")


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
    assert {entry.action for entry in entries} == {"repository.push", "repository.delete"}
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
    auth = _with(settings.ROADSTEAD.auth, robot_name_prefix=prefix)
    monkeypatch.setattr(settings, "ROADSTEAD", _with(settings.ROADSTEAD, auth=auth))
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
