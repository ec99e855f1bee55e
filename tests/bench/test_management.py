"""What lists are measured with is what pushes leave behind, and no list reads a whole table."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from bench.management_lists import KINDS, PREFIX, PagedList, lists_of_administrator
from bench.management_seed import (
    ConfigBlob,
    seed_audit,
    seed_images,
    seed_indexes,
    seed_projects,
)
from bench.seed import seed_repositories
from core.artifacts.models import Manifest, ManifestReference, Tag
from core.oci.digest import Digest
from core.oci.manifest import parse_manifest
from core.rbac.types import Actor
from core.usage.services import reconcile
from tests.core.api.cast import Cast, make_cast, rows_of
from tests.core.artifacts.test_queries import plan_nodes
from tests.factories.artifacts import make_image, storage_in

CONFIG = b"{}"
IMAGES, INDEXES, REPOSITORIES, PROJECTS, ENTRIES = 1_500, 500, 500, 200, 10_000
BIG = {"artifacts_manifest", "artifacts_manifestreference", "artifacts_tag", "audit_auditentry"}


@pytest.fixture
def cast(tmp_path: Path, settings: Settings, transactional_db: None) -> Iterator[Cast]:
    """A project that holds what the benchmark seeds, in smaller numbers."""
    found = make_cast()
    with storage_in(tmp_path, settings):
        for kind in KINDS:
            make_image(found.project, path=kind)
        config = ConfigBlob(str(Digest.of(CONFIG)), len(CONFIG))
        connection.ensure_connection()
        cursor = connection.connection.cursor()
        seed_projects(cursor, PREFIX, "owner", PROJECTS)
        seed_repositories(cursor, "secret", PREFIX, 1, REPOSITORIES, config.digest)
        seed_images(cursor, f"secret/{KINDS[0]}", config, IMAGES)
        seed_indexes(cursor, f"secret/{KINDS[1]}", config, INDEXES)
        seed_audit(cursor, "secret", ENTRIES)
        cursor.execute("VACUUM (ANALYZE)")
        yield found


def total(cast: Cast, path: str) -> int:
    return int(cast["admin"].get(path)["X-Total-Count"])


def nodes_of(sql: str, cursor: CursorWrapper) -> list[dict[str, object]]:
    """Return the steps of a statement's plan; no table is read as a whole by choice.

    In these tables a repository has a large part of all rows, and the planner might do so.
    """
    cursor.execute("SET LOCAL enable_seqscan = off; EXPLAIN (FORMAT JSON) " + sql)
    (found,) = cursor.fetchone()
    return plan_nodes((json.loads(found) if isinstance(found, str) else found)[0]["Plan"])


def whole_tables(sql: str, cursor: CursorWrapper) -> set[object]:
    """Return the tables that a statement must read from one end to the other."""
    scans = [node for node in nodes_of(sql, cursor) if "Seq Scan" in str(node["Node Type"])]
    return {node["Relation Name"] for node in scans}


def reads_manifests(sql: str, cursor: CursorWrapper) -> bool:
    """Tell whether a statement reads rows of manifests, and not only an index of them."""
    scans = [node for node in nodes_of(sql, cursor) if "artifacts_manifest" in node.values()]
    return any(node["Node Type"] != "Index Only Scan" for node in scans)


def test_artifacts_are_counted_and_found_by_indexes_alone(cast: Cast) -> None:
    seen = 0
    lists = [each for each in lists_of_administrator("secret") if "Artifacts" in each.work]
    for page in [page for listed in lists for page in listed.pages(IMAGES)]:
        with CaptureQueriesContext(connection) as captured:
            assert cast["admin"].get(page.path).status_code == 200, page.work
        with transaction.atomic(), connection.cursor() as cursor:
            for query in captured:
                if re.match(r"SELECT COUNT|SELECT .{0,60} AS \"pk\" FROM", query["sql"]):
                    seen += 1
                    assert not reads_manifests(query["sql"], cursor), page.work
    assert seen >= 2 * len(lists)

    # The smallest index tells how many there are, or else what tags name.
    project = "/projects/secret/artifacts"
    repository = f"/projects/secret/repositories/{KINDS[1]}/artifacts"
    cases = [project, f"{project}?q=tags%3Dnil", repository, f"{repository}?q=tags%3Dnil"]
    by_tags = [f"{repository}?q=tags%3D{tags}" for tags in ("*", "~99", "a", "%7Ba%7D")]
    for path in (*cases, *by_tags):
        with CaptureQueriesContext(connection) as captured:
            assert cast["admin"].get(path).status_code == 200
        counts = [query["sql"] for query in captured if query["sql"].startswith("SELECT COUNT")]
        # Whether any artifact needs to be looked at is told by the tags of the newest ones.
        assert len(counts) == (2 if path.endswith("*") else 1), path
        with transaction.atomic(), connection.cursor() as cursor:
            nodes = [node for count in counts for node in nodes_of(count, cursor)]
            used = {str(node.get("Index Name")) for node in nodes}
        listing = {name for name in used if name.startswith("artifacts_manifest_")}
        listing -= {"artifacts_manifest_subject"}
        # With so few rows the planner finds the index of the lists as cheap at times.
        small = {"artifacts_manifest_counted", "artifacts_manifest_newest"}
        assert listing <= (set() if path in by_tags else small), path
        assert listing or path in by_tags, path


@pytest.mark.parametrize("sort", ["size", "-size", "push_time", "-push_time"])
def test_artifacts_by_size_and_time_are_read_in_the_order_of_an_index(
    cast: Cast, sort: str
) -> None:
    path = f"/projects/secret/repositories/{KINDS[0]}/artifacts?sort={sort}&page=8&page_size=100"
    with CaptureQueriesContext(connection) as captured:
        assert len(cast["admin"].get(path).json()) == 100
    (ids,) = [query["sql"] for query in captured if ' AS "pk" FROM' in query["sql"]]
    with transaction.atomic(), connection.cursor() as cursor:
        nodes = [node["Node Type"] for node in nodes_of(ids, cursor)]
    assert "Index Only Scan" in nodes
    assert not [node for node in nodes if "Sort" in str(node)]


def test_tags_are_looked_up_one_by_one_where_memory_does_not_hold_all(cast: Cast) -> None:
    """Otherwise all tags would be gone through for each artifact."""
    seen = 0
    repository = f"/projects/secret/repositories/{KINDS[0]}/artifacts"
    for path in ("/projects/secret/artifacts?q=tags%3D*", f"{repository}?q=tags%3D*,type%3DIMAGE"):
        with CaptureQueriesContext(connection) as captured:
            assert cast["admin"].get(path).status_code == 200
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL work_mem = '64kB'; SET LOCAL hash_mem_multiplier = 1")
            for query in captured:
                if re.match(r"SELECT COUNT|SELECT .{0,60} AS \"pk\" FROM", query["sql"]):
                    seen += 1
                    cursor.execute("EXPLAIN (FORMAT JSON) " + query["sql"])
                    (found,) = cursor.fetchone()
                    plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
                    nodes = [node["Node Type"] for node in plan_nodes(plan)]
                    assert "Materialize" not in nodes, path
    assert seen >= 4


def test_lists_of_what_is_seeded(cast: Cast) -> None:
    for number, kind in enumerate(KINDS):
        artifacts = f"/projects/secret/repositories/{kind}/artifacts"
        tagged = (IMAGES, INDEXES)[number]
        # The one that was pushed has no tag.
        assert total(cast, artifacts) == tagged + 1
        assert total(cast, f"{artifacts}?q=tags%3D*") == tagged
        assert total(cast, f"{artifacts}?q=tags%3Dnil") == 1
        shown = rows_of(cast["admin"].get(f"{artifacts}?page=2"))
        assert {len(row.get("references", ())) for row in shown} == ({0}, {3})[number]
    assert total(cast, "/auditlog-exts") >= ENTRIES
    for manifest in Manifest.objects.filter(repository__name="secret/indexes")[::211]:
        parsed = parse_manifest(bytes(manifest.payload), manifest.media_type)
        assert Digest.of(bytes(manifest.payload)).to_bytes() == bytes(manifest.digest)
        stored = ManifestReference.objects.filter(parent=manifest).order_by("position")
        assert [bytes(row.digest) for row in stored] == [
            reference.digest.to_bytes() for reference in parsed.references
        ]
    assert Tag.objects.filter(ended_at=None).count() == IMAGES + INDEXES + REPOSITORIES
    assert reconcile(actor=Actor.system()).corrections == ()

    seen = 0
    for listed in lists_of_administrator("secret"):
        if is_known_to_read_all(listed):
            continue
        for page in listed.pages(total(cast, listed.path) if listed.places else 1):
            with CaptureQueriesContext(connection) as captured:
                assert cast["admin"].get(page.path).status_code == 200, page.work
            with transaction.atomic(), connection.cursor() as cursor:
                for query in captured:
                    if any(table in query["sql"] for table in BIG):
                        seen += 1
                        assert not whole_tables(query["sql"], cursor) & BIG, page.work
    assert seen > 100


def is_known_to_read_all(listed: PagedList) -> bool:
    """Tell whether a list cannot do otherwise: a part of a text, or figures of everything."""
    return "resource=~" in listed.work or listed.work.startswith("Storage")
