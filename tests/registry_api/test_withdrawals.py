"""No token that was issued from before a withdrawal works once the withdrawal was answered.

Rounds of real requests race with real commits. Each round ends with all tokens that it issued
being used: those that grant what was taken away must be refused.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count

import pytest
from django.db import connection

from core.authn.models import RefreshToken
from core.members.models import Membership
from core.members.services import add_member, remove_member
from core.projects.services import update_project
from core.rbac.types import Actor
from core.robots.queries import login_name
from core.robots.services import update_robot
from core.users.services import create_user
from tests.factories.members import built_in
from tests.factories.robots import make_robot
from tests.registry_api.asgi import Answer, Server
from tests.registry_api.cast import Client
from tests.registry_api.conftest import PASSWORD, Place
from tests.registry_api.tokens import access_of, post_token

pytestmark = pytest.mark.django_db

SYSTEM = Actor.system()
ROUNDS = 60
"""Each with three tokens, and as many as a busy machine gets through in the seconds below."""
SECONDS = 6.0
ISSUERS = 3


@dataclass
class Race:
    """Something that can be given and taken again, and whoever asks for tokens meanwhile."""

    give: Callable[[], object]
    take: Callable[[], object]
    ask: Callable[[], Answer]


def race(server: Server, place: Place, racing: Race) -> int:
    """Run the rounds; returns how many tokens were issued while the taking went on."""
    path = f"/v2/{place.name}/tags/list"
    issued, end = 0, time.monotonic() + SECONDS
    with ThreadPoolExecutor(ISSUERS + 1) as pool:
        for _ in range(ROUNDS):
            racing.give()
            taking = pool.submit(in_own_connection, racing.take)
            asking = [pool.submit(racing.ask) for _ in range(ISSUERS)]
            taking.result(30)
            for answer in (future.result(30) for future in asking):
                token = answer.json()["token"]
                issued += access_of(answer) != {}
                used = server.request("GET", path, headers={"Authorization": f"Bearer {token}"})
                assert used.status in (401, 403), (access_of(answer), used)
            if time.monotonic() > end:
                break
    return issued


def in_own_connection(work: Callable[[], object]) -> object:
    try:
        return work()
    finally:
        connection.close()


def by_form(server: Server, client: Client, scope: str) -> Callable[[], Answer]:
    """Ask in the careful way, which a refresh token is issued in as well."""
    form = {"username": client.username or "", "password": client.secret}
    return lambda: post_token(
        server, scope=scope, grant_type="password", access_type="offline", **form
    )


@pytest.fixture(params=["quick", "careful"])
def ask(request: pytest.FixtureRequest, server: Server) -> "Ask":
    """The two ways to a token."""
    if request.param == "quick":
        return lambda client, scope: lambda: client.ask_token(scope)
    return lambda client, scope: by_form(server, client, scope)


Ask = Callable[[Client, str], Callable[[], Answer]]
_names = count()


def test_a_membership_is_taken(server: Server, developer: Client, place: Place, ask: Ask) -> None:
    developer.push_image(place.name, "v1")
    user = create_user(f"racer{next(_names)}", password=PASSWORD, actor=SYSTEM)
    client = Client(server, user.username, PASSWORD)
    client.ask_token()
    racing = Race(
        give=lambda: add_member(place.project, user=user, role=built_in("guest"), actor=SYSTEM),
        take=lambda: remove_member(Membership.objects.get(user=user), actor=SYSTEM),
        ask=ask(client, f"repository:{place.name}:pull"),
    )
    assert race(server, place, racing) > 0


def test_permissions_of_a_robot_are_taken(
    server: Server, developer: Client, place: Place, ask: Ask
) -> None:
    developer.push_image(place.name, "v1")
    robot = (new := make_robot(project=place.project)).robot
    client = Client(server, login_name(robot), new.secret)
    project = place.project.name
    racing = Race(
        give=lambda: update_robot(robot, permissions={project: ["repository:pull"]}, actor=SYSTEM),
        take=lambda: update_robot(robot, permissions={project: ["tag:list"]}, actor=SYSTEM),
        ask=ask(client, f"repository:{place.name}:pull"),
    )
    assert race(server, place, racing) > 0


def test_a_project_is_made_private(
    server: Server, developer: Client, outsider: Client, place: Place, ask: Ask
) -> None:
    developer.push_image(place.name, "v1")
    racing = Race(
        give=lambda: update_project(place.project, is_public=True, actor=SYSTEM),
        take=lambda: update_project(place.project, is_public=False, actor=SYSTEM),
        ask=ask(outsider, f"repository:{place.name}:pull"),
    )
    assert race(server, place, racing) > 0
    RefreshToken.objects.all().delete()
