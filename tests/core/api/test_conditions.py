"""ETag, If-None-Match and If-Match on single objects."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from core.api import conditions
from core.api.views import ManagementView
from core.artifacts.models import Manifest, Repository, Tag, TrashEntry
from core.authn.models import BrowserSession, PersonalToken
from core.common.clock import now
from core.users.models import Group
from tests.core.api.cast import (
    BASE,
    Caller,
    Cast,
    basic,
    body_of,
    caller_of,
    errors_of,
    make_cast,
)
from tests.factories.artifacts import make_image, storage_in
from tests.factories.browser_sessions import make_browser_session
from tests.factories.members import make_group
from tests.factories.projects import make_project
from tests.factories.robots import make_robot
from tests.factories.users import PASSWORD, make_user

APP = "/projects/secret/repositories/app"


def test_a_tag_stands_for_what_the_caller_gets(cast: Cast) -> None:
    admin = cast["admin"]
    first = admin.get("/projects/secret")
    tag = first["ETag"]
    assert (
        tag
        == admin.get("/projects/secret")["ETag"]
        == admin.get(f"/projects/{cast.project.pk}")["ETag"]
    )
    assert tag.startswith('"')
    head = admin.call("HEAD", "/projects/secret")
    assert (head.status_code, head["ETag"], head.content) == (200, tag, b"")
    # The answer names the caller's own role.
    assert cast["guest"].get("/projects/secret")["ETag"] != tag
    admin.put("/projects/secret", {"metadata": {"public": "true"}})
    assert admin.get("/projects/secret")["ETag"] != tag


@pytest.mark.parametrize(
    ("header", "status"),
    [("{tag}", 304), ("W/{tag}", 304), ('"a", {tag}', 304), ("*", 304), ('"a"', 200), ("", 200)],
)
def test_who_has_it_already_gets_no_body(cast: Cast, header: str, status: int) -> None:
    tag = cast["guest"].get("/projects/secret")["ETag"]
    response = cast["guest"].get("/projects/secret", If_None_Match=header.replace("{tag}", tag))
    assert (response.status_code, response["ETag"]) == (status, tag)
    assert bool(response.content) is (status == 200)


def test_lists_and_what_nobody_can_change_have_no_tag(cast: Cast) -> None:
    for path in ("/projects", "/systeminfo", "/projects/secret/summary", "/projects/missing"):
        assert "ETag" not in cast["admin"].get(path)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize(
    ("header", "refused"),
    [
        ("{tag}", False),
        ("*", False),
        ('"old"', True),
        ("{tag}x", True),
        ("W/{tag}", True),
        ("", True),
        (" ", True),
        (",", True),
    ],
)
def test_changes_need_the_state_they_name(
    cast: Cast, method: str, header: str, refused: bool
) -> None:
    group = make_group("team")
    path = f"/usergroups/{group.pk}"
    tag = cast["admin"].get(path)["ETag"]
    response = cast["admin"].call(
        method, path, {"group_name": "crew"}, If_Match=header.replace("{tag}", tag)
    )
    assert response.status_code == (412 if refused else 200)
    if refused:
        assert errors_of(response)[0]["code"] == "PRECONDITION"
        assert Group.objects.get().name == "team"
    else:
        assert not Group.objects.filter(name="team").exists()


def test_conditions_tell_nothing_to_strangers(cast: Cast) -> None:
    for tag in ("*", '"old"'):
        response = cast["outsider"].put("/projects/secret", {}, If_Match=tag)
        assert response.status_code == 403
        assert cast["anonymous"].get("/projects/secret", If_None_Match=tag).status_code == 401
    assert cast["admin"].put("/projects/missing", {}, If_Match="*").status_code == 404
    too_long = cast["admin"].put("/projects/secret", {}, If_Match='"a",' * 3000)
    assert too_long.status_code == 400


def test_what_cannot_be_read_matches_nothing_but_any(cast: Cast) -> None:
    path = f"/users/{cast.users['outsider'].pk}/sysadmin"
    for tag, status in {'"a"': 412, "*": 200}.items():
        response = cast["admin"].put(path, {"sysadmin_flag": True}, If_Match=tag)
        assert response.status_code == status
    assert cast["admin"].put("/users/999999/sysadmin", {}, If_Match="*").status_code in (404, 422)


@pytest.mark.parametrize(
    ("shown", "change", "body"),
    [
        ("/projects/secret", "/projects/secret/rename", {"project_name": "other"}),
        (APP, f"{APP}/transfer", {"project": "secret", "repository": "moved"}),
        (f"{APP}/artifacts/v1", f"{APP}/artifacts/v1/tags", {"name": "v2"}),
        ("/projects/secret/trash/0", "/projects/secret/trash/0/restore", {}),
    ],
)
def test_posts_that_change_an_object_heed_its_tag(
    cast: Cast, tmp_path: Path, settings: Settings, shown: str, change: str, body: dict[str, Any]
) -> None:
    with storage_in(tmp_path, settings):
        make_image(cast.project, "v1")
        make_image(cast.project, "old", layers=(b"2",))
        assert cast["admin"].delete(f"{APP}/artifacts/old").status_code == 200
        entry = TrashEntry.objects.get(kind="manifest").pk
        shown, change = (path.replace("trash/0", f"trash/{entry}") for path in (shown, change))
        tag = cast["admin"].get(shown)["ETag"]
        for header in ('"old"', f"W/{tag}"):
            refused = cast["admin"].post(change, body, If_Match=header)
            assert (refused.status_code, errors_of(refused)[0]["code"]) == (412, "PRECONDITION")
            assert cast["admin"].get(shown)["ETag"] == tag
        assert cast["guest"].post(change, body, If_Match=tag).status_code == 403
        done = cast["admin"].post(change, body, If_Match=f'"old", {tag}')
        assert done.status_code in (200, 201), done.content
        # Whoever saw the same state is too late.
        assert cast["admin"].post(change, body, If_Match=tag).status_code in (404, 412)


def changed_at_once(requests: list[tuple[str, dict[str, Any]]], tag: str) -> list[int]:
    """Send all of these as an administrator, each with the tag; return the statuses."""
    barrier = Barrier(len(requests))

    def change(request: tuple[str, dict[str, Any]]) -> int:
        path, body = request
        caller = Caller("boss", basic("boss", PASSWORD))
        caller.get(path)
        barrier.wait()
        try:
            return caller.put(path, body, If_Match=tag).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(change, requests))


def test_use_is_shown_and_makes_no_change_fail(
    cast: Cast, tmp_path: Path, settings: Settings
) -> None:
    admin, later = cast["admin"], now() + timedelta(seconds=9)
    rights = {"secret": frozenset({"repository:list"})}
    robot = make_robot("used", project=cast.project, permissions=rights)
    token = PersonalToken.objects.create(
        user=cast.users["admin"], name="t", secret_hash=b"t", created_at=now()
    )
    session = make_browser_session(cast.users["guest"]).session
    sessions = f"/users/{cast.users['guest'].pk}/sessions"

    def log_in() -> None:
        login = "robot-secret+used"
        used = Caller(login, basic(login, robot.secret)).get("/projects/secret/repositories")
        assert used.status_code == 200

    cases: list[tuple[str, Callable[[], object], str]] = [
        (f"/robots/{robot.robot.pk}", log_in, "PUT"),
        (APP, lambda: Repository.objects.update(pull_count=7), "PUT"),
        (f"{APP}/artifacts/v1", lambda: Manifest.objects.update(last_pulled_at=later), "DELETE"),
        (f"{APP}/artifacts/v2", lambda: Tag.objects.update(last_pulled_at=later), "DELETE"),
        (
            f"/users/current/tokens/{token.pk}",
            lambda: PersonalToken.objects.update(last_used_at=later, last_used_address="::1"),
            "DELETE",
        ),
        (
            f"{sessions}/{session.pk}",
            lambda: BrowserSession.objects.update(last_seen_at=later, address="::1"),
            "DELETE",
        ),
    ]
    with storage_in(tmp_path, settings):
        make_image(cast.project, "v1")
        make_image(cast.project, "v2", layers=(b"2",))
        for path, use, method in cases:
            seen = admin.get(path)["ETag"]
            use()
            shown = admin.get(path, If_None_Match=seen)
            assert (shown.status_code, shown["ETag"] == seen) == (200, False), path
            assert admin.get(path, If_None_Match=shown["ETag"]).status_code == 304, path
            body = {"description": "new"} if method == "PUT" else None
            for tag, status in (
                ('"old"', 412),
                (f"W/{seen}", 412),
                (f"{seen}x", 412),
                (f'"old", {seen}', 200),
            ):
                answer = admin.call(method, path, body, If_Match=tag)
                assert answer.status_code == status, (path, tag)
            if method == "PUT":
                # This time it is the state that has changed.
                assert admin.put(path, body, If_Match=shown["ETag"]).status_code == 412, path


@pytest.mark.django_db(transaction=True)
def test_of_writers_who_saw_the_same_one_wins() -> None:
    admin = caller_of(make_user("boss", is_system_admin=True))
    path = f"{BASE}/usergroups/{make_group('team').pk}"
    writes = [(path, {"group_name": f"g{number}"}) for number in range(6)]
    statuses = changed_at_once(writes, admin.get(path)["ETag"])
    assert sorted(statuses) == [200, *[412] * 5]
    assert body_of(admin.get(path))["group_name"] == f"g{statuses.index(200)}"


@pytest.mark.django_db(transaction=True)
def test_the_paths_of_one_object_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name and an id hide the same project: of two writers one waits, and is then too late."""
    admin = caller_of(make_user("boss", is_system_admin=True))
    project = make_project("twice")
    tag = admin.get("/projects/twice")["ETag"]
    both = Barrier(2)
    unlocked = conditions.ensure_matches

    def compare_together(view: ManagementView, header: str) -> None:
        unlocked(view, header)
        if not connection.in_atomic_block:
            both.wait()

    monkeypatch.setattr(conditions, "ensure_matches", compare_together)
    writes = [
        ("/projects/twice", {"metadata": {"auto_scan": "true"}}),
        (f"/projects/{project.pk}", {"metadata": {"prevent_vul": "true"}}),
    ]
    assert sorted(changed_at_once(writes, tag)) == [200, 412]
    names = set(body_of(admin.get("/projects/twice"))["metadata"])
    assert len(names & {"auto_scan", "prevent_vul"}) == 1


@pytest.mark.django_db(transaction=True)
def test_what_follows_from_a_write_does_not_meet_its_condition_again() -> None:
    admin = make_cast()["admin"]
    project = make_project("gone")
    robot = make_robot(project=None, permissions={"gone": ["repository:pull"]}).robot
    answer = admin.call("DELETE", f"/projects/{project.name}", **{"If-Match": "*"})
    assert answer.status_code == 200, answer.content
    robot.refresh_from_db()
    assert robot.permissions == {}
