"""A rule that is created while tags are moved, on real connections.

The invariant: once a stricter rule has been created, changed or enabled, no write moves or ends
a tag that it covers, also none that had begun before.
"""

import time
from collections.abc import Callable
from threading import Event, Thread

import pytest
from django.db import connection, transaction
from pytest_django.fixtures import Settings

from core.artifacts.models import Tag
from core.artifacts.services.tags import delete_tag
from core.artifacts.types import PendingWrite, PushedManifest
from core.projects.models import Project
from core.tag_rules import services
from core.tag_rules.errors import TagImmutable
from core.tag_rules.holding import hold_off_writes_locked
from core.tag_rules.models import TagRule
from tests.factories.artifacts import (
    PUSHER,
    index_document,
    make_image,
    push,
)
from tests.factories.tag_rules import make_tag_rule, selectors
from tests.support.crowds import at_once

pytestmark = pytest.mark.django_db(transaction=True)

ASKED, MAY_COMMIT = Event(), Event()
OTHER = index_document()


def wait_before_the_commit(write: PendingWrite) -> None:
    if write.moved_tags:
        ASKED.set()
        assert MAY_COMMIT.wait(20)


def started(work: Callable[[], object], outcome: list[object]) -> Thread:
    thread = Thread(target=lambda: outcome.extend(at_once(1, lambda _: work())))
    thread.start()
    return thread


def wait_until_somebody_waits() -> None:
    """Return when a session of this database waits for an advisory lock."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
            if cursor.fetchone() != (0,):
                return
    raise AssertionError("nobody waits")


def test_a_rule_waits_for_writes_that_have_read_the_rules(
    project: Project, settings: Settings
) -> None:
    make_image(project, "v1")
    settings.GATEKEEPERS = (*settings.GATEKEEPERS, f"{__name__}.wait_before_the_commit")
    ASKED.clear()
    MAY_COMMIT.clear()
    pushed: list[object] = []
    created: list[object] = []
    pusher = started(lambda: push(project, OTHER, "v1"), pushed)
    assert ASKED.wait(20)
    creator = started(lambda: services.create_rule(project, selectors("v*"), actor=PUSHER), created)
    wait_until_somebody_waits()
    assert created == []
    MAY_COMMIT.set()
    for thread in (pusher, creator):
        thread.join(20)
    assert isinstance(pushed[0], PushedManifest)
    assert isinstance(created[0], TagRule)
    assert isinstance(
        at_once(1, lambda _: delete_tag("team/app", "v1", actor=PUSHER))[0], TagImmutable
    )


@pytest.mark.parametrize("is_new", [True, False])
def test_a_write_that_waits_for_a_rule_sees_it(project: Project, is_new: bool) -> None:
    image = make_image(project, "v1")
    rule = None if is_new else make_tag_rule(project, "v*", is_disabled=True)
    outcome: list[object] = []
    with transaction.atomic():
        hold_off_writes_locked(project.pk)
        pusher = started(lambda: push(project, OTHER, "v1"), outcome)
        if rule is None:
            make_tag_rule(project, "v*")
        else:
            TagRule.objects.filter(pk=rule.pk).update(is_disabled=False)
        wait_until_somebody_waits()
        assert outcome == []
    pusher.join(20)
    assert isinstance(outcome[0], TagImmutable)
    assert Tag.objects.get().manifest_id == image.id


def test_a_tag_stays_from_the_answer_to_the_rule_on(project: Project) -> None:
    push(project, OTHER, "v1")
    payloads = [index_document() + b" " * number for number in range(1, 17)]
    seen: list[bytes] = []

    def work(number: int) -> object:
        if number == 8:
            rule = services.create_rule(project, selectors("v*"), actor=PUSHER)
            seen.append(bytes(Tag.objects.get(ended_at=None).digest))
            return rule
        if number % 5 == 0:
            return services.create_rule(project, selectors(f"other-{number}"), actor=PUSHER)
        return push(project, payloads[number], "v1")

    results = at_once(16, work)
    assert all(isinstance(result, PushedManifest | TagRule | TagImmutable) for result in results)
    assert [bytes(Tag.objects.get(ended_at=None).digest)] == seen
