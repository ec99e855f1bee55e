"""The people and robots who call the management API in tests, and how they call it."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.test import Client

from core.api.converters import decoded_path
from core.projects.models import Project
from core.rbac.permissions import SYSTEM_ROBOT_PERMISSIONS
from core.users.models import User
from tests.factories.members import make_member
from tests.factories.projects import make_project
from tests.factories.robots import make_robot
from tests.factories.users import PASSWORD, make_user

BASE = "/api/v2.0"
ROLES = {
    "owner": "projectAdmin",
    "maintainer": "maintainer",
    "developer": "developer",
    "guest": "guest",
    "limited": "limitedGuest",
}
ACTORS = ("admin", *ROLES, "outsider", "anonymous", "project_robot", "system_robot")
PROJECT_ROBOT = (
    "project:read",
    "repository:list",
    "repository:read",
    "repository:pull",
    "repository:push",
    "artifact:list",
    "artifact:read",
    "tag:list",
    "tag:create",
)


@dataclass
class Caller:
    """Somebody who sends requests, with the header that proves who."""

    name: str
    authorization: str | None = None
    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        content_type: str = "application/json",
        **headers: str,
    ) -> HttpResponse:
        """Send one request; ``path`` is below the API's base unless it begins with /api or /c."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.authorization is not None:
            sent["Authorization"] = self.authorization
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        where = path if path.startswith(("/api", "/c/")) else BASE + path
        response: HttpResponse = self.client.generic(
            method,
            where,
            data,
            content_type=content_type,
            headers=sent,
            # As the server has it; the test client would take encoded slashes for plain ones.
            PATH_INFO=decoded_path(where.partition("?")[0].encode()).encode().decode("latin-1"),
        )
        return response

    def get(self, path: str, **headers: str) -> HttpResponse:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> HttpResponse:
        return self.call("POST", path, body, **headers)

    def put(self, path: str, body: Any = None, **headers: str) -> HttpResponse:
        return self.call("PUT", path, body, **headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> HttpResponse:
        return self.call("PATCH", path, body, **headers)

    def delete(self, path: str, **headers: str) -> HttpResponse:
        return self.call("DELETE", path, **headers)


def basic(username: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{secret}".encode()).decode()


def caller_of(user: User) -> Caller:
    """Return a caller with the password that ``make_user`` gives."""
    return Caller(user.username, basic(user.username, PASSWORD))


def bearer(secret: str) -> Caller:
    return Caller("token", f"Bearer {secret}")


def anonymous() -> Caller:
    return Caller("anonymous")


@dataclass
class Cast:
    """One private project and everybody who stands in some relation to it."""

    project: Project
    users: dict[str, User]
    callers: dict[str, Caller]

    def __getitem__(self, name: str) -> Caller:
        return self.callers[name]


def make_cast(project_name: str = "secret") -> Cast:
    """Store a private project with one member of each role, outsiders and robots."""
    project = make_project(project_name)
    users = {"admin": make_user("boss", is_system_admin=True), "outsider": make_user("outsider")}
    for name, role in ROLES.items():
        users[name] = make_user(name)
        make_member(project, users[name], role)
    callers = {name: caller_of(user) for name, user in users.items()}
    robot = make_robot("ci", project=project, permissions={project_name: PROJECT_ROBOT})
    system = make_robot(
        "sys", project=None, permissions={"/": SYSTEM_ROBOT_PERMISSIONS, "*": PROJECT_ROBOT}
    )
    callers["project_robot"] = Caller("ci", basic(f"robot-{project_name}+ci", robot.secret))
    callers["system_robot"] = Caller("sys", basic("robot-sys", system.secret))
    callers["anonymous"] = anonymous()
    return Cast(project, users, callers)


@contextmanager
def undone() -> Iterator[None]:
    """Take back what happens inside; services may open their outermost block in it."""
    block = transaction.atomic()
    block._from_testcase = True  # type: ignore[attr-defined]
    with block:
        yield
        connection.set_rollback(True)


def errors_of(response: HttpResponse) -> list[dict[str, str]]:
    """Return the errors of a response in its envelope."""
    body = json.loads(response.content)
    assert set(body) == {"errors"}, body
    for error in body["errors"]:
        assert set(error) == {"code", "message"}
        assert error["message"]
    found: list[dict[str, str]] = body["errors"]
    return found


def rows_of(response: HttpResponse) -> list[dict[str, Any]]:
    """Return the rows of a list."""
    assert response.status_code == 200, response.content
    rows: list[dict[str, Any]] = json.loads(response.content)
    assert isinstance(rows, list)
    return rows


def body_of(response: HttpResponse) -> dict[str, Any]:
    """Return the object of a response."""
    body: dict[str, Any] = json.loads(response.content)
    return body


def file_of(response: HttpResponseBase) -> str:
    """Return the text of a list that comes as a file."""
    assert response.status_code == 200, getattr(response, "content", b"")
    assert isinstance(response, StreamingHttpResponse)
    return response.getvalue().decode()
