"""The hot reads: what they find, in how many statements, and by which indexes."""

import json
from collections.abc import Callable
from functools import partial
from itertools import accumulate
from typing import Any

import pytest
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.test.utils import CaptureQueriesContext

from core.artifacts import queries
from core.artifacts.lookups import (
    BLOBS,
    MANIFESTS,
    PAYLOADS,
    REDIRECTED_BLOBS,
    REDIRECTED_MANIFESTS,
    TARGETS,
)
from core.artifacts.types import ReadableRepositories
from core.database.asynchronous import PLAN_BY_KEY
from core.database.prepared import Lookup
from core.grants.lookups import PASSWORD_VERSIONS, PASSWORDS, TOKEN_VERSIONS, TOKENS
from core.oci.digest import Digest
from core.projects.models import Project
from core.robots.lookups import PROJECT_ROBOTS, ROBOT_VERSIONS, SYSTEM_ROBOTS
from core.users.models import Revocation
from tests.factories.artifacts import (
    VIEWER,
    find_blob,
    find_manifest,
    head_manifest,
    image_document,
    index_document,
    make_blob,
    make_image,
    push,
)
from tests.factories.projects import make_project, make_repository

pytestmark = pytest.mark.django_db(transaction=True)

ABSENT = Digest.of(b"absent")


def plan_nodes(plan: dict[str, object]) -> list[dict[str, object]]:
    children = plan.get("Plans", [])
    assert isinstance(children, list)
    return [plan, *(node for child in children for node in plan_nodes(child))]


def explain(sql: str, cursor: CursorWrapper, options: str = "") -> list[dict[str, Any]]:
    cursor.execute(f"EXPLAIN (FORMAT JSON{options}) " + sql)
    (found,) = cursor.fetchone()
    return plan_nodes((json.loads(found) if isinstance(found, str) else found)[0]["Plan"])


def sequential_scans(sql: str, cursor: CursorWrapper) -> list[object]:
    return [
        node["Relation Name"]
        for node in explain(sql, cursor)
        if node["Node Type"] in {"Seq Scan", "Parallel Seq Scan"}
    ]


def rows_read(sql: str, cursor: CursorWrapper) -> int:
    """Carry the statement out and return how many rows came from tables and indexes."""
    return sum(
        node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
        for node in explain(sql, cursor, ", ANALYZE")
        if "Scan" in node["Node Type"]
    )


READS: dict[str, Callable[[int], object]] = {
    "target": lambda _: queries.find_target("team/app", VIEWER),
    "tags": lambda repository_id: queries.list_tags(repository_id, "t5", 100),
    "referrers": lambda repository_id: queries.list_referrers(
        repository_id, Digest.of(b"subject"), None, 0, limit=100, max_bytes=1000
    ),
    "all repositories": lambda _: queries.list_repositories(
        ReadableRepositories(everything=True), VIEWER, "many-1/", 100
    ),
    "repositories of some": lambda repository_id: queries.list_repositories(
        ReadableRepositories(
            project_ids=frozenset({1, 2}), repository_ids=frozenset({repository_id})
        ),
        VIEWER,
        "many-1/",
        100,
    ),
    "repositories of projects by name": lambda _: queries.list_repositories(
        ReadableRepositories(project_names=frozenset({"many-7", "many-8"})), VIEWER, "many-1/", 100
    ),
    "mount sources": lambda _: queries.find_mount_sources(
        Digest.of(b"{}"), target_name="team/target", project_id=1, limit=50
    ),
}

FILL = """
INSERT INTO projects_project
       (name, is_public, generation, owner_name, created_at, updated_at)
SELECT 'many-' || n, false, 0, '', now(), now() FROM generate_series(1, 5000) n;
INSERT INTO artifacts_repository
       (project_id, name, description, pull_count, created_at, updated_at)
SELECT id, name || '/app', '', 0, now(), now() FROM projects_project WHERE name LIKE 'many-%';
INSERT INTO users_revocation (subject, generation, credentials_generation)
SELECT 'robot:' || n, 1, 0 FROM generate_series(1, 5000) n;
INSERT INTO blobs_blob (digest, size_bytes, storage_key, created_at)
SELECT '\\x01'::bytea || sha256(n::text::bytea), n, 'many-' || n, now()
  FROM generate_series(1, 5000) n;
INSERT INTO artifacts_repositoryblob (repository_id, blob_id, leased_until, pushed_by)
SELECT r.id, b.id, now(), '' FROM
       (SELECT id, row_number() OVER (ORDER BY id) n FROM artifacts_repository) r
  JOIN (SELECT id, row_number() OVER (ORDER BY id) n FROM blobs_blob) b
    ON b.n BETWEEN r.n AND r.n + 2 WHERE b.id NOT IN
       (SELECT blob_id FROM artifacts_repositoryblob);
INSERT INTO artifacts_manifest
       (repository_id, digest, media_type, size_bytes, payload, subject, annotations,
        total_bytes, pushed_at, pushed_by, touched_at)
SELECT r.id, '\\x01'::bytea || sha256(n::text::bytea), 'm', 1, 'p',
       CASE WHEN n = 1 THEN '\\x01'::bytea || sha256('s'::bytea) END, '{}', 1, now(), '', now()
  FROM artifacts_repository r, generate_series(1, 2) n;
INSERT INTO artifacts_tag
       (repository_id, name, manifest_id, digest, started_at, started_by, ended_by)
SELECT repository_id, 't' || (id %% 10), id, digest, now(), '', ''
  FROM artifacts_manifest WHERE subject IS NULL ON CONFLICT DO NOTHING;
INSERT INTO artifacts_tag
       (repository_id, name, manifest_id, digest, started_at, started_by, ended_by)
SELECT m.repository_id, 'x' || n, m.id, m.digest, now(), '', ''
  FROM artifacts_manifest m, generate_series(1, 3000) n
 WHERE m.id = (SELECT min(id) FROM artifacts_manifest);
"""


@pytest.fixture
def crowd(project: Project) -> int:
    """Tables with many rows, and the repository that the reads are about."""
    pushed = make_image(project, "v1")
    with connection.cursor() as cursor:
        cursor.execute(FILL.replace("%%", "%"))
        cursor.execute("ANALYZE")
    return pushed.repository_id


def test_every_hot_read_is_one_statement_without_a_sequential_scan(crowd: int) -> None:
    for name, read in READS.items():
        with CaptureQueriesContext(connection) as captured:
            read(crowd)
        assert len(captured) == 1, name
        with connection.cursor() as cursor:
            assert sequential_scans(captured[0]["sql"], cursor) == [], name


@pytest.mark.parametrize("lookup", [TARGETS, MANIFESTS, PAYLOADS, BLOBS], ids=lambda it: it.name)
def test_no_lookup_makes_a_sequential_scan(crowd: int, lookup: Lookup[Any, Any]) -> None:
    planning = connection.copy()
    try:
        with planning.cursor() as cursor:
            for name, value in PLAN_BY_KEY.items():
                cursor.execute(f"SET {name} = {value}")
            for statement in (lookup.one, lookup.many):
                cursor.execute(f"PREPARE {statement.name} AS {statement.sql}")
                nothing = ", ".join(["NULL"] * len(lookup.columns))
                explained = f"EXECUTE {statement.name} ({nothing})"
                assert sequential_scans(explained, cursor) == [], statement.name
    finally:
        planning.close()


# The repository "team/app" has 3,000 tags, "many-9" has 3,000 repositories that share a blob.
ASKED: dict[str, tuple[Lookup[Any, Any], tuple[object, ...]]] = {
    "target": (TARGETS, (VIEWER, "many-9", "many-9/more-2999")),
    "tag": (MANIFESTS, (VIEWER, "team", "team/app", "x7", None, True)),
    "digest": (MANIFESTS, (VIEWER, "team", "team/app", None, Digest.of(b"7").to_bytes(), True)),
    "blob": (BLOBS, (VIEWER, "many-9", "many-9/more-7", Digest.of(b"{}").to_bytes())),
    "tag, moved": (REDIRECTED_MANIFESTS, (VIEWER, "old", "old/app", "x7", None, True)),
    "blob, moved": (REDIRECTED_BLOBS, (VIEWER, "old", "old/app", Digest.of(b"{}").to_bytes())),
    "password": (PASSWORDS, ("many", "192.0.2.1", "many-9", "many-9/more-2999")),
    "token": (TOKENS, (b"secret", "many-9", "many-9/more-2999")),
    "robot": (PROJECT_ROBOTS, ("many-9", "robot-7", "many-9", "many-9/more-2999")),
    "robot of the system": (SYSTEM_ROBOTS, (None, "robot-7", "many-9", "many-9/more-2999")),
    "versions of a robot": (ROBOT_VERSIONS, (7, 8, 9, "many-9/more-2999")),
    "versions for a password": (
        PASSWORD_VERSIONS,
        (7, 9, "many-9/more-2999", "many", "192.0.2.1"),
    ),
    "versions for a token": (TOKEN_VERSIONS, (7, 9, "many-9/more-2999", 11)),
}

ROBOTS = """
INSERT INTO robots_robot
       (project_id, name, description, permissions, project_ids, secret_hash, secret_hint,
        is_disabled, created_by, created_at, updated_at)
SELECT p.id, 'robot-' || n, '', '{}', '{}', sha256((p.id || '-' || n)::bytea), '', false, '',
       now(), now()
  FROM projects_project p, generate_series(1, CASE p.name WHEN 'many-9' THEN 3000 ELSE 1 END) n;
INSERT INTO artifacts_redirect (name, repository_id, project_id, created_at)
SELECT 'old/app', id, project_id, now() FROM artifacts_repository WHERE name = 'team/app'
"""


@pytest.mark.parametrize("prepare", ["ANALYZE", "VACUUM ANALYZE"])
def test_lookups_are_asked_by_all_keys(crowd: int, prepare: str) -> None:
    """However much else has one of them, and whether one question is asked or many at once."""
    with connection.cursor() as cursor:
        cursor.execute(SHARE, (Digest.of(b"{}").to_bytes(),))
        cursor.execute(ROBOTS)
        cursor.execute(prepare)
    planning = connection.copy()
    try:
        with planning.cursor() as cursor:
            for name, value in PLAN_BY_KEY.items():
                cursor.execute(f"SET {name} = {value}")
            for label, (lookup, question) in ASKED.items():
                for statement, times in ((lookup.one, 1), (lookup.many, 10)):
                    values = question if times == 1 else [[value] * times for value in question]
                    types = [kind + "[]" * (times > 1) for kind in lookup.columns.values()]
                    places = ", ".join(f"%s::{kind}" for kind in types)
                    cursor.execute(f"PREPARE asked AS {statement.sql}")
                    execution = cursor.mogrify(f"EXECUTE asked ({places})", values)
                    assert rows_read(execution.decode(), cursor) < 30 * times, (label, times)
                    cursor.execute("DEALLOCATE asked")
    finally:
        planning.close()


def test_a_lookup_tells_what_exists(project: Project) -> None:
    image = make_image(project, "v1")
    nowhere = find_manifest("other/app", "v1", VIEWER)
    assert (nowhere.project, nowhere.repository_id, nowhere.manifest) == (None, None, None)
    assert nowhere.target("other/app").project_id is None
    empty = find_manifest("team/new", "v1", VIEWER)
    assert empty.project is not None
    assert (empty.project.id, empty.repository_id, empty.manifest) == (project.pk, None, None)
    missing = find_manifest("team/app", "v2", VIEWER)
    assert (missing.repository_id, missing.manifest) == (image.repository_id, None)
    target = queries.find_target("team/app", VIEWER).target("team/app")
    assert (target.project_name, target.repository_id) == ("team", image.repository_id)


def test_head_finds_the_same_without_the_payload(project: Project) -> None:
    image = make_image(project, "v1")
    for reference in ("v1", image.digest):
        whole = find_manifest("team/app", reference, VIEWER).manifest
        head = head_manifest("team/app", reference, VIEWER).manifest
        assert whole is not None
        assert head is not None
        assert (head.digest, head.size_bytes) == (whole.digest, len(whole.payload or b""))
        assert head.payload is None


def test_every_look_up_reads_the_generations(project: Project) -> None:
    Revocation.objects.create(subject="user:7", generation=3)
    Project.objects.filter(pk=project.pk).update(generation=5)
    for subject, generation in (("user:7", 3), ("user:8", 0)):
        for lookup in (
            queries.find_target("team/app", subject),
            find_blob("team/app", ABSENT, subject),
            head_manifest("team/app", "v1", subject),
        ):
            assert lookup.generation == generation
            assert lookup.project is not None
            assert (lookup.project.id, lookup.project.generation) == (project.pk, 5)
        assert queries.find_target("gone/app", subject).generation == generation


def test_tags_stand_in_byte_order_and_page_without_gaps(project: Project) -> None:
    names = ["A", "B", "_", "a", "b", "1", "v1.10", "v1.9"]
    make_image(project)
    pushed = push(project, image_document(b"{}", [b"layer"]), extra_tags=names)
    ordered = sorted(names, key=str.encode)
    assert queries.list_tags(pushed.repository_id, "", 100) == ordered
    assert queries.list_tags(pushed.repository_id, "", 3) == ordered[:3]
    assert queries.list_tags(pushed.repository_id, ordered[2], 3) == ordered[3:6]
    assert queries.list_tags(pushed.repository_id, "Aa", 1) == ["B"]
    assert queries.list_tags(pushed.repository_id, "zzz", 5) == []
    assert queries.list_tags(pushed.repository_id, "", 0) == []


def test_repositories_are_listed_as_far_as_visible(project: Project) -> None:
    public, private = make_project("public", is_public=True), make_project("private")
    repositories = {
        name: make_repository(owner, path)
        for name, owner, path in (
            ("public/a", public, "a"),
            ("private/a", private, "a"),
            ("private/b", private, "b"),
            ("team/a", project, "a"),
        )
    }

    def visible(**members: object) -> list[str]:
        return queries.list_repositories(
            ReadableRepositories(**members),  # type: ignore[arg-type]
            VIEWER,
            "",
            10,
        ).names

    assert visible() == ["public/a"]
    assert visible(public=False) == []
    assert visible(everything=True) == sorted(repositories)
    assert visible(project_ids=frozenset({project.pk})) == ["public/a", "team/a"]
    names, ids = frozenset({"team", "gone", "public"}), frozenset({private.pk})
    assert visible(project_names=names) == ["public/a", "team/a"]
    assert visible(project_names=names, project_ids=ids) == sorted(repositories)
    one = frozenset({repositories["private/b"].pk})
    assert visible(repository_ids=one) == ["private/b", "public/a"]
    everything = ReadableRepositories(everything=True)
    page = queries.list_repositories(everything, VIEWER, "private/a", 2)
    assert page == (["private/b", "public/a"], 0)


def test_a_list_of_repositories_tells_the_generation_of_who_asks() -> None:
    Revocation.objects.create(subject="user:1", generation=1, credentials_generation=0)
    nothing = ReadableRepositories(public=False)
    assert queries.list_repositories(nothing, "user:1", "", 10) == ([], 1)
    assert queries.list_repositories(nothing, "user:2", "", 10) == ([], 0)


def test_pages_of_visible_repositories_follow_without_gaps() -> None:
    # In byte order "a-b/" stands before "a/", and "a.b/" between them.
    projects = [make_project(name, is_public=name == "a.b") for name in ("a", "a-b", "a.b", "b")]
    repositories = [
        make_repository(project, path) for project in projects for path in ("x", "x/y", "x-y", "z")
    ]
    granted = [it for it in repositories if it.name in ("a-b/x-y", "b/z", "a/x")]
    visible = ReadableRepositories(
        project_ids=frozenset({projects[0].pk}), repository_ids=frozenset(it.pk for it in granted)
    )
    expected = sorted(
        it.name for it in repositories if it in granted or it.project.name in ("a", "a.b")
    )
    assert len(expected) == 10
    for size in (1, 3, 10, 11):
        found: list[str] = []
        after = ""
        while names := queries.list_repositories(visible, VIEWER, after, size).names:
            found += names
            after = names[-1]
        assert found == expected


SHARE = """
INSERT INTO artifacts_repository
       (project_id, name, description, pull_count, created_at, updated_at)
SELECT id, name || '/more-' || n, '', 0, now(), now()
  FROM projects_project, generate_series(1, 3000) n WHERE name = 'many-9';
INSERT INTO artifacts_repositoryblob (repository_id, blob_id, leased_until, pushed_by)
SELECT r.id, b.id, now(), '' FROM artifacts_repository r, blobs_blob b
 WHERE b.digest = %s AND (r.name LIKE 'many-9/%%' OR r.name LIKE 'many-_/app')
    ON CONFLICT DO NOTHING;
"""


@pytest.mark.parametrize("prepare", ["ANALYZE", "VACUUM ANALYZE"])
def test_mount_sources_are_found_in_bounded_steps(crowd: int, prepare: str) -> None:
    """However many repositories a blob is in, whether the target's project has them or not.

    Behind a vacuum an index alone costs less than the rows it leads to, and plans change.
    """
    digest = Digest.of(b"{}")
    near, far, absent = "many-9/more-2999", "many-8/app", "many-10/app"
    with connection.cursor() as cursor:
        cursor.execute(SHARE, (digest.to_bytes(),))
        cursor.execute(prepare)
        projects = dict(Project.objects.values_list("name", "pk"))
        oldest = ["team/app", *(f"many-{n}/app" for n in range(1, 10))]
        found: dict[str, list[str]] = {}
        for target in (near, far, absent):
            project_id = projects[target.partition("/")[0]]
            with CaptureQueriesContext(connection) as captured:
                found[target] = queries.find_mount_sources(
                    digest, target_name=target, project_id=project_id, limit=50
                )
            [statement] = captured
            assert rows_read(statement["sql"], cursor) < 3 * queries.MAXIMUM_NEIGHBOURS
            assert len(set(found[target])) == len(found[target]) == 50
    assert found[near][0] == near
    assert {name.partition("/")[0] for name in found[near]} == {"many-9"}
    assert found[far][0] == far
    assert sorted(found[far][:10]) == sorted(oldest)
    assert sorted(found[absent][:10]) == sorted(oldest)
    assert (
        queries.find_mount_sources(
            ABSENT, target_name=near, project_id=projects["many-9"], limit=50
        )
        == []
    )


def test_referrers_are_listed_by_their_type(project: Project) -> None:
    subject = b"subject"
    make_blob(project, b"{}")
    signature = push(
        project,
        image_document(subject=subject, artifact_type="x/signature", annotations={"a": "ä"}),
    )
    plain = push(project, image_document(subject=subject))
    index = json.loads(index_document())
    index["subject"] = json.loads(image_document(subject=subject))["subject"]
    listing = push(project, json.dumps(index).encode())
    push(project, image_document(subject=b"another"))

    read = partial(queries.list_referrers, plain.repository_id, Digest.of(subject))

    def referrers(kind: str | None = None, after: int = 0, limit: int = 10) -> list[Digest]:
        found, may_follow = read(kind, after, limit=limit, max_bytes=10_000)
        assert may_follow == (len(found) == limit)
        return [item.digest for item in found]

    assert referrers() == [signature.digest, plain.digest, listing.digest]
    assert referrers("x/signature") == [signature.digest]
    assert referrers("application/vnd.oci.image.config.v1+json") == [plain.digest]
    assert referrers("x/none") == []
    assert referrers(limit=2) == [signature.digest, plain.digest]
    everything, _ = read(None, 0, limit=10, max_bytes=10_000)
    first, _, last = everything
    assert (first.artifact_type, first.annotations) == ("x/signature", {"a": "ä"})
    assert (last.artifact_type, last.annotations) == (None, {})
    assert referrers(after=first.id) == [plain.digest, listing.digest]
    one, two, three = accumulate(item.size_bytes for item in everything)
    for max_bytes, count in ((1, 1), (one, 1), (one + 1, 2), (two, 2), (two + 1, 3), (three, 3)):
        found, may_follow = read(None, 0, limit=10, max_bytes=max_bytes)
        assert (len(found), may_follow) == (count, True)
