"""The number of SQL statements of each list, which does not grow with its rows."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.artifacts.models import (
    Manifest,
    ManifestReference,
    PullUsage,
    Repository,
    Tag,
    TrashEntry,
)
from core.audit.models import AuditEntry
from core.authn.models import PersonalToken
from core.common.clock import now
from core.labels.models import Label
from core.members.models import Membership
from core.oci.digest import Digest
from core.oci.media_types import OCI_IMAGE_CONFIG, OCI_IMAGE_INDEX, OCI_IMAGE_MANIFEST
from core.robots.models import Robot
from tests.core.api.cast import Cast, rows_of
from tests.factories.browser_sessions import make_browser_session
from tests.factories.labels import make_label, put_label
from tests.factories.members import built_in, make_group, make_person
from tests.factories.projects import make_project, make_repository
from tests.factories.tag_rules import make_tag_rule

More = Callable[[Cast, range], None]


def more_projects(cast: Cast, numbers: range) -> None:
    for number in numbers:
        make_project(f"p{number}", is_public=True)


def more_repositories(cast: Cast, numbers: range) -> None:
    for number in numbers:
        repository = make_repository(cast.project, f"r{number}")
        _manifest(repository, number)


def more_artifacts(cast: Cast, numbers: range) -> None:
    """Store indexes with a child, two tags and an accessory each."""
    repository = Repository.objects.filter(name="secret/app").first()
    repository = repository or make_repository(cast.project, "app")
    for number in numbers:
        index = _manifest(repository, number, media_type=OCI_IMAGE_INDEX)
        child = _manifest(repository, 10_000 + number)
        _manifest(repository, 20_000 + number, subject=bytes(index.digest))
        ManifestReference.objects.create(
            parent=index,
            child=child,
            position=0,
            role="child",
            digest=child.digest,
            size_bytes=2,
            media_type=OCI_IMAGE_MANIFEST,
            platform={"architecture": "amd64", "os": "linux"},
        )
        for name in ("a", "b"):
            _tag(index, f"{name}{number}")


def more_labelled(cast: Cast, numbers: range) -> None:
    """Store artifacts with a label of their own and one that all of them carry."""
    everyones, _is_new = Label.objects.get_or_create(
        name="approved", defaults={"created_at": now(), "updated_at": now()}
    )
    repository = Repository.objects.filter(name="secret/app").first()
    repository = repository or make_repository(cast.project, "app")
    for number in numbers:
        manifest = _manifest(repository, number)
        for label in (everyones, make_label(f"l{number}", project=cast.project)):
            put_label(label, manifest.pk)


def more_labels(cast: Cast, numbers: range) -> None:
    for number in numbers:
        make_label(f"l{number}", project=cast.project)


def more_tags(cast: Cast, numbers: range) -> None:
    repository = Repository.objects.filter(name="secret/app").first()
    if repository is None:
        repository = make_repository(cast.project, "app")
        _tag(_manifest(repository, 0), "first")
    for number in numbers:
        _tag(Manifest.objects.get(repository=repository), f"t{number}")


def more_history(cast: Cast, numbers: range) -> None:
    repository = Repository.objects.filter(name="secret/app").first()
    repository = repository or make_repository(cast.project, "app")
    for number in numbers:
        Tag.objects.create(
            repository=repository,
            name="latest",
            digest=_digest(number),
            started_at=now(),
            ended_at=now(),
        )


def more_members(cast: Cast, numbers: range) -> None:
    for number in numbers:
        subject = {"user": make_person(f"m{number}")} if number % 2 else {}
        subject = subject or {"group": make_group(f"g{number}")}
        Membership.objects.create(
            project=cast.project, role=built_in("guest"), created_at=now(), **subject
        )


def more_users(cast: Cast, numbers: range) -> None:
    for number in numbers:
        make_person(f"u{number}")


def more_groups(cast: Cast, numbers: range) -> None:
    for number in numbers:
        make_group(f"g{number}")


def more_robots(cast: Cast, numbers: range) -> None:
    at = now()
    for number in numbers:
        Robot.objects.create(
            project=cast.project,
            name=f"r{number}",
            secret_hash=f"{number:032d}".encode(),
            permissions={"secret": ["repository:pull"]},
            created_at=at,
            updated_at=at,
        )


def more_tokens(cast: Cast, numbers: range) -> None:
    for number in numbers:
        PersonalToken.objects.create(
            user=cast.users["owner"],
            name=f"t{number}",
            secret_hash=f"{number:032d}".encode(),
            created_at=now(),
        )


def more_sessions(cast: Cast, numbers: range) -> None:
    for _number in numbers:
        make_browser_session(cast.users["owner"])


def more_entries(cast: Cast, numbers: range) -> None:
    for number in numbers:
        AuditEntry.objects.create(
            recorded_at=now(),
            action="tag.created",
            outcome="success",
            actor_kind="user",
            actor_label="x",
            project_id=cast.project.pk,
            target_kind="tag",
            target_label=str(number),
        )


def more_usage(cast: Cast, numbers: range) -> None:
    repository = Repository.objects.filter(name="secret/app").first()
    repository = repository or make_repository(cast.project, "app")
    PullUsage.objects.bulk_create(
        PullUsage(
            project=cast.project,
            repository=repository,
            day=now().date(),
            tag_name=f"v{number}",
            client="docker",
            pulls=1,
        )
        for number in numbers
    )


def more_rules(cast: Cast, numbers: range) -> None:
    for number in numbers:
        make_tag_rule(cast.project, tags=f"t{number}")


def more_trash(cast: Cast, numbers: range) -> None:
    for number in numbers:
        entry = TrashEntry.objects.create(
            project=cast.project,
            kind="manifest",
            path="app",
            digest=_digest(number),
            manifest_count=1,
            total_bytes=2,
            deleted_at=now(),
            kept_until=now() + timedelta(days=7),
        )
        entry.tags.create(name="a", digest=_digest(number), started_at=now())


def more_redirects(cast: Cast, numbers: range) -> None:
    repository = Repository.objects.filter(name="secret/app").first()
    repository = repository or make_repository(cast.project, "app")
    for number in numbers:
        repository.redirects.create(
            name=f"old/app{number}", project_id=cast.project.pk, created_at=now()
        )


APP = "/projects/secret/repositories/app"

# Two statements are the login, one the caller's grants where a role decides; the rest
# counts the rows, reads the page, and reads what belongs to its rows, all rows at once. Artifacts
# and audit entries are read in two steps, ids first.
CASES: list[tuple[str, str, More, int]] = [
    ("guest", "/projects", more_projects, 7),
    ("guest", "/projects/secret/repositories", more_repositories, 7),
    ("guest", "/repositories", more_repositories, 6),
    ("guest", f"{APP}/artifacts?with_accessory=true", more_artifacts, 14),
    ("guest", f"{APP}/artifacts?q=tags%3D*&sort=-size", more_artifacts, 15),
    (
        "guest",
        "/projects/secret/artifacts?with_accessory=true&with_inherited_accessory=true",
        more_artifacts,
        14,
    ),
    ("guest", f"{APP}/usage?group_by=tag", more_usage, 7),
    ("guest", f"{APP}/artifacts?with_label=true", more_labelled, 12),
    ("guest", "/labels?scope=p&project_id={project}", more_labels, 6),
    ("guest", f"{APP}/artifacts/first/tags", more_tags, 9),
    ("guest", f"{APP}/tags/latest/history", more_history, 8),
    ("owner", "/projects/secret/trash", more_trash, 7),
    ("guest", f"{APP}/redirects", more_redirects, 7),
    ("guest", "/projects/secret/members", more_members, 6),
    ("maintainer", "/projects/secret/immutabletagrules", more_rules, 6),
    ("admin", "/quotas?sort=-used.storage", more_projects, 4),
    ("admin", "/users", more_users, 4),
    ("admin", "/usergroups", more_groups, 4),
    ("guest", "/robots?q=Level%3Dproject,ProjectID%3D{project}", more_robots, 6),
    ("owner", "/users/current/tokens", more_tokens, 5),
    ("owner", "/users/current/sessions", more_sessions, 6),
    ("owner", "/projects/secret/auditlog-exts", more_entries, 7),
    ("owner", "/auditlog-exts", more_entries, 6),
    ("admin", "/auditlog-exts?sort=op_time", more_entries, 5),
    ("admin", "/auditlog-exts?q=username%3Dx", more_entries, 6),
]


@pytest.mark.parametrize(
    ("actor", "path", "more", "expected"), CASES, ids=[case[1] for case in CASES]
)
def test_statements(cast: Cast, actor: str, path: str, more: More, expected: int) -> None:
    path = path.replace("{project}", str(cast.project.pk))
    path += ("&" if "?" in path else "?") + "page_size=100"
    more(cast, range(10))
    cast[actor].get(path)
    counts = []
    for numbers, least in ((range(0), 10), (range(10, 100), 100)):
        more(cast, numbers)
        with CaptureQueriesContext(connection) as statements:
            assert len(rows_of(cast[actor].get(path))) >= least
        counts.append(len(statements))
    assert counts == [expected, expected]


# No lists of rows, but of figures: the login, then one statement for each part. Figures of storage
# are looked for, then counted, since there are few contents; then repositories are named.
FIGURES: list[tuple[str, str, More, int]] = [
    ("guest", "/search?q=r", more_repositories, 9),
    ("admin", "/statistics", more_repositories, 5),
    ("admin", "/storage", more_repositories, 8),
    ("admin", "/projects/secret/storage", more_repositories, 9),
    ("owner", "/projects/secret/storage", more_repositories, 13),
    ("owner", "/projects/secret/summary", more_repositories, 11),
]


@pytest.mark.parametrize(
    ("actor", "path", "more", "expected"), FIGURES, ids=[" ".join(case[:2]) for case in FIGURES]
)
def test_statements_of_figures(
    cast: Cast, actor: str, path: str, more: More, expected: int
) -> None:
    cast[actor].get(path)
    counts = []
    for numbers in (range(10), range(10, 100)):
        more(cast, numbers)
        with CaptureQueriesContext(connection) as statements:
            assert cast[actor].get(path).status_code == 200
        counts.append(len(statements))
    assert counts == [expected, expected]


def _digest(number: int) -> bytes:
    return Digest.of(str(number).encode()).to_bytes()


def _manifest(
    repository: Repository,
    number: int,
    *,
    media_type: str = OCI_IMAGE_MANIFEST,
    subject: bytes | None = None,
) -> Manifest:
    at = now()
    return Manifest.objects.create(
        repository=repository,
        digest=_digest(number),
        media_type=media_type,
        config_media_type=OCI_IMAGE_CONFIG,
        size_bytes=2,
        payload=b"{}",
        subject=subject,
        total_bytes=2,
        pushed_at=at,
        touched_at=at,
    )


def _tag(manifest: Manifest, name: str) -> None:
    Tag.objects.create(
        repository=manifest.repository,
        name=name,
        manifest=manifest,
        digest=manifest.digest,
        started_at=now(),
    )
