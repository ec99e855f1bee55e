"""What clients must not get: the wrong people, the wrong projects, robots that have ended."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.clients.images import make_image
from tests.clients.machines import Client
from tests.clients.management import Management
from tests.clients.programs import Outcome
from tests.clients.protocol import Account, Registry
from tests.clients.records import Records
from tests.clients.references import repository_of, tag_of
from tests.support.server import RunningServer

pytestmark = [pytest.mark.server, pytest.mark.client]

Place = Callable[[str], str]
REFUSED = ("denied", "unauthorized", "authentication required", "insufficient_scope")


def assert_refused(outcome: Outcome) -> None:
    """Expect a failure that names the permission, not some other trouble."""
    assert not outcome.succeeded, outcome
    assert any(word in outcome.text.lower() for word in REFUSED), outcome


def push_something(registry: Registry, reference: str) -> None:
    """Put an image under a reference, without the client under test."""
    repository, image = repository_of(reference), make_image()
    registry.push_blob(repository, image.config)
    for layer in image.layers:
        registry.push_blob(repository, layer.content)
    assert registry.push_manifest(repository, tag_of(reference), image.manifest).status == 201


def test_guest_pulls_but_does_not_push(
    client: Client,
    server: RunningServer,
    management: Management,
    project: str,
    registry: Registry,
    records: Records,
    place: Place,
) -> None:
    push_something(registry, place("1"))
    client.log_in(server.registry, management.create_member(project, "guest"))
    before = records.committed_uploads(repository_of(place("1")))

    client.pull(place("1"))
    outcome = client.push(client.take(make_image()), place("2"), check=False)

    assert_refused(outcome)
    assert registry.head_manifest(repository_of(place("2")), "2").status == 404
    assert records.committed_uploads(repository_of(place("2"))) == before


def test_outsider_does_not_pull_from_a_private_project(
    client: Client,
    server: RunningServer,
    management: Management,
    registry: Registry,
    place: Place,
) -> None:
    push_something(registry, place("1"))
    client.log_in(server.registry, management.create_user())

    assert_refused(client.pull(place("1"), check=False))
    # Nothing tells a private repository from one that does not exist.
    assert_refused(client.pull(f"{server.registry}/no-such-project/at-all:1", check=False))


def test_anonymous_does_not_pull_from_a_private_project(
    client: Client, registry: Registry, place: Place
) -> None:
    push_something(registry, place("1"))

    assert_refused(client.pull(place("1"), check=False))


def test_anonymous_does_not_push_to_a_public_project(
    client: Client, server: RunningServer, registry: Registry, public_project: str
) -> None:
    reference = f"{server.registry}/{public_project}/open:1"

    assert_refused(client.push(client.take(make_image()), reference, check=False))

    assert registry.head_manifest(f"{public_project}/open", "1").status == 404


def test_robot_does_not_leave_its_project(
    client: Client,
    server: RunningServer,
    management: Management,
    project: str,
    registry: Registry,
) -> None:
    other = f"{server.registry}/{management.create_project()}/thing:1"
    push_something(registry, other)
    client.log_in(server.registry, management.create_robot(project, "pull", "push").account)

    assert_refused(client.pull(other, check=False))


def test_pull_only_robot_does_not_push(
    client: Client, server: RunningServer, management: Management, project: str, place: Place
) -> None:
    client.log_in(server.registry, management.create_robot(project, "pull").account)

    assert_refused(client.push(client.take(make_image()), place("1"), check=False))


@pytest.mark.parametrize("how", ["expired", "disabled", "rotated"])
def test_ended_robot_that_is_logged_in_still(
    client: Client,
    server: RunningServer,
    management: Management,
    project: str,
    registry: Registry,
    records: Records,
    place: Place,
    how: str,
) -> None:
    push_something(registry, place("1"))
    robot = management.create_robot(project, "pull", "push")
    client.log_in(server.registry, robot.account)
    client.pull(place("1"))
    client.clear()

    if how == "disabled":
        management.disable_robot(robot)
    elif how == "rotated":
        management.rotate_robot_secret(robot)
    else:
        records.change(
            "UPDATE robots_robot SET expires_at = %s WHERE id = %s",
            datetime.now(UTC) - timedelta(seconds=1),
            robot.id,
        )

    assert_refused(client.pull(place("1"), check=False))


def test_member_who_was_removed(
    client: Client,
    server: RunningServer,
    management: Management,
    project: str,
    developer: Account,
    registry: Registry,
    place: Place,
) -> None:
    push_something(registry, place("1"))
    client.log_in(server.registry, developer)
    client.pull(place("1"))
    client.clear()

    management.remove_member(project, developer)

    assert_refused(client.pull(place("1"), check=False))


def test_read_only_token_does_not_push(
    client: Client,
    server: RunningServer,
    management: Management,
    developer: Account,
    registry: Registry,
    place: Place,
) -> None:
    push_something(registry, place("1"))
    client.log_in(server.registry, management.create_token(developer, "repository:pull"))

    client.pull(place("1"))

    assert_refused(client.push(client.take(make_image()), place("2"), check=False))
