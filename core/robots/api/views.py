"""Robots of projects and of the system."""

from datetime import timedelta
from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.errors import BadRequest
from core.api.permissions import Access, Deferred
from core.api.views import ManagementView
from core.projects.errors import ProjectUnknown
from core.projects.models import Project
from core.projects.queries import find_project, target_of
from core.rbac.rules import EVERY_PROJECT
from core.rbac.services import allowed
from core.rbac.types import Target
from core.robots import queries, services
from core.robots.api.filters import LEVEL_PROJECT, ROBOT_LISTING, project_of_query
from core.robots.api.serializers import (
    KIND_PROJECT,
    RobotCreatedSerializer,
    RobotCreateSerializer,
    RobotSecretRequestSerializer,
    RobotSecretSerializer,
    RobotSerializer,
    RobotUpdateSerializer,
    wanted_permissions,
)
from core.robots.errors import RobotUnknown
from core.robots.models import Robot
from core.robots.types import UNCHANGED
from core.system_settings.queries import committed


class RobotsView(ManagementView):
    """The robots of one project or of the system."""

    access: ClassVar[dict[str, Access]] = {
        "GET": Deferred("robot:list", "q names the level and the project"),
        "POST": Deferred("robot:create", "the body names the level and the project"),
    }

    @operation("List robots", tag="robots", answer=RobotSerializer, is_list=True, has_query=True)
    def get(self, request: Request) -> Response:
        """Return robots by name: the system's, or with q=Level=project,ProjectID=n a project's."""
        project_id = project_of_query(request.query_params.get("q", ""))
        project = None
        if project_id is not None:
            project = self._authorized(
                "robot:list",
                Project.objects.filter(pk=project_id).first(),
                str(project_id),
                "ProjectID",
            )
        else:
            self.authorize("robot:list", Target.of_system())
        return self.page(queries.list_robots(project), RobotSerializer, ROBOT_LISTING)

    @operation(
        "Create a robot",
        tag="robots",
        body=RobotCreateSerializer,
        answer=RobotCreatedSerializer,
        status=201,
        errors=(409,),
    )
    def post(self, request: Request) -> Response:
        """Create a robot; the answer is the only one that shows its secret, made or chosen."""
        wanted = self.parse(RobotCreateSerializer)
        project = self._project_for(wanted)
        created = services.create_robot(
            wanted["name"],
            project=project,
            permissions=wanted_permissions(wanted["permissions"]),
            duration_days=wanted.get("duration") or committed().robot_token_duration,
            description=wanted.get("description", ""),
            is_disabled=wanted["disable"],
            chosen_secret=wanted["secret"],
            actor=self.actor,
        )
        body = RobotCreatedSerializer(created.robot, context={"secret": created.secret})
        return self.created(created.robot.pk, body.data)

    def _project_for(self, wanted: dict[str, Any]) -> Project | None:
        """Return the project of a new robot, None for the system; authorized."""
        if wanted["level"] != LEVEL_PROJECT:
            self.authorize("robot:create", Target.of_system())
            return None
        if any(entry["kind"] != KIND_PROJECT for entry in wanted["permissions"]):
            raise BadRequest('permissions.kind must be "project" for a robot of a project.')
        namespaces = {entry["namespace"] for entry in wanted["permissions"]}
        if len(namespaces) != 1 or namespaces == {EVERY_PROJECT}:
            raise BadRequest("permissions: a project's robot names exactly one project.")
        name = namespaces.pop()
        return self._authorized("robot:create", find_project(name), name, "permissions.namespace")

    def _authorized(
        self, permission: str, project: Project | None, name: str, member: str
    ) -> Project:
        target = Target(project_name=name) if project is None else target_of(project)
        self.authorize(permission, target)
        if project is None:
            raise ProjectUnknown(f"{member}: {ProjectUnknown.default_message}")
        return project


class RobotView(ManagementView):
    """One robot."""

    access: ClassVar[dict[str, Access]] = {
        "GET": Deferred("robot:read", "the robot's own project decides"),
        "PUT": Deferred("robot:update", "the robot's own project decides"),
        "PATCH": Deferred("robot:update", "the robot's own project decides"),
        "DELETE": Deferred("robot:delete", "the robot's own project decides"),
    }
    exact = frozenset({"PATCH"})
    moved_by_use = frozenset({"last_used_at"})

    def find_robot(self, permission: str) -> Robot:
        """Authorize and return the robot. Raises ``RobotUnknown`` only for those who may know."""
        robot = Robot.objects.select_related("project").filter(pk=self.kwargs["robot_id"]).first()
        project = robot.project if robot is not None else None
        if project is not None and not allowed(self.actor, permission, target_of(project)):
            # From here on it is a robot that does not exist.
            robot = project = None
        self.authorize(permission, Target.of_system() if project is None else target_of(project))
        if robot is None:
            raise RobotUnknown
        return robot

    @operation("Get a robot", tag="robots", answer=RobotSerializer)
    def get(self, request: Request, robot_id: int) -> Response:
        """Return the robot."""
        return Response(RobotSerializer(self.find_robot("robot:read")).data)

    @operation("Update a robot", tag="robots", body=RobotUpdateSerializer)
    def put(self, request: Request, robot_id: int) -> Response:
        """Change what the body names; name and level stay."""
        robot = self.find_robot("robot:update")
        wanted = self.parse(RobotUpdateSerializer)
        _ensure_same(robot, wanted)
        permissions = wanted.get("permissions")
        services.update_robot(
            robot,
            permissions=None if permissions is None else wanted_permissions(permissions),
            description=wanted.get("description"),
            duration_days=wanted.get("duration", UNCHANGED),
            is_disabled=wanted.get("disable"),
            actor=self.actor,
        )
        return self.done()

    @operation(
        "Rotate a robot's secret",
        tag="robots",
        body=RobotSecretRequestSerializer,
        answer=RobotSecretSerializer,
    )
    def patch(self, request: Request, robot_id: int) -> Response:
        """Make a new secret, shown once, or take the one that is given, which is not shown.

        ``overlap_seconds`` keeps the old one for a while. Other members of a robot may be sent
        along and mean nothing; what is not known is refused.
        """
        robot = self.find_robot("robot:update")
        wanted = self.parse(RobotSecretRequestSerializer)
        chosen = wanted["secret"] or ""
        rotated = services.rotate_secret(
            robot,
            overlap=timedelta(seconds=wanted["overlap_seconds"]),
            chosen_secret=chosen,
            actor=self.actor,
        )
        return Response(RobotSecretSerializer({"secret": "" if chosen else rotated.secret}).data)

    @operation("Delete a robot", tag="robots")
    def delete(self, request: Request, robot_id: int) -> Response:
        """Delete the robot; everything issued to it ends."""
        services.delete_robot(self.find_robot("robot:delete"), actor=self.actor)
        return self.done()


def _ensure_same(robot: Robot, wanted: dict[str, Any]) -> None:
    if wanted.get("name") not in (None, "", robot.name, queries.login_name(robot)):
        raise BadRequest("name: the name of a robot cannot be changed.")
    level = LEVEL_PROJECT if robot.project_id is not None else "system"
    if wanted.get("level") not in (None, "", level):
        raise BadRequest("level: the level of a robot cannot be changed.")
