"""The quick way to a token and the careful one: the same tokens, or no quick answer."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.db import connection
from starlette.responses import Response

from core.audit.buffer import BUFFER
from core.audit.models import AuditEntry
from core.authn import throttle
from core.authn.models import LoginFailure, PersonalToken, SigningKey
from core.authn.password_memory import MEMORY
from core.authn.services import create_personal_token, revoke_personal_token
from core.authn.signing_keys import KEY_RING, Signer
from core.authn.types import Credentials
from core.authn.unstored_failures import UNSTORED
from core.common.clock import now
from core.common.errors import DomainError
from core.common.origin import Origin
from core.common.secrets_format import new_secret
from core.projects.models import Project
from core.projects.services import create_project, delete_project
from core.rbac.types import Actor
from core.robots.models import Robot
from core.robots.queries import login_name
from core.robots.services import rotate_secret, set_disabled
from core.system_settings import queries as system_settings
from core.users.models import User
from core.users.services import create_user, set_active, set_password
from registry_api import token as endpoint
from registry_api.recent_tokens import RecentTokens
from tests.factories.projects import make_project, make_repository
from tests.factories.robots import make_robot
from tests.factories.users import actor_of
from tests.registry_api.asgi import Answer, Server
from tests.registry_api.cast import Client
from tests.registry_api.conftest import PASSWORD, Place
from tests.registry_api.tokens import access_of, claims_of, post_token
from tests.registry_api.worlds import World

pytestmark = pytest.mark.django_db

SYSTEM = Actor.system()
TIMED = {"iat", "nbf", "exp", "jti"}
CONTENT = ("repository:pull", "repository:push", "repository:delete")


@dataclass
class Ways:
    """Counts which way tokens were issued, and can close the quick one."""

    quick: int = 0
    careful: int = 0
    is_open: bool = True


@pytest.fixture
def ways(server: Server, monkeypatch: pytest.MonkeyPatch) -> Ways:
    counted = Ways()

    quickly = endpoint._answer_quickly

    async def counting(*arguments: Any) -> Response | None:
        answer = await quickly(*arguments) if counted.is_open else None
        counted.quick += answer is not None
        counted.careful += answer is None
        return answer

    monkeypatch.setattr(endpoint, "_answer_quickly", counting)
    return counted


@pytest.fixture(autouse=True)
def no_earlier_failures(database: None) -> Iterator[None]:
    LoginFailure.objects.all().delete()
    yield
    LoginFailure.objects.all().delete()


def content_of(answer: Answer) -> dict[str, object]:
    """Return what a token answer says, times and numbers apart."""
    assert answer.status == 200, answer.body
    claims = claims_of(answer.json()["token"])
    return {name: value for name, value in claims.items() if name not in TIMED} | {
        "scope": answer.json()["scope"]
    }


def both(ways: Ways, client: Client, *scopes: str) -> tuple[dict[str, object], dict[str, object]]:
    """Ask for the same token in both ways, after whatever has to be written was written."""
    client.ask_token()
    before = ways.quick
    quick = client.ask_token(*scopes)
    assert ways.quick == before + 1, "the careful way was taken"
    ways.is_open = False
    careful = client.ask_token(*scopes)
    ways.is_open = True
    return content_of(quick), content_of(careful)


def test_the_quick_way_mirrors_the_authenticators() -> None:
    """Whoever adds one decides whether it comes before what ``inquiry_about`` takes."""
    assert settings.AUTHENTICATORS == (
        "core.robots.authenticator",
        "core.authn.token_authenticator",
        "core.authn.password_authenticator",
    )


# --- The same rights ----------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_both_ways_grant_the_same(server: Server, ways: Ways, seed: int) -> None:
    world = World(f"w{seed}", seed)
    for client in world.clients(server):
        quick, careful = both(ways, client, *world.scopes())
        assert quick == careful
        for scope in world.scopes():
            alone = content_of(client.ask_token(scope))
            assert alone["scope"] in ("", *str(careful["scope"]).split())


@pytest.mark.parametrize("seed", range(4))
def test_what_is_remembered_follows_every_change_of_grants(
    server: Server, ways: Ways, seed: int
) -> None:
    world = World(f"c{seed}", seed)
    people = world.people(server)
    seen: dict[str, set[str]] = {}
    for _ in range(15):
        for client in people:
            quick, careful = both(ways, client, *world.scopes())
            assert quick == careful
            seen.setdefault(str(quick["sub"]), set()).add(str(quick["scope"]))
        world.change_grants()
    assert max(map(len, seen.values())) > 2, "nothing that was changed made a difference"


def test_grants_that_change_at_once_are_all_seen(server: Server, ways: Ways) -> None:
    world = World("storm", 0)
    people = world.people(server)

    def change(times: int) -> int:
        changed = 0
        try:
            for _ in range(times):
                # What somebody else has given or taken meanwhile cannot be once more.
                with suppress(DomainError):
                    world.change_grants()
                    changed += 1
        finally:
            connection.close()
        return changed

    with ThreadPoolExecutor(4) as pool:
        changing = [pool.submit(change, 25) for _ in range(4)]
        while not all(future.done() for future in changing):
            for client in people:
                assert client.ask_token(*world.scopes()).status == 200
    assert sum(future.result() for future in changing) > 50
    for client in people:
        quick, careful = both(ways, client, *world.scopes())
        assert quick == careful


def test_a_form_goes_the_quick_way_too(server: Server, ways: Ways, place: Place) -> None:
    new = make_robot(project=place.project)
    form = {"grant_type": "password", "username": login_name(new.robot), "password": new.secret}
    scope = f"repository:{place.name}:pull"
    for expected in (0, 1):
        answer = post_token(server, scope=scope, **form)
        assert access_of(answer) == {place.name: {"pull"}}
        assert ways.quick == expected
    offline = post_token(server, scope=scope, access_type="offline", **form)
    assert "refresh_token" in offline.json()
    assert ways.quick == 1


def test_a_later_project_of_the_same_name_is_not_meant(server: Server, ways: Ways) -> None:
    project = make_project("reborn")
    new = make_robot("reborn-ci", project=None, permissions={"reborn": CONTENT[:2]})
    client = Client(server, login_name(new.robot), new.secret)
    scope = "repository:reborn/app:pull"
    assert both(ways, client, scope)[0]["scope"] == scope
    delete_project(project, actor=SYSTEM)
    create_project("reborn", actor=SYSTEM)
    # Subscribers have taken the name out; a robot that was not reached yet keeps it.
    Robot.objects.filter(pk=new.robot.pk).update(
        permissions={"reborn": list(CONTENT)}, project_ids={"reborn": project.pk or 0}
    )
    quick, careful = both(ways, client, scope)
    assert quick == careful
    assert quick["scope"] == ""


def test_credentials_of_nothing_are_not_those_of_everybody(server: Server, place: Place) -> None:
    path = f"/service/token?scope=repository:{place.name}:pull"
    assert server.request("GET", path).status == 200
    refused = server.request("GET", path, headers={"Authorization": "Basic "})
    assert refused.status == 401


# --- What is left to the careful way ----------------------------------------------


def remembered_scope(place: Place) -> str:
    """Return a scope of a repository that is there: what it rests on is remembered."""
    make_repository(place.project, place.name.partition("/")[2])
    return f"repository:{place.name}:pull"


def test_a_secret_of_before_works_until_its_end(server: Server, ways: Ways, place: Place) -> None:
    former = make_robot(project=place.project)
    rotate_secret(former.robot, overlap=timedelta(minutes=5), actor=SYSTEM)
    client = Client(server, login_name(former.robot), former.secret)
    scope = remembered_scope(place)
    client.ask_token(scope)
    answers = [client.ask_token(scope) for _ in range(2)]
    assert ways.quick == 2
    assert answers[-1].json()["expires_in"] <= 300
    Robot.objects.filter(pk=former.robot.pk).update(previous_valid_until=now())
    assert client.ask_token(scope).status == 401
    assert ways.quick == 2


@pytest.mark.parametrize(
    "end",
    [
        lambda robot: set_disabled(robot, True, actor=SYSTEM),
        lambda robot: rotate_secret(robot, actor=SYSTEM),
        lambda robot: Robot.objects.filter(pk=robot.pk).update(expires_at=now()),
        lambda robot: robot.delete(),
    ],
    ids=["disabled", "rotated", "expired", "deleted"],
)
def test_a_robot_that_has_ended_gets_nothing(
    server: Server, ways: Ways, place: Place, end: object
) -> None:
    new = make_robot(project=place.project)
    client = Client(server, login_name(new.robot), new.secret)
    scope = remembered_scope(place)
    assert [client.ask_token(scope).status for _ in range(3)] == [200] * 3
    assert ways.quick == 2
    end(Robot.objects.get(pk=new.robot.pk))  # type: ignore[operator]
    assert client.ask_token(scope).status == 401
    assert ways.quick == 2


def test_what_ends_by_itself_ends_though_no_row_changes(
    server: Server, ways: Ways, place: Place
) -> None:
    scope = remembered_scope(place)
    user = User.objects.get(username="developer")
    at = now().replace(microsecond=0)
    token = create_personal_token(
        user,
        name=f"{place.project.name}-ends",
        scopes=["repository:pull"],
        expires_at=at + timedelta(seconds=30),
        actor=actor_of(user),
    )
    robot, former = (make_robot(name, project=place.project) for name in ("ends", "former"))
    Robot.objects.filter(pk=robot.robot.pk).update(expires_at=at + timedelta(seconds=30))
    rotate_secret(former.robot, overlap=timedelta(seconds=30), actor=SYSTEM)
    clients = [
        Client(server, login_name(robot.robot), robot.secret),
        Client(server, login_name(former.robot), former.secret),
        Client(server, "", token.secret),
    ]
    for client in clients:
        assert [client.ask_token(scope).status for _ in range(3)] == [200] * 3
    assert ways.quick == 6
    with time_machine.travel(at + timedelta(seconds=40), tick=False):
        assert [client.ask_token(scope).status for client in clients] == [401] * 3
    assert ways.quick == 6


def test_a_user_that_has_ended_gets_nothing(server: Server, ways: Ways, place: Place) -> None:
    user = create_user("ending", password=PASSWORD, actor=SYSTEM)
    scope = remembered_scope(place)
    token = create_personal_token(user, name="ci", scopes=["repository:pull"], actor=actor_of(user))
    by_password, by_token = (Client(server, "ending", text) for text in (PASSWORD, token.secret))
    assert [client.ask_token(scope).status for client in (by_password, by_token) * 2] == [200] * 4
    assert ways.quick == 2
    set_active(user, False, actor=SYSTEM)
    assert [client.ask_token(scope).status for client in (by_password, by_token)] == [401, 401]
    LoginFailure.objects.all().delete()
    set_active(user, True, actor=SYSTEM)
    assert [client.ask_token(scope).status for client in (by_password, by_token)] == [200, 200]
    assert ways.quick == 4
    set_password(user, "Another-horse-2", actor=SYSTEM)
    revoke_personal_token(token.token, actor=actor_of(user))
    assert [client.ask_token(scope).status for client in (by_password, by_token)] == [401, 401]
    assert ways.quick == 4


def test_only_a_remembered_password_goes_the_quick_way(
    server: Server, ways: Ways, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_user("remembered", password=PASSWORD, actor=SYSTEM)
    client = Client(server, "remembered", PASSWORD)
    assert [client.ask_token().status for _ in range(3)] == [200] * 3
    assert (ways.quick, ways.careful) == (2, 1)
    assert Client(server, "REMEMBERED", PASSWORD).ask_token().status == 200
    assert ways.quick == 3
    MEMORY.clear()
    monkeypatch.setattr(endpoint, "_RECENT", RecentTokens())
    assert client.ask_token().status == 200
    assert ways.quick == 3
    for secret in ("Wrong-horse-9", new_secret("pat"), new_secret("rob"), "rsd_pat_x"):
        assert Client(server, "remembered", secret).ask_token().status == 401
    assert ways.quick == 3


def test_a_chosen_secret_of_a_robot_goes_the_careful_way_with_the_limits_of_a_password(
    server: Server, ways: Ways, place: Place
) -> None:
    new = make_robot(project=place.project)
    chosen, name = "Chosen-Secret-1", login_name(new.robot)
    client, made = Client(server, name, chosen), Client(server, name, new.secret)
    scope = f"repository:{place.name}:pull"

    def statuses(client: Client) -> list[int]:
        form = {"grant_type": "password", "username": name, "password": client.secret}
        basic = {"Authorization": client.basic}
        return [
            client.ask_token(scope).status,
            post_token(server, scope=scope, **form).status,
            server.request("GET", "/v2/", headers=basic).status,
        ]

    assert statuses(made) == [200] * 3
    rotate_secret(new.robot, chosen_secret=chosen, overlap=timedelta(minutes=5), actor=SYSTEM)
    quick = ways.quick
    assert statuses(client) == [200] * 3
    assert ways.quick == quick
    assert access_of(client.ask_token(scope)) == {place.name: {"pull"}}
    for number in range(10):
        assert Client(server, name, f"Wrong-Secret-{number}").ask_token().status == 401
    assert statuses(client) == [429] * 3
    assert statuses(made) == [200] * 3
    assert ways.quick == quick + 2
    LoginFailure.objects.all().delete()
    assert statuses(client) == [200] * 3


def test_failures_close_the_quick_way_until_a_success_clears_them(
    server: Server, ways: Ways
) -> None:
    create_user("failing", password=PASSWORD, actor=SYSTEM)
    client = Client(server, "failing", PASSWORD)
    assert [client.ask_token().status for _ in range(2)] == [200, 200]
    assert Client(server, "Failing", "Wrong-horse-9").ask_token().status == 401
    assert ways.quick == 1
    assert client.ask_token().status == 200
    assert (ways.quick, LoginFailure.objects.count()) == (1, 0)
    assert client.ask_token().status == 200
    assert ways.quick == 2


def test_failures_that_could_not_be_stored_close_the_quick_way_for_passwords(
    server: Server, ways: Ways
) -> None:
    create_user("guarded", password=PASSWORD, actor=SYSTEM)
    client = Client(server, "guarded", PASSWORD)
    assert [client.ask_token().status for _ in range(2)] == [200, 200]
    assert (ways.quick, ways.careful) == (1, 1)
    credentials = Credentials("somebody", "guess")
    throttle.remember_failure(
        throttle.Attempt.of(credentials, Origin("198.51.100.9", "tests/1", "r-1"))
    )
    try:
        assert client.ask_token().status == 200
        assert (ways.quick, ways.careful) == (1, 2)
    finally:
        UNSTORED.forget()
    assert client.ask_token().status == 200
    assert ways.quick == 2


def test_a_name_that_is_shut_out_stays_so_though_its_password_is_remembered(
    server: Server, ways: Ways
) -> None:
    create_user("besieged", password=PASSWORD, actor=SYSTEM)
    client = Client(server, "besieged", PASSWORD)
    assert client.ask_token().status == 200
    for number in range(10):
        Client(server, "besieged", f"Wrong-horse-{number}").ask_token()
    assert client.ask_token().status == 429
    assert ways.quick == 0


def test_last_uses_are_written_once_a_minute(server: Server, ways: Ways, place: Place) -> None:
    new = make_robot(project=place.project)
    user = create_user("using", password=PASSWORD, actor=SYSTEM)
    secret = create_personal_token(
        user, name="ci", scopes=["repository:pull"], actor=actor_of(user)
    ).secret
    clients = (Client(server, login_name(new.robot), new.secret), Client(server, "", secret))
    rows = (Robot.objects.filter(pk=new.robot.pk), PersonalToken.objects.filter(user=user))
    for client, row in zip(clients, rows, strict=True):
        ways.quick = ways.careful = 0
        for expected in (0, 1):
            assert client.ask_token().status == 200
            assert ways.quick == expected
        written = row.get().last_used_at
        assert written is not None
        row.update(last_used_at=written - timedelta(minutes=1))
        assert client.ask_token().status == 200
        assert (ways.quick, ways.careful) == (1, 2)
        assert row.get().last_used_at >= written


def test_every_token_of_the_quick_way_is_audited(server: Server, ways: Ways, place: Place) -> None:
    new = make_robot(project=place.project)
    client = Client(server, login_name(new.robot), new.secret)
    for _ in range(3):
        assert client.ask_token().status == 200
    assert ways.quick == 2
    BUFFER.flush()
    entries = AuditEntry.objects.filter(action="user.login", actor_label=login_name(new.robot))
    # Those that are written together are one entry.
    assert (
        sum((detail or {}).get("times", 1) for detail in entries.values_list("detail", flat=True))
        == 3
    )
    assert set(entries.values_list("outcome", "address")) == {("success", "192.0.2.10")}


def test_what_is_answered_again_within_a_second_follows_from_the_present(
    server: Server, ways: Ways, place: Place
) -> None:
    new = make_robot(project=place.project)
    row = Robot.objects.filter(pk=new.robot.pk)
    client = Client(server, login_name(new.robot), new.secret)
    scope = f"repository:{place.name}:pull"
    with time_machine.travel(now().replace(microsecond=0), tick=False) as clock:
        client.ask_token()
        first = client.ask_token(scope)
        assert (content_of(first)["scope"], first.headers["cache-control"]) == (scope, "no-store")
        assert client.ask_token(scope).body == first.body
        assert client.ask_token(scope, f"repository:{place.other}:pull").body != first.body
        clock.shift(1)
        later = client.ask_token(scope)
        assert later.body != first.body
        assert content_of(later) == content_of(first)
        successor = rotate_secret(new.robot, overlap=timedelta(minutes=5), actor=SYSTEM).secret
        ends = [
            Client(server, login_name(new.robot), secret).ask_token(scope).json()["expires_in"]
            for secret in (new.secret, successor)
        ]
        assert ends == [300, 900]
        row.update(permissions={})
        assert content_of(client.ask_token(scope))["scope"] == ""
        Project.objects.filter(pk=place.project.pk).update(generation=41)
        claims = claims_of(client.ask_token(scope).json()["token"])
        assert claims["rs_projects"] == {place.project.name: [place.project.pk, 41]}
        row.update(is_disabled=True)
        assert client.ask_token(scope).status == 401
    assert (ways.quick, ways.careful) == (8, 2)


def test_a_crowd_that_asks_for_the_same_has_it_signed_once(
    server: Server, ways: Ways, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = make_robot(project=place.project)
    client = Client(server, login_name(new.robot), new.secret)
    scope = f"repository:{place.name}:pull"
    client.ask_token(scope)
    issue, issued = endpoint._issue, []

    def counting(*arguments: Any, **options: Any) -> bytes:
        issued.append(arguments)
        return issue(*arguments, **options)

    monkeypatch.setattr(endpoint, "_issue", counting)
    with (
        time_machine.travel(now() + timedelta(seconds=1), tick=False),
        ThreadPoolExecutor(16) as crowd,
    ):
        answers = list(crowd.map(lambda _: client.ask_token(scope), range(64)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == len(issued) == 1
    assert (ways.quick, ways.careful) == (64, 1)


def test_what_tokens_are_made_with_is_read_once_for_all_who_wait(
    server: Server, ways: Ways, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = make_robot(project=place.project)
    client = Client(server, login_name(new.robot), new.secret)
    client.ask_token()
    reads, read = [], endpoint._read_signer

    def reading() -> Signer | None:
        reads.append(threading.get_ident())
        return read()

    monkeypatch.setattr(endpoint, "_read_signer", reading)
    system_settings.forget()
    KEY_RING.forget()
    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(client.ask_token) for _ in range(20)]
    assert {answer.result().status for answer in answers} == {200}
    assert (ways.quick, ways.careful) == (20, 1)
    # Two may be under way at once, and two more for those who came while they were.
    assert 1 <= len(reads) <= 4


def test_without_a_signing_key_whoever_is_known_is_told(
    server: Server, ways: Ways, place: Place
) -> None:
    new = make_robot(project=place.project)
    client = Client(server, login_name(new.robot), new.secret)
    keys = list(SigningKey.objects.all())
    SigningKey.objects.all().delete()
    KEY_RING.forget()
    try:
        assert client.ask_token().status == 503
        assert (
            Client(server, login_name(new.robot), new.secret[:-1] + "!").ask_token().status == 401
        )
        assert ways.quick == 0
    finally:
        SigningKey.objects.bulk_create(keys)
        KEY_RING.forget()


def test_a_full_buffer_closes_the_quick_way(
    server: Server, ways: Ways, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = make_robot(project=place.project)
    client = Client(server, login_name(new.robot), new.secret)
    client.ask_token()
    monkeypatch.setattr("core.audit.buffer.MAXIMUM_WAITING", -1)
    assert client.ask_token().status == 200
    assert ways.quick == 0


def test_two_look_ups_that_found_different_projects_mean_neither(
    server: Server, ways: Ways, public_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the project was given away and made anew between two statements."""
    former = public_place.project
    scopes = [f"repository:{name}:pull" for name in (public_place.name, public_place.other)]
    find = endpoint.find_target

    def moving(name: str, subject: str) -> object:
        lookup = find(name, subject)
        Project.objects.filter(pk=former.pk).update(generation=name == public_place.name)
        return lookup

    create_user("early", password=PASSWORD, actor=SYSTEM)
    ways.is_open = False
    monkeypatch.setattr(endpoint, "find_target", moving)
    assert content_of(Client(server, "early", PASSWORD).ask_token(*scopes))["rs_projects"] == {}
