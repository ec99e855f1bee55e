"""Creating, changing and deleting projects."""

import pytest
from django.db import IntegrityError, transaction

from core.audit.models import AuditEntry
from core.common.errors import ErrorKind
from core.members.models import Membership
from core.projects import queries
from core.projects.errors import (
    MetadataExists,
    MetadataInvalid,
    MetadataUnknown,
    ProjectNameInvalid,
    ProjectNameTaken,
    ProjectNotEmpty,
    ProjectUnknown,
)
from core.projects.models import Project
from core.projects.services import (
    add_metadata,
    change_metadata,
    create_project,
    delete_metadata,
    delete_project,
    ensure_library_project,
    update_project,
)
from core.rbac.types import Actor
from core.robots.models import Robot
from tests.factories.members import actor_of, make_member, make_person
from tests.factories.projects import make_project, make_repository
from tests.factories.robots import make_robot

pytestmark = pytest.mark.django_db

SYSTEM = Actor.system()


def audited(action: str) -> AuditEntry:
    return AuditEntry.objects.get(action=action)


def test_create_stores_owner_and_audits_in_the_same_step() -> None:
    olivia = make_person("olivia")
    project = create_project("team", is_public=True, actor=actor_of(olivia))
    project.refresh_from_db()
    assert (project.name, project.is_public) == ("team", True)
    assert (project.owner, project.owner_name) == (olivia, "olivia")
    entry = audited("projects.project.created")
    assert (entry.actor_label, entry.target_label, entry.project_id) == (
        "olivia",
        "team",
        project.pk,
    )
    assert str(entry.address) == "192.0.2.7"


def test_the_system_owns_no_project_as_a_user() -> None:
    project = create_project("team", actor=SYSTEM)
    assert (project.owner, project.owner_name) == (None, "system")


def test_create_refuses_invalid_and_taken_names() -> None:
    with pytest.raises(ProjectNameInvalid):
        create_project("Team", actor=SYSTEM)
    create_project("team", actor=SYSTEM)
    with pytest.raises(ProjectNameTaken) as caught:
        create_project("team", actor=SYSTEM)
    assert caught.value.kind is ErrorKind.CONFLICT
    assert Project.objects.count() == 1
    assert AuditEntry.objects.count() == 1


def test_update_changes_visibility_once() -> None:
    project = make_project("team")
    assert update_project(project, is_public=True, actor=SYSTEM).is_public
    update_project(project, is_public=True, actor=SYSTEM)
    assert queries.get_project("team").is_public
    assert audited("projects.project.updated").detail == {"public": True}


def test_becoming_private_begins_a_generation() -> None:
    project = make_project("team")
    assert project.generation == 0
    assert update_project(project, is_public=True, actor=SYSTEM).generation == 0
    private = update_project(project, is_public=False, actor=SYSTEM)
    assert private.generation == 1
    assert update_project(project, is_public=False, actor=SYSTEM) == private


def test_update_of_a_deleted_project() -> None:
    project = make_project("team")
    Project.objects.all().delete()
    with pytest.raises(ProjectUnknown):
        update_project(project, is_public=True, actor=SYSTEM)


def test_metadata_are_merged_in_one_step_with_visibility() -> None:
    project = create_project("team", actor=SYSTEM)
    assert project.metadata == {"reuse_sys_cve_allowlist": "true"}
    changed = update_project(
        project, is_public=False, metadata={"public": "true", "severity": "high"}, actor=SYSTEM
    )
    assert (changed.is_public, changed.metadata) == (
        True,
        {"reuse_sys_cve_allowlist": "true", "severity": "high"},
    )
    entry = audited("projects.project.updated")
    assert entry.detail == {"public": True, "metadata": {"severity": "high"}}
    with pytest.raises(MetadataInvalid):
        update_project(project, metadata={"public": "false", "severity": "x"}, actor=SYSTEM)
    assert queries.get_project("team") == changed
    assert queries.get_project("team").is_public
    update_project(project, metadata={"severity": "high", "public": "true"}, actor=SYSTEM)
    assert audited("projects.project.updated") == entry


def test_metadata_one_by_one() -> None:
    project = make_project("team")
    add_metadata(project, "auto_scan", "True", actor=SYSTEM)
    change_metadata(project, "auto_scan", "false", actor=SYSTEM)
    change_metadata(project, "public", "true", actor=SYSTEM)
    found = queries.get_project("team")
    assert queries.metadata_of(found) == {
        "public": "true",
        "reuse_sys_cve_allowlist": "true",
        "auto_scan": "false",
    }
    delete_metadata(project, "auto_scan", actor=SYSTEM)
    details = AuditEntry.objects.order_by("id").values_list("detail", flat=True)
    assert list(details) == [
        {"metadata": {"auto_scan": "true"}},
        {"metadata": {"auto_scan": "false"}},
        {"public": True},
        {"metadata": {"auto_scan": None}},
    ]
    change_metadata(project, "public", "false", actor=SYSTEM)
    assert queries.get_project("team").generation == 1
    for name in ("public", "reuse_sys_cve_allowlist"):
        with pytest.raises(MetadataExists):
            add_metadata(project, name, "true", actor=SYSTEM)
    for name in ("auto_scan", "colour"):
        with pytest.raises(MetadataUnknown):
            delete_metadata(project, name, actor=SYSTEM)
        with pytest.raises(MetadataUnknown):
            change_metadata(project, name, "true", actor=SYSTEM)
    with pytest.raises(MetadataInvalid):
        delete_metadata(project, "public", actor=SYSTEM)


def test_visibility_has_one_place() -> None:
    project = make_project("team")
    with pytest.raises(IntegrityError), transaction.atomic():
        Project.objects.filter(pk=project.pk).update(metadata={"public": "true"})


def test_delete_takes_members_and_robots_along() -> None:
    project = make_project("team")
    make_member(project, make_person("dana"), "developer")
    make_robot(project=project)
    delete_project(project, actor=SYSTEM)
    assert not Project.objects.exists()
    assert not Membership.objects.exists()
    assert not Robot.objects.exists()
    assert audited("projects.project.deleted").project_name == "team"


def test_delete_refuses_while_repositories_exist() -> None:
    project = make_project("team")
    make_repository(project)
    with pytest.raises(ProjectNotEmpty) as caught:
        delete_project(project, actor=SYSTEM)
    assert caught.value.kind is ErrorKind.PRECONDITION
    assert queries.get_project("team") == project
    assert not AuditEntry.objects.exists()


def test_delete_twice() -> None:
    project = make_project("team")
    delete_project(project, actor=SYSTEM)
    with pytest.raises(ProjectUnknown):
        delete_project(project, actor=SYSTEM)


def test_library_is_made_once_and_public() -> None:
    first = ensure_library_project()
    assert first is not None
    assert (first.name, first.is_public) == ("library", True)
    assert ensure_library_project() == first


def test_a_deleted_library_stays_deleted() -> None:
    make_project("team")
    assert ensure_library_project() is None
    assert [project.name for project in Project.objects.all()] == ["team"]
