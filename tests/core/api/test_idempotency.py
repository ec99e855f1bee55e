"""Idempotency-Key: a POST that is sent twice is carried out once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Event
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.http import HttpResponse
from pytest_django.fixtures import Settings
from rest_framework.response import Response

from core.api import idempotency
from core.api.idempotency import IdempotentPost
from core.api.models import IdempotentRequest
from core.artifacts.errors import ManifestUnknown
from core.artifacts.models import Tag
from core.common.clock import now
from core.database import raw
from core.members.services import create_project_with_owner
from core.projects.models import Project
from core.robots.models import Robot
from core.users.models import Group
from tests.core.api.cast import Cast, body_of, caller_of, errors_of
from tests.core.api.test_matrix import ROBOT
from tests.factories.artifacts import make_image, storage_in
from tests.factories.users import PASSWORD, make_user

NEW = {"project_name": "new"}


def test_a_repetition_gets_the_first_response(cast: Cast) -> None:
    owner = cast["owner"]
    first = owner.post("/projects", NEW, Idempotency_Key="k1")
    again = owner.post("/projects", NEW, Idempotency_Key="k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert (again["Location"], again.content) == (first["Location"], first.content)
    assert "Idempotency-Replayed" not in first
    assert again["Idempotency-Replayed"] == "true"
    assert Project.objects.filter(name="new").count() == 1
    assert owner.post("/projects", NEW, Idempotency_Key="k2").status_code == 409


def test_a_key_belongs_to_its_caller_and_request(cast: Cast) -> None:
    assert cast["owner"].post("/projects", NEW, Idempotency_Key="k").status_code == 201
    other = {"project_name": "other"}
    assert cast["guest"].post("/projects", other, Idempotency_Key="k").status_code == 201
    response = cast["owner"].post("/projects", other, Idempotency_Key="k")
    assert response.status_code == 422
    assert "Idempotency-Key" in errors_of(response)[0]["message"]
    assert cast["owner"].post("/projects?x=1", NEW, Idempotency_Key="k").status_code == 422
    slash = cast["owner"].post("/projects/", NEW, Idempotency_Key="k")
    assert (slash.status_code, slash.get("Idempotency-Replayed")) == (201, "true")


def test_a_refused_request_may_be_sent_again(cast: Cast) -> None:
    owner = cast["owner"]
    assert owner.post("/projects", {"project_name": "A B"}, Idempotency_Key="k").status_code == 400
    assert (
        owner.post("/projects", {"project_name": "secret"}, Idempotency_Key="k").status_code == 409
    )
    assert not IdempotentRequest.objects.exists()
    assert owner.post("/projects", NEW, Idempotency_Key="k").status_code == 201


def test_a_success_is_kept_though_nothing_was_done(
    cast: Cast, tmp_path: Path, settings: Settings
) -> None:
    """Neither what the items of a bulk action were refused for counts, nor what is there now."""
    path = "/projects/secret/repositories/app/artifacts/bulk"
    body = {"action": "delete", "tags": ["later"]}
    dry = {**body, "dry_run": True}
    with storage_in(tmp_path, settings):
        make_image(cast.project, "v1")
        first = cast["admin"].post(path, body, Idempotency_Key="k")
        rehearsed = cast["admin"].post(path, dry, Idempotency_Key="dry")
        (item,) = body_of(first)["items"]
        assert (first.status_code, item["done"], item["code"]) == (200, False, "NOT_FOUND")
        make_image(cast.project, "later", layers=(b"2",))
        for request, key, answer in ((body, "k", first), (dry, "dry", rehearsed)):
            again = cast["admin"].post(path, request, Idempotency_Key=key)
            assert (again.status_code, again.content) == (200, answer.content)
            assert again["Idempotency-Replayed"] == "true"
        assert Tag.objects.filter(name="later", ended_at=None).exists()
        assert body_of(cast["admin"].post(path, body, Idempotency_Key="l"))["items"][0]["done"]


def test_secrets_are_not_kept(cast: Cast) -> None:
    first = cast["owner"].post("/robots", ROBOT, Idempotency_Key="k")
    secret = body_of(first)["secret"]
    again = cast["owner"].post("/robots", ROBOT, Idempotency_Key="k")
    assert (first.status_code, again.status_code) == (201, 409)
    assert "secret" in errors_of(again)[0]["message"]
    assert first["Location"] in errors_of(again)[0]["message"]
    assert "Retry-After" not in again
    assert Robot.objects.filter(name="other").count() == 1
    kept = IdempotentRequest.objects.get()
    assert (kept.status, kept.body, kept.is_withheld) == (201, "", True)
    assert secret not in str(vars(kept))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (None, False),
        ({"id": 1}, False),
        ({"secret": ""}, False),
        ({"secret": "x"}, True),
        ({"robot": {"new_password": "x"}}, True),
        ([{"rows": [{"accessToken": "x"}]}], True),
        ({"token_count": 0}, False),
    ],
)
def test_secrets_are_known_by_their_names(data: Any, expected: bool) -> None:
    assert idempotency.shows_secret(data) is expected


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "\u00e9"])
def test_malformed_keys_are_refused(cast: Cast, key: str) -> None:
    response = cast["owner"].post("/projects", NEW, Idempotency_Key=key)
    assert response.status_code == 400
    assert not Project.objects.filter(name="new").exists()


def test_keys_need_a_caller_and_do_not_replace_permissions(cast: Cast) -> None:
    anonymous = cast["anonymous"].post("/projects", NEW, Idempotency_Key="k")
    assert anonymous.status_code == 401
    # The cookie of a session is not kept, whoever asks for one.
    form = urlencode({"principal": "owner", "password": PASSWORD}).encode()
    login = cast["owner"].call(
        "POST",
        "/c/login",
        raw=form,
        content_type="application/x-www-form-urlencoded",
        Idempotency_Key="k",
    )
    assert (login.status_code, len(login.cookies)) == (400, 0)
    path = "/projects/secret/members"
    body = {"role_id": 3, "member_user": {"username": "outsider"}}
    assert cast["owner"].post(path, body, Idempotency_Key="k").status_code == 201
    assert cast["guest"].post(path, body, Idempotency_Key="k").status_code == 403


def test_keys_are_forgotten_after_a_day(cast: Cast) -> None:
    assert cast["owner"].post("/projects", NEW, Idempotency_Key="k").status_code == 201
    IdempotentRequest.objects.update(created_at=now() - timedelta(hours=24, seconds=1))
    other = {"project_name": "other"}
    assert cast["owner"].post("/projects", other, Idempotency_Key="k").status_code == 201
    assert IdempotentRequest.objects.count() == 1
    assert idempotency.delete_expired(now()) == 0
    assert idempotency.delete_expired(now() + timedelta(hours=24)) == 1


def lose_response(*, seconds_ago: int) -> None:
    """Let it be as if the process had died behind the commit of the write."""
    IdempotentRequest.objects.update(
        status=None, location="", body="", created_at=now() - timedelta(seconds=seconds_ago)
    )


def test_the_key_of_a_lost_response_is_free_after_a_time(cast: Cast) -> None:
    owner = cast["owner"]
    assert owner.post("/projects", NEW, Idempotency_Key="k").status_code == 201
    for seconds, first, last in ((0, 1, 2), (20, 20, 22), (200, 99, 100), (299, 1, 1)):
        lose_response(seconds_ago=seconds)
        again = owner.post("/projects", NEW, Idempotency_Key="k")
        assert again.status_code == 409
        assert first <= int(again["Retry-After"]) <= last, seconds
        assert owner.post("/projects?x", NEW, Idempotency_Key="k").status_code == 422
    lose_response(seconds_ago=301)
    # It is carried out again, and refused by itself: there is the project, after all.
    again = owner.post("/projects", NEW, Idempotency_Key="k")
    assert (again.status_code, "Retry-After" in again) == (409, False)
    Project.objects.filter(name="new").delete()
    assert owner.post("/projects", NEW, Idempotency_Key="k").status_code == 201
    again = owner.post("/projects", NEW, Idempotency_Key="k")
    assert (again.status_code, again["Idempotency-Replayed"]) == (201, "true")
    assert IdempotentRequest.objects.count() == 1


@pytest.mark.parametrize(
    ("failure", "status", "kept"),
    [
        (ManifestUnknown("gone"), 404, 404),
        (ValueError(), 500, 500),
        (OperationalError(), 503, None),
    ],
)
def test_what_fails_behind_its_first_write_is_answered_alike(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, failure: Exception, status: int, kept: int | None
) -> None:
    def create_then_fail(*args: Any, **kwargs: Any) -> Project:
        create_project_with_owner(*args, **kwargs)
        raise failure

    monkeypatch.setattr("core.members.services.create_project_with_owner", create_then_fail)
    first = cast["owner"].post("/projects", NEW, Idempotency_Key="k")
    assert first.status_code == status
    assert IdempotentRequest.objects.get().status == kept
    again = cast["owner"].post("/projects", NEW, Idempotency_Key="k")
    if kept is None:
        assert (again.status_code, again["Retry-After"]) == (409, "1")
    else:
        assert (again.status_code, again.content) == (status, first.content)
        assert again["Idempotency-Replayed"] == "true"


def test_what_is_answered_late_does_not_replace_another_answer(cast: Cast) -> None:
    assert cast["owner"].post("/projects", NEW, Idempotency_Key="k").status_code == 201
    first = IdempotentRequest.objects.get()
    late = IdempotentPost.__new__(IdempotentPost)
    late._record_id = first.pk
    late.complete(Response({"other": 1}, status=404))
    first.refresh_from_db()
    assert first.status == 201


@pytest.mark.django_db(transaction=True)
def test_a_key_is_held_as_long_as_its_request_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long that is: a copy or bulk action goes on behind its first write."""
    admin = make_user("boss", is_system_admin=True)
    wrote, may_go_on = Event(), Event()

    def create_then_go_on(*args: Any, **kwargs: Any) -> Project:
        project = create_project_with_owner(*args, **kwargs)
        wrote.set()
        assert may_go_on.wait(20)
        return project

    def create() -> HttpResponse:
        try:
            return caller_of(admin).post("/projects", NEW, Idempotency_Key="k")
        finally:
            connection.close()

    monkeypatch.setattr("core.members.services.create_project_with_owner", create_then_go_on)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(create)
        assert wrote.wait(20)
        for seconds, after in ((0, 1), (30, 31), (301, 60), (3600, 60)):
            lose_response(seconds_ago=seconds)
            assert idempotency.delete_expired(now()) == 0
            again = caller_of(admin).post("/projects", NEW, Idempotency_Key="k")
            assert again.status_code == 409
            assert errors_of(again)[0]["message"].endswith("is being carried out.")
            assert int(again["Retry-After"]) in (after, after + 1), seconds
        may_go_on.set()
        assert first.result(20).status_code == 201
    again = caller_of(admin).post("/projects", NEW, Idempotency_Key="k")
    assert (again.status_code, again["Idempotency-Replayed"]) == (201, "true")
    assert again["Location"] == first.result()["Location"]
    # Nobody holds anything any more: a thread keeps its session with the database.
    # Records that are being written share the settings, which is another lock.
    held = """
    SELECT FROM pg_locks
     WHERE locktype = 'advisory' AND mode = 'ExclusiveLock'
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    """
    assert raw.fetch_one(held) is None


@pytest.mark.django_db(transaction=True)
def test_of_parallel_repetitions_one_is_carried_out() -> None:
    admin = make_user("boss", is_system_admin=True)
    count = 6
    barrier = Barrier(count)

    def create(_: int) -> int:
        caller = caller_of(admin)
        barrier.wait()
        try:
            body = {"group_name": "team"}
            return caller.post("/usergroups", body, Idempotency_Key="k").status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        statuses = list(pool.map(create, range(count)))
    assert Group.objects.count() == 1
    assert 201 in statuses
    assert set(statuses) <= {201, 409}
    again = caller_of(admin).post("/usergroups", {"group_name": "team"}, Idempotency_Key="k")
    assert (again.status_code, again["Idempotency-Replayed"]) == (201, "true")


@pytest.mark.django_db(transaction=True)
def test_what_was_kept_back_stays_so_when_the_table_changes() -> None:
    """A release back and forth: nothing is carried out again, and no success is made up."""
    kept = {
        "made": (201, "/api/v2.0/projects/1", ""),
        "lost": (None, "", ""),
        "failed": (500, "", "{}"),
    }
    for name, (status, location, body) in kept.items():
        IdempotentRequest.objects.create(
            key_hash=name.encode(),
            request_hash=b"r",
            status=status,
            location=location,
            body=body,
            created_at=now(),
        )
    try:
        call_command("migrate", "api", "0001", verbosity=0)
        rows = raw.fetch_all("SELECT key_hash, status, body FROM api_idempotentrequest")
        assert {bytes(key): (status, body) for key, status, body in rows} == {
            b"made": (201, ""),
            b"lost": (None, ""),
            b"failed": (None, ""),
        }
    finally:
        call_command("migrate", "api", verbosity=0)
    found = {bytes(row.key_hash): row for row in IdempotentRequest.objects.all()}
    assert [found[name.encode()].is_withheld for name in kept] == [False, True, True]
    assert all(row.status == 201 for row in found.values())
