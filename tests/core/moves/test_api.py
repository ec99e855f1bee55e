"""Moves over the management API."""

import pytest

from core.artifacts.models import Repository
from tests.core.api.cast import Cast, body_of, errors_of, make_cast, rows_of
from tests.factories.members import make_member
from tests.factories.projects import make_project, make_repository

pytestmark = pytest.mark.django_db

APP = "/projects/secret/repositories/app"


@pytest.fixture
def cast() -> Cast:
    made = make_cast()
    make_repository(made.project, "app")
    return made


def test_a_project_is_renamed(cast: Cast) -> None:
    owner = cast["owner"]
    make_project("taken")
    for name, status in {"taken": 409, "secret": 409, "A b": 400, "": 422}.items():
        answer = owner.post("/projects/secret/rename", {"project_name": name})
        assert (answer.status_code, bool(errors_of(answer))) == (status, True), name
    answer = owner.post("/projects/secret/rename", {"project_name": "open"})
    assert (answer.status_code, body_of(answer)) == (200, {"name": "open"})
    assert owner.get("/projects/secret").status_code == 403
    assert owner.get("/projects/open/repositories/app").status_code == 200
    [redirect] = rows_of(owner.get("/projects/open/repositories/app/redirects"))
    assert redirect["name"] == "secret/app"
    assert owner.delete("/projects/open/repositories/app/redirects").status_code == 200
    assert rows_of(owner.get("/projects/open/repositories/app/redirects")) == []


@pytest.mark.parametrize(
    ("role", "status"),
    [("projectAdmin", 200), ("developer", 200), ("guest", 403), (None, 403)],
)
def test_a_transfer_needs_rights_on_both_sides(cast: Cast, role: str | None, status: int) -> None:
    target = make_project("target")
    if role is not None:
        make_member(target, cast.users["maintainer"], role)
    answer = cast["maintainer"].post(f"{APP}/transfer", {"project": "target"})
    assert answer.status_code == status
    moved = Repository.objects.filter(name="target/app", project=target)
    assert moved.exists() == (status == 200)


def test_a_missing_target_looks_like_a_hidden_one(cast: Cast) -> None:
    make_project("hidden")
    messages = set()
    for name in ("hidden", "missing", "Not a name"):
        answer = cast["owner"].post(f"{APP}/transfer", {"project": name})
        assert answer.status_code == 403
        messages.add(errors_of(answer)[0]["message"])
    assert len(messages) == 1
    assert cast["admin"].post(f"{APP}/transfer", {"project": "missing"}).status_code == 404
