"""The base of every view below ``/projects/{project}``, in whichever feature it lives."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.functional import cached_property
from rest_framework.request import Request

from core.api.flags import header_flag
from core.api.views import ManagementView
from core.projects.errors import ProjectUnknown
from core.projects.models import Project
from core.projects.queries import target_of
from core.rbac.types import Target

_BIGGEST_ID = (1 << 63) - 1


class ProjectView(ManagementView):
    """A resource of the project that the path names.

    The path holds ``project`` (id or name) or ``project_name``. Whoever may not know of the
    project is refused before it is looked for in vain, so a missing project is
    indistinguishable from a hidden one.
    """

    names_by_id: ClassVar[bool] = True

    @cached_property
    def found_project(self) -> Project | None:
        """The named project, or None."""
        text = str(self.kwargs.get("project") or self.kwargs.get("project_name") or "")
        is_name = header_flag(self.request, "X-Is-Resource-Name")
        if self.names_by_id and not is_name and text.isascii() and text.isdigit():
            number = int(text) if len(text) < 20 else _BIGGEST_ID + 1
            return None if number > _BIGGEST_ID else Project.objects.filter(pk=number).first()
        return Project.objects.filter(name=text).first()

    @property
    def project(self) -> Project:
        """The project. Raises ``ProjectUnknown``, which only those see who may."""
        if self.found_project is None:
            raise ProjectUnknown
        return self.found_project

    @property
    def target(self) -> Target:
        """The project; one without an id when there is none."""
        if self.found_project is None:
            return Target(project_name=str(next(iter(self.kwargs.values()), "")) or "-")
        return target_of(self.found_project)

    @property
    def named(self) -> Mapping[str, object]:
        """What the path names, with the project's id in place of its name."""
        others = {k: v for k, v in self.kwargs.items() if k not in ("project", "project_name")}
        return {**others, "project": self.project.pk}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authorize first, then insist that the project exists."""
        super().initial(request, *args, **kwargs)
        _ = self.project
