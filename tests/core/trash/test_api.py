"""The trash over the management API."""

import pytest

from core.artifacts.models import TrashEntry
from core.audit.models import AuditEntry
from tests.core.api.cast import Caller, Cast, basic, body_of, errors_of, make_cast, rows_of
from tests.factories.artifacts import make_image
from tests.factories.members import make_member, make_role
from tests.factories.robots import make_robot

pytestmark = pytest.mark.django_db

APP = "/projects/secret/repositories/app"
TRASH = "/projects/secret/trash"


@pytest.fixture
def cast() -> Cast:
    return make_cast()


def test_the_way_in_and_out(cast: Cast) -> None:
    image = make_image(cast.project, "v1")
    owner = cast["owner"]
    assert owner.delete(f"{APP}/artifacts/v1").status_code == 200
    assert owner.get(f"{APP}/artifacts/{image.digest}").status_code == 404
    assert rows_of(owner.get(f"{APP}/artifacts")) == []
    [entry] = rows_of(owner.get(TRASH))
    entry_id = entry.pop("id")
    for moment in ("deletion_time", "kept_until"):
        assert entry.pop(moment).endswith("Z")
    assert entry == {
        "kind": "manifest",
        "repository_name": "secret/app",
        "digest": str(image.digest),
        "tags": ["v1"],
        "artifact_count": 1,
        "size": len(b"{}layer") + body_size(image.digest),
        "deleted_by": "owner",
    }
    restore = f"{TRASH}/{entry_id}/restore"
    answer = owner.post(restore, {"tags": ["v2"]})
    assert (answer.status_code, "v1" in errors_of(answer)[0]["message"]) == (400, True)
    restored = owner.post(restore)
    assert restored.status_code == 200
    assert body_of(restored) == {
        "labels_left_out": [],
        "grants_left_out": [],
        "ends_left_out": [],
    }
    assert owner.get(f"{APP}/artifacts/v1").status_code == 200
    assert owner.post(restore).status_code == 404
    assert rows_of(owner.get(TRASH)) == []
    assert AuditEntry.objects.filter(action="trash.entry.restored").count() == 1


def body_size(digest: object) -> int:
    return len(bytes(TrashEntry.objects.get().manifests.get().payload))


@pytest.mark.parametrize(
    ("held", "is_shown"),
    [
        ("role", False),
        ("robot", False),
        ("grant", False),
        ("role with the trash", True),
    ],
)
def test_whoever_may_delete_need_not_see_the_trash(cast: Cast, held: str, is_shown: bool) -> None:
    """A role for it must say so; robots and grants cannot hold what is about the whole project."""
    make_image(cast.project, "v1")
    deleting = {"project:read", "repository:read", "artifact:read", "artifact:delete"}
    caller = cast["outsider"]
    if held == "robot":
        made = make_robot("cleaner", project=cast.project, permissions={"secret": deleting})
        caller = Caller("cleaner", basic("robot-secret+cleaner", made.secret))
    elif held == "grant":
        body = {"username": "outsider", "right": "delete"}
        assert cast["owner"].post(f"{APP}/grants", body).status_code == 201
    else:
        also = {"trash:list", "trash:restore"} if is_shown else set()
        role = make_role("cleaner", deleting | also)
        make_member(cast.project, cast.users["outsider"], role)
    assert caller.delete(f"{APP}/artifacts/v1").status_code == 200
    [entry] = rows_of(cast["owner"].get(TRASH))
    status = 200 if is_shown else 403
    assert caller.get(TRASH).status_code == status
    assert caller.delete(f"{TRASH}/{entry['id']}").status_code == 403
    assert caller.post(f"{TRASH}/{entry['id']}/restore").status_code == status


def test_filters_and_conflicts(cast: Cast) -> None:
    owner = cast["owner"]
    make_image(cast.project, "v1")
    make_image(cast.project, "v1", path="lib")
    assert owner.delete(f"{APP}/artifacts/v1/tags/v1").status_code == 200
    assert owner.delete("/projects/secret/repositories/lib").status_code == 200
    for query, kinds in {
        "": ["repository", "tag"],
        "kind=tag": ["tag"],
        "repository=lib": ["repository"],
        "repository=~li,kind=tag": [],
    }.items():
        assert [row["kind"] for row in rows_of(owner.get(f"{TRASH}?q={query}"))] == kinds, query
    make_image(cast.project, "v1", config=b'{"a":1}')
    make_image(cast.project, "v1", path="lib")
    for row in rows_of(owner.get(TRASH)):
        answer = owner.post(f"{TRASH}/{row['id']}/restore")
        assert answer.status_code == 409, row
        assert errors_of(answer)[0]["code"] == "CONFLICT"
    assert cast["maintainer"].delete(TRASH).status_code == 403
    assert owner.delete(TRASH).status_code == 200
    assert rows_of(owner.get(TRASH)) == []


def test_a_tag_returns_to_a_digest_of_its_history(cast: Cast) -> None:
    first = make_image(cast.project, "v1")
    make_image(cast.project, "v1", config=b'{"a":1}')
    developer, path = cast["developer"], f"{APP}/tags/v1/restore"
    assert developer.post(path, {"digest": str(first.digest)}).status_code == 200
    assert body_of(developer.get(f"{APP}/artifacts/v1"))["digest"] == str(first.digest)
    for digest, status in {"sha256:x": 400, f"sha256:{'0' * 64}": 404, "": 422}.items():
        assert developer.post(path, {"digest": digest}).status_code == status, digest


@pytest.mark.parametrize(
    ("value", "status", "shown"),
    [("0", 200, "0"), ("365", 200, "365"), ("", 200, None), ("366", 400, None), ("-1", 400, None)],
)
def test_the_window_is_metadata(cast: Cast, value: str, status: int, shown: str | None) -> None:
    answer = cast["owner"].put("/projects/secret", {"metadata": {"trash_days": value}})
    assert answer.status_code == status
    if status == 400:
        assert "metadata.trash_days" in errors_of(answer)[0]["message"]
    metadata = body_of(cast["owner"].get("/projects/secret"))["metadata"]
    assert metadata.get("trash_days") == shown
