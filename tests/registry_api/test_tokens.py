"""Edge cases 98 and 100: challenges and token requests."""

import jwt
import pytest
from django.conf import settings

from core.audit.buffer import BUFFER
from core.audit.models import AuditEntry
from core.authn.models import LoginFailure, RefreshToken
from core.rbac.types import Actor
from core.users.models import User
from core.users.services import create_user, set_password
from tests.factories.members import make_member
from tests.registry_api.asgi import HOST, Server
from tests.registry_api.cast import Client, challenge_of
from tests.registry_api.conftest import PASSWORD, Place
from tests.registry_api.tokens import access_of, claims_of, post_token, with_changes

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_earlier_failures(database: None) -> None:
    """Wrong passwords of one test do not throttle the next."""
    LoginFailure.objects.all().delete()


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
    monkeypatch.setattr(settings, "ROADSTEAD", with_changes(settings.ROADSTEAD, server=external))
    answer = server.request("GET", "/v2/")
    assert challenge_of(answer) == {
        "realm": "https://registry.example.org:8443/service/token",
        "service": "registry.example.org:8443",
    }
    refused = Client(server).ask_token(service="elsewhere.example.org")
    assert refused.status == 400
    accepted = Client(server).ask_token(service="registry.example.org:8443")
    assert claims_of(accepted.json()["token"])["aud"] == "registry.example.org:8443"


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


def test_every_login_is_audited_and_other_requests_once_a_minute(
    server: Server, people: dict[str, User]
) -> None:
    create_user("frequent", password=PASSWORD, actor=Actor.system())
    client = Client(server, "frequent", PASSWORD)
    headers = {"Authorization": client.basic}

    def logins() -> int:
        BUFFER.flush()
        logins = AuditEntry.objects.filter(action="user.login", actor_label="frequent")
        return logins.filter(outcome="success").count()

    for count in (1, 2):
        answer = client.ask_token()
        assert (answer.status, logins()) == (200, count)
    for count in (3, 4):
        answer = server.request("GET", "/v2/", headers=headers)
        assert (answer.status, logins()) == (200, count)
    for _ in range(3):
        assert server.request("GET", "/v2/_catalog", headers=headers).status == 200
    assert logins() == 5


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
