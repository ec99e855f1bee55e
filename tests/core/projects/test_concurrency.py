"""Races between real connections."""

from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from threading import Event

import pytest
from django.db import IntegrityError, connection, transaction

from core.artifacts.models import Repository
from core.authn.errors import PersonalTokenInvalid
from core.authn.models import PersonalToken
from core.authn.services import NewPersonalToken, create_personal_token
from core.projects.errors import MetadataExists, ProjectNameTaken, ProjectNotEmpty
from core.projects.models import Project
from core.projects.services import (
    add_metadata,
    create_project,
    delete_project,
    ensure_library_project,
    update_project,
)
from core.rbac.types import Actor
from core.users.models import User
from tests.factories.projects import make_project, make_repository
from tests.factories.users import actor_of, make_user
from tests.support.crowds import at_once
from tests.support.locks import wait_for_lock

pytestmark = pytest.mark.django_db(transaction=True)

SYSTEM = Actor.system()


def test_twenty_creates_of_one_name_have_one_winner() -> None:
    results = at_once(20, lambda _: create_project("team", actor=SYSTEM))
    assert sum(isinstance(result, Project) for result in results) == 1
    assert sum(isinstance(result, ProjectNameTaken) for result in results) == 19
    assert Project.objects.count() == 1


def test_processes_that_start_together_make_one_library() -> None:
    results = at_once(8, lambda _: ensure_library_project())
    assert {result.pk for result in results if isinstance(result, Project)} == {
        Project.objects.get().pk
    }
    assert len(results) == 8


def test_a_push_cannot_commit_into_a_project_that_was_deleted_meanwhile() -> None:
    project = make_project("team")
    inserted, may_commit = Event(), Event()

    def push() -> None:
        try:
            with transaction.atomic():
                make_repository(project)
                inserted.set()
                assert may_commit.wait(20)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        pushing = pool.submit(push)
        assert inserted.wait(20)
        delete_project(project, actor=SYSTEM)
        may_commit.set()
        with pytest.raises(IntegrityError):
            pushing.result(20)
    assert not Project.objects.exists()
    assert not Repository.objects.exists()


def test_delete_waits_for_a_push_that_is_committing_and_then_refuses() -> None:
    project = make_project("team")
    checked, may_commit = Event(), Event()

    def push() -> None:
        try:
            with transaction.atomic():
                make_repository(project)
                # From here on the row of the project is held, as during a commit.
                connection.check_constraints()
                checked.set()
                assert may_commit.wait(20)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        pushing = pool.submit(push)
        assert checked.wait(20)
        deleting = pool.submit(at_once, 1, lambda _: delete_project(project, actor=SYSTEM))
        with pytest.raises(NotYet):
            deleting.result(0.3)
        may_commit.set()
        pushing.result(20)
        (outcome,) = deleting.result(20)
    assert isinstance(outcome, ProjectNotEmpty)
    assert Project.objects.filter(name="team").exists()


def test_delete_waits_for_a_token_that_is_being_limited_to_the_project_and_ends_it() -> None:
    project, user = make_project("team", is_public=True), make_user()

    def create(_: int) -> object:
        return create_personal_token(
            user,
            name="ci",
            scopes=["repository:pull"],
            project_names=["team"],
            actor=actor_of(user),
        )

    with ThreadPoolExecutor(2) as pool:
        with transaction.atomic():
            # The commit of the token waits for the row of its user.
            User.objects.select_for_update().get(pk=user.pk)
            creating = pool.submit(at_once, 1, create)
            wait_for_lock()
            deleting = pool.submit(at_once, 1, lambda _: delete_project(project, actor=SYSTEM))
            wait_for_lock(count=2)
        assert deleting.result(20) == [None]
        (made,) = creating.result(20)
    assert isinstance(made, NewPersonalToken)
    assert PersonalToken.objects.get(pk=made.token.pk).revoked_at is not None
    (refused,) = at_once(1, create)
    assert isinstance(refused, PersonalTokenInvalid)


def test_metadata_that_are_merged_at_once_are_all_kept() -> None:
    project = make_project("team")
    names = ["auto_scan", "prevent_vul", "enable_content_trust", "proxy_referrer_api"]
    waiting = [*names, *names]
    results = at_once(
        8, lambda _: update_project(project, metadata={waiting.pop(): "true"}, actor=SYSTEM)
    )
    assert all(isinstance(result, Project) for result in results)
    kept = Project.objects.get().metadata
    assert kept == {"reuse_sys_cve_allowlist": "true", **dict.fromkeys(names, "true")}


def test_of_many_who_add_the_same_metadata_one_succeeds() -> None:
    project = make_project("team")
    results = at_once(6, lambda _: add_metadata(project, "severity", "high", actor=SYSTEM))
    assert results.count(None) == 1
    assert sum(isinstance(result, MetadataExists) for result in results) == 5
