"""Logging in: what is accepted, what is refused, and what the audit says of it."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.clients.machines import Client
from tests.clients.management import Management
from tests.clients.programs import Outcome
from tests.clients.protocol import Account
from tests.clients.records import Records
from tests.support.server import RunningServer

pytestmark = [pytest.mark.server, pytest.mark.client]


def logins(records: Records, account: Account) -> set[str]:
    """Return how logins with the account's name have ended."""
    rows = records.rows(
        "SELECT outcome FROM audit_auditentry WHERE action = 'user.login'"
        " AND (actor_label = %s OR target_label = %s)",
        account.username,
        account.username,
    )
    return {outcome for (outcome,) in rows}


def assert_unauthorized(outcome: Outcome) -> None:
    """Expect a failure that the client ascribes to the password, each in its own words."""
    assert not outcome.succeeded, outcome
    text = outcome.text.lower()
    assert "unauthorized" in text or "invalid username/password" in text, outcome


def test_password_on_standard_input(
    client: Client, server: RunningServer, developer: Account, records: Records
) -> None:
    outcome = client.log_in(server.registry, developer)

    assert "Login Succeeded" in outcome.text
    records.wait_until(lambda: logins(records, developer) == {"success"})


def test_wrong_password_is_refused_and_recorded(
    client: Client, server: RunningServer, developer: Account, records: Records
) -> None:
    wrong = Account(developer.username, "Wrong-horse-9")

    outcome = client.log_in(server.registry, wrong, check=False)

    assert_unauthorized(outcome)
    records.wait_until(lambda: logins(records, developer) == {"denied"})


def test_unknown_user_is_refused(client: Client, server: RunningServer) -> None:
    outcome = client.log_in(server.registry, Account("nobody-here", "Some-horse-9"), check=False)

    assert_unauthorized(outcome)


def test_rotated_robot_secret(
    client: Client, server: RunningServer, management: Management, project: str
) -> None:
    old = management.create_robot(project, "pull", "push")
    assert client.log_in(server.registry, old.account).succeeded

    new = management.rotate_robot_secret(old)

    client.log_out()
    assert client.log_in(server.registry, new.account).succeeded
    client.log_out()
    assert_unauthorized(client.log_in(server.registry, old.account, check=False))


def test_disabled_robot_is_refused(
    client: Client, server: RunningServer, management: Management, project: str
) -> None:
    robot = management.create_robot(project, "pull")
    assert client.log_in(server.registry, robot.account).succeeded

    management.disable_robot(robot)

    client.log_out()
    assert_unauthorized(client.log_in(server.registry, robot.account, check=False))


def test_expired_robot_is_refused(
    client: Client,
    server: RunningServer,
    management: Management,
    project: str,
    records: Records,
) -> None:
    robot = management.create_robot(project, "pull")
    assert client.log_in(server.registry, robot.account).succeeded

    records.change(
        "UPDATE robots_robot SET expires_at = %s WHERE id = %s",
        datetime.now(UTC) - timedelta(seconds=1),
        robot.id,
    )

    client.log_out()
    assert_unauthorized(client.log_in(server.registry, robot.account, check=False))


def test_personal_token_in_place_of_the_password(
    client: Client, server: RunningServer, management: Management, developer: Account
) -> None:
    token = management.create_token(developer, "repository:pull")

    assert client.log_in(server.registry, token).succeeded
