"""Projects under other names, and repositories in other projects."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from core.artifacts import queries
from core.artifacts.errors import NameUnknown, RepositoryNameTaken
from core.artifacts.models import Redirect, Repository, Tag, TrashEntry
from core.artifacts.services import naming
from core.artifacts.services.expiry import set_tag_expiry
from core.artifacts.services.manifests import delete_manifest
from core.artifacts.services.repositories import delete_repository
from core.artifacts.types import PendingWrite
from core.audit.models import AuditEntry
from core.authn.models import PersonalToken
from core.blobs.models import Upload
from core.common.clock import now
from core.common.errors import DomainError
from core.configurations.services import update_settings
from core.grants.models import RepositoryUserGrant
from core.grants.services import grant_repository
from core.moves import services, subscribers
from core.moves.errors import AlreadyThere
from core.oci.errors import NameInvalid
from core.projects.errors import ProjectNameInvalid, ProjectNameTaken
from core.projects.events import ProjectDeleted
from core.projects.models import Project
from core.quotas.errors import QuotaExceeded
from core.rbac.types import Actor
from core.robots.models import Robot
from core.robots.queries import permissions_of
from core.system_settings.errors import SystemReadOnly
from core.trash.services import empty_trash, restore_entry
from tests.core.api.cast import Caller, basic
from tests.factories.artifacts import (
    PUSHER,
    VIEWER,
    make_image,
    make_upload,
    storage_in,
)
from tests.factories.members import make_member, make_person
from tests.factories.projects import make_project, make_repository
from tests.factories.quotas import limit, truly_held, used
from tests.factories.robots import make_robot
from tests.support.crowds import at_once


@pytest.fixture(autouse=True)
def storage_root(tmp_path: Path, settings: Settings) -> Iterator[Path]:
    with storage_in(tmp_path / "storage", settings) as root:
        yield root


@pytest.fixture
def project(db: None) -> Project:
    return make_project("team")


def rename(project: Project, name: str) -> Project:
    return services.rename_project(project, name, actor=PUSHER)


def names() -> list[str]:
    return sorted(Repository.objects.values_list("name", flat=True))


def leads(name: str) -> str | None:
    return queries.find_redirected_target(name, VIEWER).redirected_to


def refuse(write: PendingWrite) -> None:
    if write.action == "repository.transfer":
        raise RepositoryNameTaken("No.")


def test_everything_follows_the_name_of_a_project(project: Project) -> None:
    image = make_image(project, "v1")
    make_image(project, "v1", path="sub/team/lib")
    delete_manifest("team/sub/team/lib", image.digest, actor=PUSHER)
    upload = make_upload(project)
    rights = frozenset({"repository:list", "repository:pull"})
    own = make_robot("ci", project=project, permissions={"team": rights})
    far = make_robot("sys", project=None, permissions={"team": rights})
    owner = make_person("owner")
    make_member(project, owner, "projectAdmin")
    for number, limited in enumerate((["team", "x"], ["crew", "team"], ["teams"])):
        PersonalToken.objects.create(
            user=owner,
            name=str(number),
            secret_hash=bytes([number]),
            project_names=limited,
            created_at=now(),
        )
    renamed = rename(project, "crew")
    assert names() == ["crew/app", "crew/sub/team/lib"]
    assert (renamed.name, renamed.generation) == ("crew", 1)
    for login, status in (("robot-team+ci", 401), ("robot-crew+ci", 200), ("robot-sys", 200)):
        secret = (far if login == "robot-sys" else own).secret
        caller = Caller(login, basic(login, secret))
        assert caller.get("/projects/crew/repositories").status_code == status, login
    for robot in Robot.objects.filter(pk__in=(own.robot.pk, far.robot.pk)):
        assert permissions_of(robot) == {"crew": rights}
    assert list(PersonalToken.objects.order_by("pk").values_list("project_names", flat=True)) == [
        ["crew", "x"],
        ["crew"],
        ["teams"],
    ]
    assert Upload.objects.get(pk=upload.id).expires_at <= now()
    assert leads("team/app") == "crew/app"
    restore_entry(renamed, TrashEntry.objects.get().pk, actor=PUSHER)
    assert Tag.objects.get(repository__name="crew/sub/team/lib", ended_at=None).name == "v1"
    entry = AuditEntry.objects.get(action="projects.project.renamed")
    assert entry.detail == {"previous_name": "team"}


def test_redirects_end_with_the_name(project: Project) -> None:
    make_repository(project, "app")
    make_repository(project, "lib")
    crew = rename(project, "crew")
    again = make_project("team")
    assert leads("team/app") is None
    # Should it go again, its subscribers and a periodic run keep the redirect from reviving.
    assert naming.end_dead_redirects() == 2
    taken_by = again.pk
    again.delete()
    assert leads("team/app") is None
    rename(crew, "team")
    assert (leads("crew/app"), leads("team/app")) == ("team/app", None)
    rename(crew, "crew")
    assert (leads("crew/app"), leads("team/app")) == (None, "crew/app")
    subscribers.on_project_deleted(ProjectDeleted(project_id=taken_by, project_name="team"))
    assert leads("team/app") is None
    rename(crew, "band")
    delete_repository("band/app", actor=PUSHER)
    TrashEntry.objects.all().delete()
    assert (naming.end_dead_redirects(), naming.end_dead_redirects()) == (1, 0)
    assert not Redirect.objects.filter(name="crew/app").exists()


def test_former_names_wait_for_what_is_in_the_trash(project: Project) -> None:
    """Whether it was deleted before its project was renamed or after, and however often."""
    for path in ("before", "after", "twice", "taken"):
        make_image(project, "v1", path=path)
    for path in ("before", "twice", "taken"):
        delete_repository(f"team/{path}", actor=PUSHER)
    make_image(project, "v1", path="twice")
    delete_repository("team/twice", actor=PUSHER)
    make_image(project, "v2", path="taken")
    crew = rename(rename(project, "band"), "crew")
    delete_repository("crew/after", actor=PUSHER)
    former = [
        f"{name}/{path}" for name in ("team", "band") for path in ("after", "before", "twice")
    ]
    assert [leads(name) for name in former] == [None] * 6
    assert naming.end_dead_redirects() == 0
    # The first of those of one name.
    for path in ("after", "before", "twice"):
        entry = TrashEntry.objects.filter(path=path).earliest("pk")
        restore_entry(crew, entry.pk, actor=PUSHER)
    assert [leads(name) for name in former] == [f"crew/{name.partition('/')[2]}" for name in former]
    # What lives goes before what is in the trash.
    assert (leads("team/taken"), leads("band/taken")) == ("crew/taken", "crew/taken")


def test_a_name_that_was_never_possible_is_no_former_one(project: Project) -> None:
    path = "p" * 240
    make_image(project, "v1", path=path)
    delete_repository(f"team/{path}", actor=PUSHER)
    crew = rename(rename(project, "a" * 20), "crew")
    restore_entry(crew, TrashEntry.objects.get().pk, actor=PUSHER)
    assert leads(f"team/{path}") == f"crew/{path}"
    assert not Redirect.objects.exclude(name=f"team/{path}").exists()


def test_former_names_lead_to_no_other_repository_of_the_name(project: Project) -> None:
    other = make_project("other")
    make_image(project, "v1")
    delete_repository("team/app", actor=PUSHER)
    make_image(other, "v2", path="own")
    services.transfer_repository("other/own", project, path="app", actor=PUSHER)
    delete_repository("team/app", actor=PUSHER)
    first, second = TrashEntry.objects.order_by("pk")
    restore_entry(project, first.pk, actor=PUSHER)
    assert leads("other/own") is None
    delete_repository("team/app", actor=PUSHER)
    restore_entry(project, second.pk, actor=PUSHER)
    assert leads("other/own") == "team/app"


def test_names_that_are_taken_wait_for_nothing_any_more(project: Project) -> None:
    make_image(project, "v1")
    delete_repository("team/app", actor=PUSHER)
    crew = rename(project, "crew")
    make_image(make_project("team"), "v1")
    restore_entry(crew, TrashEntry.objects.get().pk, actor=PUSHER)
    assert not Redirect.objects.exists()
    assert names() == ["crew/app", "team/app"]


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("team", AlreadyThere),
        ("other", ProjectNameTaken),
        ("No", ProjectNameInvalid),
        ("", ProjectNameInvalid),
        ("x" * 252, NameInvalid),
    ],
)
def test_names_that_cannot_be_are_refused(
    project: Project, name: str, error: type[DomainError]
) -> None:
    make_project("other")
    make_repository(project, "app")
    with pytest.raises(error):
        rename(project, name)
    assert names() == ["team/app"]
    assert not Redirect.objects.exists()


def test_a_repository_moves_with_all_but_grants(project: Project) -> None:
    other = make_project("other")
    image = make_image(project, "v1")
    second = make_image(project, "v1", config=b'{"a":1}')
    delete_manifest("team/app", second.digest, actor=PUSHER)
    delete_repository("team/app", actor=PUSHER)
    make_image(project, "v1")
    make_image(project, "v1", config=b'{"a":1}')
    delete_manifest("team/app", second.digest, actor=PUSHER)
    repository = Repository.objects.get()
    grant_repository(repository, user=make_person("guest"), permission="pull", actor=Actor.system())
    history = list(Tag.objects.order_by("id").values_list("name", "digest", "ended_at"))
    moved = services.transfer_repository("team/app", other, path="sub/app", actor=PUSHER)
    assert moved == "other/sub/app"
    repository.refresh_from_db()
    assert (repository.name, repository.project_id) == (moved, other.pk)
    assert list(Tag.objects.order_by("id").values_list("name", "digest", "ended_at")) == history
    assert not RepositoryUserGrant.objects.exists()
    assert Project.objects.get(pk=project.pk).generation == 1
    assert leads("team/app") == moved
    kept = TrashEntry.objects.order_by("pk").values_list("kind", "project_id", "path")
    assert set(kept) >= {
        ("manifest", other.pk, "sub/app"),
        ("repository", project.pk, "app"),
    }
    actions = AuditEntry.objects.filter(action="repository.transferred")
    assert {entry.project_id for entry in actions} == {project.pk, other.pk}
    # A push to the old name makes a repository there, and the redirect is over.
    make_image(project, "v1")
    assert leads("team/app") is None
    assert image.digest
    services.end_redirects(moved, actor=PUSHER)


def test_moves_that_cannot_be_are_refused(project: Project, settings: Settings) -> None:
    other = make_project("other")
    for place in (project, other):
        make_repository(place, "app")
    for target, path, error in (
        (other, None, RepositoryNameTaken),
        (project, None, AlreadyThere),
        (other, "Not/Valid", NameInvalid),
        (other, "x" * 255, NameInvalid),
    ):
        with pytest.raises(error):
            services.transfer_repository("team/app", target, path=path, actor=PUSHER)
    with pytest.raises(NameUnknown):
        services.transfer_repository("team/none", other, actor=PUSHER)
    settings.GATEKEEPERS = (f"{__name__}.refuse",)
    with pytest.raises(RepositoryNameTaken, match="No"):
        services.transfer_repository("team/app", other, path="new", actor=PUSHER)
    assert names() == ["other/app", "team/app"]
    assert not Redirect.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_renames_pushes_deletes_and_transfers_race_without_harm() -> None:
    """Names of repositories begin with their projects', and no redirect hides a repository."""
    project, other = make_project("team"), make_project("other")
    for path in ("app", "lib", "gone"):
        make_image(project, "v1", path=path)

    def work(number: int) -> object:
        match number:
            case 0 | 1:
                return rename(project, f"crew{number}")
            case 2 | 3:
                return make_image(project, "v2", path=f"new{number}")
            case 4:
                return delete_repository("team/gone", actor=PUSHER)
            case 5:
                return services.transfer_repository("team/lib", other, actor=PUSHER)
            case _:
                return make_image(project, "v2")

    refused = [result for result in at_once(8, work) if isinstance(result, DomainError)]
    kinds = {error.code for error in refused}
    assert kinds <= {"NAME_UNKNOWN", "BLOB_UPLOAD_UNKNOWN", "MANIFEST_BLOB_UNKNOWN"}, refused
    for repository in Repository.objects.select_related("project"):
        assert repository.name.startswith(f"{repository.project.name}/")
    assert not set(Redirect.objects.values_list("name", flat=True)) & set(names())


def test_nothing_changes_in_read_only_mode(db: None) -> None:
    team, other = make_project("team"), make_project("other")
    make_image(team, "latest")
    update_settings({"read_only": True}, actor=Actor.system())
    for change in (
        lambda: services.rename_project(team, "renamed", actor=PUSHER),
        lambda: services.transfer_repository("team/app", other, actor=PUSHER),
        lambda: services.end_redirects("team/app", actor=PUSHER),
        lambda: empty_trash(team, actor=PUSHER),
        lambda: set_tag_expiry("team/app", "latest", now(), actor=PUSHER),
    ):
        with pytest.raises(SystemReadOnly):
            change()


@pytest.mark.django_db(transaction=True)
def test_a_transfer_takes_its_bytes_along_unless_they_do_not_fit() -> None:
    team, other = make_project("team"), make_project("other")
    make_image(team, "latest")
    held = used(team)
    assert held > 0
    limit(other, held - 1)
    with pytest.raises(QuotaExceeded):
        services.transfer_repository("team/app", other, actor=PUSHER)
    assert (used(team), used(other)) == (held, 0)
    limit(other, held)
    services.transfer_repository("team/app", other, actor=PUSHER)
    assert (used(team), used(other)) == (0, held)
    assert truly_held(other) == held
