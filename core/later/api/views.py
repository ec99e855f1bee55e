"""Views made from the table: one for each path, one method for each of its operations."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from core.api.documentation import operation
from core.api.errors import BadRequest, NotFound
from core.api.permissions import Access, Deferred, SignedIn
from core.api.views import ManagementView
from core.artifacts.api.scope import RepositoryScopedView
from core.later.errors import FeatureMissing
from core.later.table import LATER
from core.later.types import Answer, Later, LaterFeature
from core.projects.api.scope import ProjectView
from core.projects.errors import ProjectUnknown
from core.projects.models import Project
from core.projects.queries import target_of
from core.rbac.types import Target
from core.users.api.views import SubjectView

_BIGGEST_ID = (1 << 63) - 1


class LaterView(ManagementView):
    """A resource of a feature that is missing."""

    features: ClassVar[dict[str, str]] = {}

    def ensure_named(self, later: Later) -> None:
        """Refuse what the path names in vain."""

    def answer(self, later: Later) -> Response:
        """Answer as a fresh installation does, or refuse."""
        if later.project_in:
            self._authorize_in_body(later)
        self.ensure_named(later)
        if later.only is not None and self.kwargs[later.only[0]].lower() != later.only[1]:
            raise BadRequest("{} must be {}.".format(*later.only))
        if later.answer is Answer.ROWS:
            return self.page_of((), Serializer)
        if later.answer is Answer.UNPAGED:
            return Response([])
        if later.answer is Answer.SHOWN:
            return Response({key: _value(value) for key, value in later.shown.items()})
        if later.answer is Answer.NOTHING_THERE:
            raise NotFound
        feature = self.features[later.method]
        raise FeatureMissing(f"{feature}: this feature is not part of this version.")

    def _authorize_in_body(self, later: Later) -> None:
        """Authorize on the project that the body names."""
        value = _inside(self.request.data, later.project_in)
        project = None
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _BIGGEST_ID:
            project = Project.objects.filter(pk=value).first()
        target = Target(project_name="-") if project is None else target_of(project)
        self.authorize(later.permission, target)
        if project is None:
            where = ".".join(map(str, later.project_in))
            if value is None:
                raise BadRequest(f"{where}: the id of a project is needed.")
            raise ProjectUnknown


class LaterPersonView(LaterView, SubjectView):
    """The same of one person: for that person, and for whoever administers people."""

    def ensure_named(self, later: Later) -> None:
        """Authorize on the person. Raises ``UserUnknown``."""
        self.find_user(later.permission)


class LaterProjectView(LaterView, ProjectView):
    """The same below a project."""


class LaterArtifactView(LaterView, RepositoryScopedView):
    """The same below an artifact."""

    def ensure_named(self, later: Later) -> None:
        """Insist on the artifact. Raises ``ManifestUnknown``."""
        _ = self.manifest


def routes() -> list[URLPattern]:
    """Return the route of each path of the table."""
    views: dict[str, dict[str, tuple[LaterFeature, Later]]] = {}
    for feature, later in _operations():
        views.setdefault(later.path, {})[later.method] = (feature, later)
    return [path(where, _view(operations).as_view()) for where, operations in views.items()]


def _operations() -> Iterator[tuple[LaterFeature, Later]]:
    for feature in LATER:
        for later in feature.operations:
            yield feature, later


def _view(operations: dict[str, tuple[LaterFeature, Later]]) -> type[LaterView]:
    base: type[LaterView] = LaterView
    _feature, any_of_them = next(iter(operations.values()))
    if "<repository_name:" in any_of_them.path:
        base = LaterArtifactView
    elif "<identifier:user_id>" in any_of_them.path:
        base = LaterPersonView
    elif any_of_them.path.startswith("projects/"):
        base = LaterProjectView
    members: dict[str, Any] = {
        "__doc__": "A resource of a feature that is missing.",
        "access": {method: _access(later) for method, (_, later) in operations.items()},
        "features": {method: feature.name for method, (feature, _) in operations.items()},
    }
    for method, (feature, later) in operations.items():
        members[method.lower()] = _method(feature, later)
    return type("LaterResourceView", (base,), members)


def _access(later: Later) -> Access:
    if later.project_in:
        return Deferred(later.permission, "the body names the project")
    if later.own and "<identifier:user_id>" in later.path:
        return Deferred(later.permission, "about others only for those who administer people")
    if later.own:
        return SignedIn(later.permission, "callers are answered about themselves, or about nobody")
    return later.permission


def _method(feature: LaterFeature, later: Later) -> Callable[..., Response]:
    is_list = later.answer in (Answer.ROWS, Answer.UNPAGED)
    refuses = later.answer in (Answer.REFUSED, Answer.NOTHING_THERE)
    has_body = later.answer is Answer.REFUSED and later.method != "GET"

    @operation(
        later.summary,
        tag=feature.tag,
        body=OpenApiTypes.OBJECT if has_body and later.method != "DELETE" else None,
        answer=None if refuses else list[dict[str, Any]] if is_list else OpenApiTypes.OBJECT,
        status=None if refuses else 200,
        is_list=later.answer is Answer.ROWS,
        has_query=later.answer is Answer.ROWS,
        errors=(501,) if later.answer is Answer.REFUSED else (),
        later=feature.name,
    )
    def handle(self: LaterView, request: Request, **_names: object) -> Response:
        return self.answer(later)

    return handle


def _value(shown: Any) -> Any:
    return shown() if callable(shown) else shown


def _inside(body: Any, keys: tuple[str | int, ...]) -> Any:
    """Return what the keys lead to in a document, None when there is nothing."""
    for key in keys:
        if isinstance(key, str) and isinstance(body, dict):
            body = body.get(key)
        elif isinstance(key, int) and isinstance(body, list) and len(body) > key:
            body = body[key]
        else:
            return None
    return body
