"""A private project with something of everything in it, and the routes that lead there."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import connection
from django.test import override_settings
from django.urls import URLPattern, URLResolver

from core.api.views import ManagementView
from core.artifacts.models import Repository, TrashEntry
from core.artifacts.services.tags import delete_tag
from core.grants.services import grant_repository
from core.labels.models import Label
from core.members.models import Membership
from core.quotas.models import Quota
from core.rbac.types import Actor
from core.robots.models import Robot
from core.storage.selection import default_driver
from tests.core.api.cast import Cast, make_cast, undone
from tests.factories.artifacts import make_image
from tests.factories.browser_sessions import make_browser_session
from tests.factories.labels import make_label, put_label
from tests.factories.members import make_group, make_role
from tests.factories.tag_rules import make_tag_rule

PROJECT_ID = 731_000_001


@dataclass(frozen=True)
class Stage:
    """The cast and the ids of what the paths name."""

    cast: Cast
    ids: dict[str, int]

    def path(self, template: str) -> str:
        for name, value in self.ids.items():
            template = template.replace(f"{{{name}}}", str(value))
        return template

    def body(self, template: Any) -> Any:
        if isinstance(template, dict):
            return {key: self.body(value) for key, value in template.items()}
        if isinstance(template, list):
            return [self.body(value) for value in template]
        if isinstance(template, str) and template.startswith("{"):
            return self.ids[template.strip("{}")]
        return template


@contextmanager
def set_stage(directory: Path, project: str = "secret", tag: str = "v1") -> Iterator[Stage]:
    """Make everything, with content in the directory, until the block ends."""
    with undone(), override_settings(STORAGE_ROOT=directory):
        default_driver.cache_clear()
        # An id of a project that nothing else in an answer is like.
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER SEQUENCE projects_project_id_seq RESTART WITH {PROJECT_ID}")
            # Those of the examples of the API are the first.
            cursor.execute("ALTER SEQUENCE users_user_id_seq RESTART WITH 1")
            cursor.execute("ALTER SEQUENCE labels_label_id_seq RESTART WITH 1")
            cursor.execute("ALTER SEQUENCE auth_group_id_seq RESTART WITH 1")
        cast = make_cast(project)
        make_image(cast.project, "gone", path="team/app")
        delete_tag(f"{project}/team/app", "gone", actor=Actor.system())
        image = make_image(cast.project, tag, path="team/app")
        ids = ids_of(cast)
        put_label(Label.objects.get(pk=ids["label"]), image.id)
        yield Stage(cast, ids)
        default_driver.cache_clear()


def ids_of(cast: Cast) -> dict[str, int]:
    group = make_group("team", cast.users["outsider"])
    grant_repository(
        Repository.objects.get(name=f"{cast.project.name}/team/app"),
        user=cast.users["limited"],
        permission="pull",
        actor=Actor.system(),
    )
    return {
        "project": cast.project.pk,
        "quota": Quota.objects.get(project=cast.project).pk,
        "outsider": cast.users["outsider"].pk,
        "guest": cast.users["guest"].pk,
        "limited": cast.users["limited"].pk,
        "group": group.pk,
        "session": make_browser_session(cast.users["outsider"]).session.pk,
        "role": make_role("custom", ["tag:list"]).pk,
        "member": Membership.objects.get(user=cast.users["guest"]).pk,
        "label": make_label(project=cast.project).pk,
        "global_label": make_label("approved").pk,
        "rule": make_tag_rule(cast.project, tags="release-*").pk,
        "robot": Robot.objects.get(project=cast.project).pk,
        "entry": TrashEntry.objects.get().pk,
        "system_robot": Robot.objects.get(project=None).pk,
    }


def management_routes(
    patterns: list[URLPattern | URLResolver], prefix: str = ""
) -> Iterator[tuple[str, type[ManagementView]]]:
    for pattern in patterns:
        where = f"{prefix}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            yield from management_routes(pattern.url_patterns, where)
            continue
        view = getattr(pattern.callback, "view_class", None)
        if view is not None and issubclass(view, ManagementView):
            yield where, view
