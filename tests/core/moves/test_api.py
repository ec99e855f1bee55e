"""Moves over the management API."""

import pytest

from core.artifacts.models import Repository
from core.artifacts.queries import find_redirected_target
from core.audit.models import AuditEntry
from core.authn.services import create_personal_token
from tests.core.api.cast import Cast, bearer, body_of, errors_of, make_cast, rows_of
from tests.factories.members import make_member
from tests.factories.projects import make_project, make_repository
from tests.factories.users import actor_of

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


def test_a_transfer_may_stay_in_its_project(cast: Cast) -> None:
    answer = cast["owner"].post(f"{APP}/transfer", {})
    assert answer.status_code == 422
    assert "project or repository" in errors_of(answer)[0]["message"]
    answer = cast["owner"].post(f"{APP}/transfer", {"repository": "sub/app"})
    assert (answer.status_code, answer.json()) == (200, {"name": "secret/sub/app"})


def test_former_names_in_hidden_projects_are_shown_to_nobody_else(cast: Cast) -> None:
    target = make_project("open", is_public=True)
    make_member(target, cast.users["owner"], "projectAdmin")
    assert cast["owner"].post(f"{APP}/transfer", {"project": "open"}).status_code == 200
    moved = "/projects/open/repositories"
    again = {"project": "open", "repository": "sub/app"}
    assert cast["owner"].post(f"{moved}/app/transfer", again).status_code == 200
    path = f"{moved}/sub%252Fapp/redirects"
    for name, sees_all in {
        "owner": True,
        "guest": True,
        "project_robot": True,
        "admin": True,
        "outsider": False,
        "anonymous": False,
    }.items():
        expected = ["open/app", "secret/app"] if sees_all else ["open/app"]
        answer = cast[name].get(path)
        assert [row["name"] for row in rows_of(answer)] == expected, name
        assert answer["X-Total-Count"] == str(len(expected))
    user = cast.users["guest"]
    token = create_personal_token(
        user,
        name="t",
        scopes=["management:read"],
        project_names=["open"],
        actor=actor_of(user),
    )
    assert [row["name"] for row in rows_of(bearer(token.secret).get(path))] == ["open/app"]


def test_former_names_are_shown_while_they_lead_there(cast: Cast) -> None:
    assert cast["owner"].post("/projects/secret/rename", {"project_name": "new"}).status_code == 200
    path = "/projects/new/repositories/app/redirects"

    def shown(name: str) -> list[str]:
        answer = cast[name].get(path)
        rows = [row["name"] for row in rows_of(answer)]
        assert answer["X-Total-Count"] == str(len(rows))
        return rows

    assert shown("admin") == shown("guest") == ["secret/app"]
    assert find_redirected_target("secret/app", "user:1").repository_id is not None
    taken = make_project("secret", is_public=True)
    assert shown("admin") == shown("guest") == []
    assert find_redirected_target("secret/app", "user:1").repository_id is None
    # Until the row is removed, the name would lead on once that project has gone.
    taken.delete()
    assert shown("admin") == ["secret/app"]
    assert find_redirected_target("secret/app", "user:1").repository_id is not None


@pytest.mark.parametrize("is_public", [False, True])
def test_entries_name_no_hidden_project_to_those_of_another(cast: Cast, is_public: bool) -> None:
    target = make_project("target", is_public=is_public)
    make_member(target, cast.users["owner"], "projectAdmin")
    assert cast["owner"].post(f"{APP}/transfer", {"project": "target"}).status_code == 200
    moved = "/projects/target/repositories/app"
    assert cast["owner"].delete(f"{moved}/redirects").status_code == 200
    entries = AuditEntry.objects.filter(action="repository.transferred")
    shown = {entry.project_name: (entry.target_label, entry.detail) for entry in entries}
    public = {"to": "target/app"} if is_public else {}
    assert shown == {
        "secret": ("secret/app", {"from": "secret/app", **public}),
        "target": ("target/app", {"to": "target/app"}),
    }
    ended = AuditEntry.objects.get(action="repository.redirects.ended")
    assert ended.detail == {"number": 1, "names": []}
    make_member(cast.project, cast.users["outsider"], "projectAdmin")
    log = cast["outsider"].get("/projects/secret/auditlog-exts?page_size=100")
    assert ("target" in log.content.decode()) is is_public
