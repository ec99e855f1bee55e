"""Changing settings: all or nothing, audited, and never beside a write that relies on them."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import transaction
from pytest_django.fixtures import Settings as Environment

from core.artifacts.models import Tag
from core.artifacts.services.blobs import delete_blob
from core.artifacts.services.manifests import delete_manifest
from core.artifacts.services.repositories import delete_repository, update_repository
from core.artifacts.services.tags import create_tag, delete_tag
from core.audit.models import AuditEntry
from core.configurations.errors import RobotNamePrefixTaken
from core.configurations.gatekeepers import refuse_while_read_only
from core.configurations.services import update_settings
from core.database import raw
from core.members.services import create_project_with_owner
from core.oci.digest import Digest
from core.rbac.errors import AuthenticationRequired, PermissionDenied
from core.rbac.types import Actor
from core.robots.queries import login_name
from core.system_settings.errors import SettingInvalid, SettingUnknown, SystemReadOnly
from core.system_settings.models import StoredSettings
from core.system_settings.queries import current, share_locked
from core.users.errors import RegistrationsThrottled, UsernameInvalid, UsernameTaken
from core.users.models import User
from core.users.registrations import ATTEMPTS_PER_ADDRESS
from core.users.services import create_user, register_user
from tests.factories.artifacts import (
    PUSHER,
    image_document,
    make_blob,
    make_image,
    push,
    storage_in,
)
from tests.factories.projects import make_project
from tests.factories.robots import make_robot
from tests.factories.users import ORIGIN, PASSWORD, actor_of, make_user
from tests.support.crowds import apart, at_once
from tests.support.locks import wait_for_lock

pytestmark = pytest.mark.django_db(transaction=True)
SYSTEM = Actor.system()
VISITOR = Actor.anonymous(ORIGIN)


@pytest.fixture(autouse=True)
def storage(tmp_path: Path, settings: Environment) -> Iterator[Path]:
    with storage_in(tmp_path / "storage", settings) as root:
        yield root


def change(**wanted: object) -> None:
    update_settings(wanted, actor=SYSTEM)


def test_a_change_is_seen_at_once_and_audited_with_both_values() -> None:
    assert current().token_expiration == 15
    changed = update_settings(
        {
            "token_expiration": 30,
            "banner_message": "Hi",
            "read_only": False,
            "auth_mode": "db_auth",
        },
        actor=SYSTEM,
    )
    assert (changed.token_expiration, changed.banner_message) == (30, "Hi")
    assert current() == changed
    entry = AuditEntry.objects.get()
    assert entry.action == "system_settings.settings.updated"
    assert entry.target_label == "banner_message, token_expiration"
    assert entry.detail == {
        "banner_message": {"before": "", "after": "Hi"},
        "token_expiration": {"before": 15, "after": 30},
    }
    change(token_expiration=30)
    assert AuditEntry.objects.count() == 1


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        ({"banner_message": "Hi", "token_expiration": 0}, SettingInvalid),
        ({"banner_message": "Hi", "nothing": 1}, SettingUnknown),
        ({"banner_message": "Hi", "skip_audit_log_database": True}, SettingInvalid),
        ({"banner_message": "Hi", "robot_name_prefix": "ALI"}, RobotNamePrefixTaken),
    ],
)
def test_a_refused_change_changes_nothing(wanted: dict[str, object], error: type) -> None:
    make_user("alice")
    with pytest.raises(error):
        update_settings(wanted, actor=SYSTEM)
    assert current().banner_message == ""
    assert not StoredSettings.objects.exists()
    assert not AuditEntry.objects.exists()


def test_changes_that_race_are_all_kept() -> None:
    wanted: list[dict[str, object]] = [
        {"token_expiration": 60},
        {"session_timeout": 5},
        {"robot_token_duration": 7},
        {"banner_message": "x"},
    ]
    at_once(4, lambda number: update_settings(wanted[number], actor=SYSTEM))
    settings = current()
    assert (settings.token_expiration, settings.session_timeout) == (60, 5)
    assert (settings.robot_token_duration, settings.banner_message) == (7, "x")


def test_read_only_mode_refuses_every_change_of_content_and_no_pull() -> None:
    project = make_project("team")
    image = make_image(project, "v1")
    make_blob(project, b"more")
    change(read_only=True)
    digest = Digest.of(b"more")
    refused: list[Callable[[], object]] = [
        lambda: push(project, image_document(b"more")),
        lambda: make_blob(project, b"another"),
        lambda: create_tag("team/app", image.digest, "v2", actor=PUSHER),
        lambda: delete_tag("team/app", "v1", actor=PUSHER),
        lambda: delete_manifest("team/app", image.digest, actor=PUSHER),
        lambda: delete_blob("team/app", digest, actor=PUSHER),
        lambda: update_repository("team/app", description="x", actor=PUSHER),
        lambda: delete_repository("team/app", actor=PUSHER),
    ]
    for write in refused:
        with pytest.raises(SystemReadOnly):
            write()
    assert list(Tag.objects.values_list("name", flat=True)) == ["v1"]
    change(read_only=False)
    delete_tag("team/app", "v1", actor=PUSHER)


def test_read_only_mode_waits_for_writes_and_later_ones_wait_for_it(
    settings: Environment,
) -> None:
    project = make_project("team")
    make_image(project, "v1")
    may_go_on = threading.Event()
    settings.GATEKEEPERS = (*settings.GATEKEEPERS, f"{__name__}.hold")
    HOLDS[:] = [may_go_on]
    with ThreadPoolExecutor(3) as pool:
        early = pool.submit(apart, lambda: delete_tag("team/app", "v1", actor=PUSHER))
        assert HELD.acquire(timeout=20)
        changed = pool.submit(apart, lambda: change(read_only=True))
        wait_for_lock()
        late = pool.submit(apart, lambda: delete_repository("team/app", actor=PUSHER))
        wait_for_lock(count=2)
        assert not changed.done()
        may_go_on.set()
        assert early.result(20) is None
        assert changed.result(20) is None
        assert isinstance(late.result(20), SystemReadOnly)
    assert not Tag.objects.filter(ended_at=None).exists()


HOLDS: list[threading.Event] = []
HELD = threading.Semaphore(0)


def hold(_write: object) -> None:
    """Keep the first write in its transaction, after it was let pass."""
    raw.fetch_one("SELECT 1")
    HELD.release()
    if HOLDS:
        HOLDS.pop().wait(20)


def test_the_gatekeeper_asks_for_a_transaction() -> None:
    with pytest.raises(RuntimeError):
        refuse_while_read_only(None)  # type: ignore[arg-type]


def test_a_new_prefix_counts_for_robots_and_for_names_of_users() -> None:
    robot = make_robot("ci", project=make_project("team")).robot
    change(robot_name_prefix="bot+")
    assert login_name(robot) == "bot+team+ci"
    with pytest.raises(UsernameInvalid):
        create_user("Bot+alice", password=PASSWORD, actor=SYSTEM)
    create_user("robot-alice", password=PASSWORD, actor=SYSTEM)
    with pytest.raises(RobotNamePrefixTaken):
        change(robot_name_prefix="robot-")


def test_a_user_and_a_prefix_that_race_never_meet() -> None:
    """Whoever commits first wins; the other sees it."""
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            assert share_locked().robot_name_prefix == "robot-"
            changed = pool.submit(apart, lambda: change(robot_name_prefix="bot-"))
            wait_for_lock()
            make_user("bot-alice")
        assert isinstance(changed.result(20), RobotNamePrefixTaken)
    assert current().robot_name_prefix == "robot-"


def test_only_administrators_create_projects_where_that_is_set() -> None:
    people = {name: actor_of(make_user(name)) for name in ("alice", "bob")}
    boss = actor_of(make_user("boss", is_system_admin=True))
    create_project_with_owner("before", actor=people["alice"])
    change(project_creation_restriction="adminonly")
    with pytest.raises(PermissionDenied):
        create_project_with_owner("after", actor=people["bob"])
    create_project_with_owner("after", actor=boss)
    change(project_creation_restriction="everyone")
    create_project_with_owner("later", actor=people["bob"])


def register(name: str, actor: Actor = VISITOR) -> User:
    return register_user(name, password=PASSWORD, actor=actor)


def test_visitors_register_where_that_is_set_and_not_without_end() -> None:
    with pytest.raises(AuthenticationRequired):
        register("early")
    change(self_registration=True)
    assert register("alice").is_superuser is False
    entry = AuditEntry.objects.get(action="users.user.created")
    assert (entry.actor_kind, entry.address) == ("anonymous", ORIGIN.address)
    with pytest.raises(UsernameTaken):
        register("alice")
    # What is refused counts as well: it tells which names are taken.
    results = at_once(6, lambda number: register(f"user{number}"))
    refused = [result for result in results if isinstance(result, RegistrationsThrottled)]
    assert len(refused) == 6 - (ATTEMPTS_PER_ADDRESS - 2)
    assert all(0 < (error.retry_after_seconds or 0) <= 3600 for error in refused)
    assert User.objects.count() == 1 + ATTEMPTS_PER_ADDRESS - 2
