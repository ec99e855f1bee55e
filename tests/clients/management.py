"""Projects, people and robots set up through the management API, as an administrator would."""

import itertools
import json
import os
from dataclasses import dataclass
from typing import Any

from tests.clients.protocol import Account, Answer, Registry

PASSWORD = "Correct-horse-9"
ROLES = {"projectAdmin": 1, "developer": 2, "guest": 3, "maintainer": 4, "limitedGuest": 5}

_numbers = itertools.count(1)
_session = os.urandom(3).hex()


def unique(word: str) -> str:
    """Return a name that nothing else has, in this run or another on the same server."""
    return f"{word}-{_session}-{next(_numbers)}"


@dataclass(frozen=True, slots=True)
class Robot:
    """A robot as its creator sees it."""

    id: int
    account: Account


class Management:
    """The REST API under /api/v2.0 as one account uses it."""

    def __init__(self, address: str, account: Account) -> None:
        """Take `address` as host and port."""
        self._registry = Registry(address, account)

    def create_project(self, *, is_public: bool = False) -> str:
        """Create a project and return its name."""
        name = unique("project")
        body = {"project_name": name, "metadata": {"public": str(is_public).lower()}}
        self.call("POST", "projects", body, expect=201)
        return name

    def create_user(self) -> Account:
        """Create somebody without any membership."""
        name = unique("user")
        body = {
            "username": name,
            "password": PASSWORD,
            "email": f"{name}@example.org",
            "realname": name,
        }
        self.call("POST", "users", body, expect=201)
        return Account(name, PASSWORD)

    def create_member(self, project: str, role: str) -> Account:
        """Create somebody with a role in a project."""
        account = self.create_user()
        self.add_member(project, account, role)
        return account

    def add_member(self, project: str, account: Account, role: str) -> None:
        """Give somebody a role in a project."""
        body = {"role_id": ROLES[role], "member_user": {"username": account.username}}
        self.call("POST", f"projects/{project}/members", body, expect=201)

    def remove_member(self, project: str, account: Account) -> None:
        """End somebody's membership."""
        listed = self.call(
            "GET", f"projects/{project}/members?entityname={account.username}", expect=200
        ).json
        (member,) = [each for each in listed if each["entity_name"] == account.username]
        self.call("DELETE", f"projects/{project}/members/{member['id']}", expect=200)

    def create_robot(self, project: str, *actions: str) -> Robot:
        """Create a robot of a project that may do these actions with its repositories."""
        body = {
            "name": unique("robot"),
            "level": "project",
            "duration": 30,
            "permissions": [
                {
                    "kind": "project",
                    "namespace": project,
                    "access": [{"resource": "repository", "action": each} for each in actions],
                }
            ],
        }
        made = self.call("POST", "robots", body, expect=201).json
        return Robot(made["id"], Account(made["name"], made["secret"]))

    def create_token(self, owner: Account, *scopes: str) -> Account:
        """Let somebody make a personal access token; return the login with it."""
        own = Management(self._registry.address, owner)
        body = {"name": unique("token"), "scopes": list(scopes)}
        made = own.call("POST", "users/current/tokens", body, expect=201).json
        return Account(owner.username, made["secret"])

    def rotate_robot_secret(self, robot: Robot) -> Robot:
        """Replace the secret of a robot."""
        made = self.call("PATCH", f"robots/{robot.id}", {"secret": ""}, expect=200).json
        return Robot(robot.id, Account(robot.account.username, made["secret"]))

    def disable_robot(self, robot: Robot) -> None:
        """Forbid a robot to log in."""
        shown = self.call("GET", f"robots/{robot.id}", expect=200).json
        self.call("PUT", f"robots/{robot.id}", shown | {"disable": True}, expect=200)

    def call(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, expect: int
    ) -> Answer:
        """Make one call. AssertionError when the status is another than expected."""
        answer = self._registry.request(
            method,
            f"/api/v2.0/{path}",
            body=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        assert answer.status == expect, (method, path, answer.status, answer.body[:2_000])
        return answer
