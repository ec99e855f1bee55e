"""One action on many artifacts or tags."""

from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from core.artifacts.models import Manifest, Repository, Tag
from core.artifacts.services import bulk
from core.artifacts.services.tags import create_tag
from core.audit.models import AuditEntry
from core.oci.digest import Digest
from core.storage.selection import default_driver
from tests.core.api.cast import Cast, body_of, errors_of, make_cast
from tests.factories.artifacts import PUSHER, image_document, index_document, make_image, push
from tests.factories.tag_rules import make_tag_rule

BULK = "/projects/secret/repositories/app/artifacts/bulk"


@pytest.fixture
def cast(db: None, tmp_path: Path, settings: Settings) -> Cast:
    settings.STORAGE_ROOT = tmp_path
    default_driver.cache_clear()
    return make_cast()


def act(cast: Cast, **body: Any) -> list[tuple[str, str, str]]:
    """Try the request out, carry it out, and return what both answered alike."""
    before = state()
    tried = body_of(cast["maintainer"].post(BULK, {**body, "dry_run": True}))
    assert state() == before
    assert tried["dry_run"] is True
    done = body_of(cast["maintainer"].post(BULK, body))
    assert done["items"] == tried["items"]
    assert done["dry_run"] is False
    for item in done["items"]:
        assert item["done"] is not bool(item.get("message"))
    return [
        (item.get("digest", ""), item.get("tag", ""), item.get("code", ""))
        for item in done["items"]
    ]


def state() -> tuple[list[object], ...]:
    tags = Tag.objects.order_by("id").values_list("id", "name", "ended_at", "manifest_id")
    manifests = Manifest.objects.order_by("id").values_list("id")
    updated = Repository.objects.order_by("id").values_list("updated_at", flat=True)
    audited = AuditEntry.objects.order_by("id").values_list("id", flat=True)
    return list(tags), list(manifests), list(updated), list(audited)


def live_tags() -> list[str]:
    return sorted(Tag.objects.filter(ended_at=None).values_list("name", flat=True))


def test_deleting_artifacts(cast: Cast) -> None:
    child = str(make_image(cast.project, "single").digest)
    index = push(cast.project, index_document(image_document(b"{}", [b"layer"])), "multi")
    kept = make_image(cast.project, "v1", layers=(b"2",))
    plain = make_image(cast.project, "old", layers=(b"3",))
    make_tag_rule(cast.project, tags="v*")
    missing = f"sha256:{'0' * 64}"
    refused = act(cast, action="delete", digests=[child, missing])
    assert refused == [(child, "", "VIOLATE_FOREIGN_KEY_CONSTRAINT"), (missing, "", "NOT_FOUND")]
    answers = act(
        cast, action="delete", digests=[child, missing], tags=["multi", "v1", "old", "gone"]
    )
    assert answers == [
        (str(plain.digest), "", ""),
        (str(kept.digest), "", "PRECONDITION"),
        (str(index.digest), "", ""),
        (child, "", ""),
        (missing, "", "NOT_FOUND"),
        ("", "gone", "NOT_FOUND"),
    ]
    assert live_tags() == ["v1"]
    deleted = AuditEntry.objects.filter(action="artifact.deleted", outcome="success")
    assert deleted.count() == 3


def test_what_goes_along_is_told_and_counts_as_done(cast: Cast) -> None:
    child = make_image(cast.project)
    signature = make_image(cast.project, f"sha256-{child.digest.hex}.sig", layers=(b"signature",))
    index = push(cast.project, index_document(image_document(b"{}", [b"layer"])), "multi")
    request = {"action": "delete", "digests": [str(child.digest), str(index.digest)]}
    for dry_run in (True, False):
        assert Manifest.objects.count() == 3
        answer = body_of(cast["maintainer"].post(BULK, {**request, "dry_run": dry_run}))
        first, second = answer["items"]
        assert (first["digest"], first["done"]) == (str(index.digest), True)
        assert first["tags"] == ["multi", f"sha256-{child.digest.hex}.sig"]
        assert first["along"] == [str(child.digest), str(signature.digest)]
        assert (second["digest"], second["done"]) == (str(child.digest), True)
    assert not Manifest.objects.exists()
    assert live_tags() == []


def test_tags(cast: Cast) -> None:
    first, second = make_image(cast.project, "a1"), make_image(cast.project, "b", layers=(b"2",))
    make_tag_rule(cast.project, tags="keep-*")
    one, two = str(first.digest), str(second.digest)
    assert act(cast, action="tag", digests=[one], tags=["a2", "keep-1", "b"]) == [
        (one, "a2", ""),
        (one, "keep-1", ""),
        (one, "b", "CONFLICT"),
    ]
    assert act(cast, action="tag", digests=[one, two], tags=["c", "d"]) == [
        (one, "c", ""),
        (two, "d", ""),
    ]
    assert act(cast, action="untag", tags=["c", "none"], selector={"tag_pattern": "a*"}) == [
        (one, "c", ""),
        ("", "none", "NOT_FOUND"),
        (one, "a1", ""),
        (one, "a2", ""),
    ]
    assert act(cast, action="untag", digests=[one, two]) == [
        (two, "b", ""),
        (two, "d", ""),
        (one, "keep-1", "PRECONDITION"),
    ]
    assert Manifest.objects.count() == 2


def test_a_pattern_deletes_artifacts_with_all_their_tags_and_says_so(cast: Cast) -> None:
    image = make_image(cast.project, "dev-1")
    create_tag("secret/app", image.digest, "stable", actor=PUSHER)
    other = make_image(cast.project, "dev-2", layers=(b"2",))
    make_image(cast.project, "live", layers=(b"3",))
    request = {"action": "delete", "selector": {"tag_pattern": "dev-*"}}
    expected = [(str(other.digest), ["dev-2"]), (str(image.digest), ["dev-1", "stable"])]
    for dry_run in (True, False):
        assert live_tags() == ["dev-1", "dev-2", "live", "stable"]
        answer = body_of(cast["maintainer"].post(BULK, {**request, "dry_run": dry_run}))
        assert [(item["digest"], item["tags"]) for item in answer["items"]] == expected
    assert live_tags() == ["live"]
    assert Manifest.objects.count() == 1
    # Ending tags leaves artifacts and other tags alone, and has nothing to add.
    kept = make_image(cast.project, "dev-3", layers=(b"4",))
    create_tag("secret/app", kept.digest, "next", actor=PUSHER)
    assert act(cast, action="untag", selector={"tag_pattern": "dev-*"}) == [
        (str(kept.digest), "dev-3", "")
    ]
    assert live_tags() == ["live", "next"]


def test_selectors(cast: Cast) -> None:
    make_image(cast.project)
    push(cast.project, index_document(image_document(b"{}", [b"layer"])), "multi")
    untagged = make_image(cast.project, layers=(b"2",))
    past = {"pushed_before": "2020-01-01T00:00:00Z"}
    assert act(cast, action="delete", selector={"untagged": True, **past}) == []
    assert act(cast, action="delete", selector={"tag_pattern": "*", **past}) == []
    assert act(cast, action="delete", selector={"untagged": True}) == [
        (str(untagged.digest), "", "")
    ]
    assert len(act(cast, action="delete", selector={"tag_pattern": "{multi,x}"})) == 1
    assert not Manifest.objects.exists()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"action": "burn"}, 422),
        ({"action": "delete", "digests": ["sha256:1"]}, 400),
        ({"action": "untag", "tags": ["no good"]}, 400),
        ({"action": "untag", "selector": {"untagged": True}}, 400),
        ({"action": "delete", "selector": {}}, 400),
        ({"action": "delete", "selector": {"untagged": True, "tag_pattern": "*"}}, 400),
        ({"action": "delete", "selector": {"tag_pattern": "[a"}}, 400),
        ({"action": "delete", "tags": ["x"] * 201}, 422),
        ({"action": "tag", "tags": ["a"]}, 400),
        ({"action": "tag", "tags": ["a"], "digests": [f"sha256:{'0' * 64}"] * 2}, 200),
        ({"action": "tag", "digests": [f"sha256:{'0' * 64}"]}, 400),
    ],
)
def test_requests_that_make_no_sense(cast: Cast, body: Any, status: int) -> None:
    make_image(cast.project, "v1")
    response = cast["maintainer"].post(BULK, body)
    assert response.status_code == status, response.content
    assert status == 200 or errors_of(response)
    assert live_tags() == ["v1"]


@pytest.mark.parametrize(
    ("query", "body", "named"),
    [
        ("?dry_run=true", {"selector": {"tag_pattern": "*"}}, "dry_run in query"),
        ("?tag_pattern=x", {"selector": {"tag_pattern": "*"}}, "tag_pattern in query"),
        ("", {"selector": {"tag_pattern": "*"}, "dryRun": True}, "dryRun"),
        (
            "",
            {"selector": {"tag_pattern": "*", "push_before": "2020-01-01"}},
            "selector.push_before",
        ),
        ("", {}, "digests, tags or a selector"),
        ("", {"dry_run": False}, "digests, tags or a selector"),
    ],
)
def test_what_is_not_known_holds_everything_back(
    cast: Cast, query: str, body: dict[str, Any], named: str
) -> None:
    make_image(cast.project, "v1")
    for action in ("delete", "untag"):
        response = cast["maintainer"].post(BULK + query, {"action": action, **body})
        assert response.status_code == 400
        assert named in errors_of(response)[0]["message"]
    assert live_tags() == ["v1"]


def test_who_may_do_what_and_how_much(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = str(make_image(cast.project, "v1").digest)
    assert cast["developer"].post(BULK, {"action": "delete", "tags": ["v1"]}).status_code == 403
    tag = {"action": "tag", "digests": [digest], "tags": ["v2"]}
    assert cast["guest"].post(BULK, tag).status_code == 403
    assert cast["developer"].post(BULK, tag).status_code == 200
    monkeypatch.setattr(bulk, "MAXIMUM_ITEMS", 1)
    both = {"action": "untag", "selector": {"tag_pattern": "*"}}
    assert cast["maintainer"].post(BULK, both).status_code == 400
    assert live_tags() == ["v1", "v2"]


def test_a_pattern_that_cannot_be_compared_with_all_tags_is_refused(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_image(cast.project, "v1")
    monkeypatch.setattr(bulk, "_MAXIMUM_CANDIDATES", 0)
    for dry_run in (True, False):
        request = {"action": "untag", "dry_run": dry_run, "selector": {"tag_pattern": "v*"}}
        answer = cast["maintainer"].post(BULK, request)
        assert answer.status_code == 400
        assert "at most 0 tags" in errors_of(answer)[0]["message"]


def test_a_tag_of_that_name_is_still_reached(cast: Cast) -> None:
    image = make_image(cast.project, "bulk")
    assert body_of(cast["guest"].get(BULK))["id"] == image.id
    assert Digest.parse(body_of(cast["guest"].get(BULK))["digest"]) == image.digest
    assert cast["maintainer"].delete(BULK).status_code == 200
    assert live_tags() == []
