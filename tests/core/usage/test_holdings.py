"""The figures of the storage explorer are those of what is there, whatever has been added up."""

from collections.abc import Callable
from threading import Barrier, Thread

import pytest
from django.db import connection, transaction

from core.artifacts.models import Manifest, ManifestReference, Repository, RepositoryBlob
from core.artifacts.services.manifests import delete_manifest
from core.artifacts.services.repositories import delete_repository
from core.common.errors import DomainError
from core.oci.digest import Digest
from core.projects.models import Project
from core.rbac.types import Actor
from core.usage.models import Holding, ProjectContent
from core.usage.queries import project_figures, registry_figures, top_repositories
from core.usage.services import compare_contents, reconcile, recount_holdings, settle_holdings
from core.usage.types import StorageFigures
from tests.factories.artifacts import (
    PUSHER,
    image_document,
    make_blob,
    make_image,
    push,
)
from tests.factories.projects import make_project
from tests.support.crowds import at_once

pytestmark = pytest.mark.django_db(transaction=True)

Content = tuple[bytes, bool, int]
IMAGE = image_document(b"{}", [b"layer"])


def contents_of(repository: Repository) -> set[Content]:
    links = RepositoryBlob.objects.filter(repository=repository).select_related("blob")
    manifests = Manifest.objects.filter(repository=repository)
    return {(bytes(link.blob.digest), False, link.blob.size_bytes) for link in links} | {
        (bytes(manifest.digest), True, manifest.size_bytes) for manifest in manifests
    }


def named_by(repositories: "list[Repository]") -> set[bytes]:
    references = ManifestReference.objects.filter(parent__repository__in=repositories)
    rows = references.filter(blob__isnull=False).select_related("blob")
    return {bytes(row.blob.digest) for row in rows if row.blob is not None}


def size(contents: set[Content]) -> int:
    return sum(content[2] for content in contents)


def truth(projects: list[Project], others: list[Project]) -> StorageFigures:
    """Add up what these projects hold; shared is what the others hold, too."""
    repositories = list(Repository.objects.filter(project__in=projects))
    held = {repository.pk: contents_of(repository) for repository in repositories}
    contents = set[Content]().union(*held.values())
    owners = [
        set[Content]().union(*(contents_of(r) for r in Repository.objects.filter(project=project)))
        for project in others
    ]
    is_registry = len(projects) > 1
    shared = {c for c in contents if sum(c in owned for owned in owners) > is_registry}
    named = named_by(repositories)
    return StorageFigures(
        logical_bytes=sum(map(size, held.values())),
        deduplicated_bytes=size(contents),
        shared_bytes=size(shared),
        pending_garbage_bytes=size({c for c in contents if not c[1] and c[0] not in named}),
        repositories=len(repositories),
        blobs=len({c for c in contents if not c[1]}),
        manifests=len({c for c in contents if c[1]}),
    )


def ensure_right() -> None:
    projects = list(Project.objects.order_by("id"))
    assert registry_figures() == truth(projects, projects)
    for project in projects:
        others = [other for other in projects if other != project]
        assert project_figures(project.pk, visible=None) == truth([project], others)
        own = {repository.name: repository for repository in project.repositories.all()}
        for row in top_repositories(project.pk, 100):
            assert row.bytes == size(contents_of(own[row.name]))


def settle() -> None:
    while settle_holdings(5):
        pass
    while compare_contents(2):
        pass


@pytest.mark.parametrize("after", [lambda: None, settle], ids=["written", "settled"])
def test_every_write_keeps_the_figures(project: Project, after: Callable[[], None]) -> None:
    other = make_project("other")
    repository = "team/app"
    steps: list[Callable[[], object]] = [
        lambda: make_image(project, "v1"),
        lambda: make_image(project, "v1", path="copy"),
        lambda: make_blob(project, b"garbage!"),
        lambda: make_blob(other, b"garbage!"),
        lambda: make_image(other, "v1", layers=(b"garbage!",)),
        lambda: make_blob(other, b"layer"),
        lambda: make_image(other, "v2", path="second"),
        lambda: delete_manifest("other/second", Digest.of(IMAGE), actor=PUSHER),
        lambda: Repository.objects.filter(name="other/second").update(project=project),
        lambda: delete_manifest(repository, Digest.of(IMAGE), actor=PUSHER),
        lambda: delete_repository("team/copy", actor=PUSHER),
        lambda: delete_repository(repository, actor=PUSHER),
    ]
    for step in steps:
        step()
        ensure_right()
        after()
        ensure_right()
    settle()
    assert recount_holdings() == 0
    assert not Holding.objects.filter(repository_id__isnull=False, bytes=0).exists()


def test_the_same_content_comes_to_two_projects_at_once(project: Project) -> None:
    """Neither sees the other before it commits, so the last to commit is compared later."""
    other = make_project("other")

    def work() -> None:
        make_blob(other, b"content")
        settle()
        connection.close()

    blob = make_blob(project, b"first")
    with transaction.atomic():
        ProjectContent.objects.create(
            project_id=project.pk,
            digest=Digest.of(b"content").to_bytes(),
            is_manifest=False,
            size_bytes=7,
            holders=1,
        )
        thread = Thread(target=work)
        thread.start()
        thread.join(20)
        assert not ProjectContent.objects.get(project_id=other.pk).is_shared
    assert blob.size_bytes == 5
    assert registry_figures().shared_bytes == 7
    for each in (project, other):
        assert project_figures(each.pk, visible=None).shared_bytes == 7
    settle()
    rows = ProjectContent.objects.filter(digest=Digest.of(b"content").to_bytes())
    assert [row.is_shared for row in rows] == [True, True]


def test_figures_are_kept_beside_runs(project: Project) -> None:
    """The same images come and go in three projects, while runs settle and compare."""
    projects = [project, make_project("second"), make_project("third")]
    documents = [image_document(b"{}", [b"layer", b"%d" % number]) for number in range(3)]
    barrier = Barrier(6)

    def work(number: int) -> object:
        for turn in range(4):
            barrier.wait(20)
            if number < 3:
                one = projects[number]
                for content in (b"{}", b"layer", b"%d" % (turn % 3)):
                    make_blob(one, content, f"app-{turn % 2}")
                push(one, documents[turn % 3], "v1", f"app-{turn % 2}")
            elif number == 3:
                try:
                    delete_repository(f"{projects[turn % 3].name}/app-1", actor=PUSHER)
                except DomainError:
                    continue
            elif number == 4:
                settle_holdings(4)
            else:
                compare_contents(2)
        return None

    results = at_once(6, work)
    assert [one for one in results if not isinstance(one, DomainError | type(None))] == []
    ensure_right()
    settle()
    ensure_right()
    assert recount_holdings() == 0


DEFECTS = [
    "UPDATE usage_holding SET bytes = bytes + 1, blobs = blobs - 1",
    "DELETE FROM usage_holding WHERE project_id IS NULL",
    "UPDATE usage_projectcontent SET is_shared = false",
    "TRUNCATE usage_holding",
    "TRUNCATE usage_projectcontent",
]


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_corrected(project: Project, defect: str) -> None:
    make_image(project, "v1")
    make_image(make_project("other"), "v1")
    settle()
    with connection.cursor() as cursor:
        cursor.execute(defect)
    reconcile(actor=Actor.system())
    assert recount_holdings() > 0
    ensure_right()
    settle()
    ensure_right()
    assert recount_holdings() == 0
