"""What the configuration of an artifact says is the same whoever is first to ask."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from django.db import connection

from core.artifacts.models import Manifest, Tag
from core.artifacts.services.copies import copy_artifact
from core.configurations.services import update_settings
from core.projects.models import Project
from core.rbac.types import Actor
from tests.core.api.cast import Caller, body_of, caller_of
from tests.factories.artifacts import PUSHER, image_document, make_blob, push
from tests.factories.projects import make_project
from tests.factories.users import make_user
from tests.support.read_only import read_only_database

APP = "/projects/team/repositories/app"
# In an order and with numbers that PostgreSQL keeps otherwise.
CONFIG = b"""{"architecture": "arm64", "os": "linux", "variant": "v8", "author": "somebody",
 "created": "2026-01-01T00:00:00Z", "config": {"Healthcheck": {"Interval": 3e10, "Retries": -0.0},
 "Env": ["A=1"], "User": "me", "Labels": {"quay.expires-after": "2w", "a": "\\u00e4"}}}"""


@pytest.fixture
def admin(project: Project) -> Caller:
    return caller_of(make_user("admin", is_system_admin=True))


def push_configured(project: Project, tag: str, **annotations: str) -> None:
    make_blob(project, CONFIG)
    push(project, image_document(CONFIG, annotations=annotations), tag)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("DELETE", f"{APP}/artifacts/v1", None, 200),
        ("POST", f"{APP}/artifacts/v1/tags", {"name": "v2"}, 201),
        ("DELETE", "/projects/team/repositories/copy/artifacts/v1", None, 200),
    ],
)
def test_the_first_answer_is_that_of_all_later_ones(
    admin: Caller, project: Project, method: str, path: str, body: object, status: int
) -> None:
    push_configured(project, "v1")
    copy_artifact(
        "team/app", "v1", target_name="team/copy", target_project_id=project.pk, actor=PUSHER
    )
    shown = path.removesuffix("/tags")
    first = admin.get(shown)
    assert list(body_of(first)["extra_attrs"]) == [
        *("os", "author", "config", "created", "variant", "architecture")
    ]
    assert ("expires_at" in body_of(first)["tags"][0]) is ("copy" not in path)
    answer = admin.call(method, path, body, If_Match=first["ETag"])
    assert answer.status_code == status, answer.content
    assert Manifest.objects.filter(extra_attrs__isnull=True).count() == 1


@contextmanager
def read_only() -> Iterator[None]:
    update_settings({"read_only": True}, actor=Actor.system())
    yield
    update_settings({"read_only": False}, actor=Actor.system())


@contextmanager
def held_by_somebody_else() -> Iterator[None]:
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT FROM artifacts_manifest FOR UPDATE")
            yield
    finally:
        other.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("obstacle", [read_only, read_only_database, held_by_somebody_else])
def test_what_cannot_be_kept_yet_is_shown_as_it_will_be(
    obstacle: Callable[[], AbstractContextManager[None]],
) -> None:
    project, admin = make_project("team"), caller_of(make_user("admin", is_system_admin=True))
    push_configured(project, "v1")
    push_configured(project, "v2", other="x")
    with obstacle():
        before = [admin.get(f"{APP}/artifacts{path}") for path in ("/v1", "/v2", "")]
        assert Tag.objects.filter(awaits_life=True).count() == 2
    after = [admin.get(f"{APP}/artifacts{path}") for path in ("/v1", "/v2", "")]
    assert not Tag.objects.filter(awaits_life=True).exists()
    assert [answer.content for answer in before] == [answer.content for answer in after]
    assert [answer.get("ETag") for answer in before] == [answer.get("ETag") for answer in after]
