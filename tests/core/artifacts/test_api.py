"""Repositories, artifacts and tags over the management API."""

from pathlib import Path
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from core.artifacts.services.tags import create_tag
from core.oci.digest import Digest
from core.oci.media_types import OCI_IMAGE_CONFIG, OCI_IMAGE_MANIFEST
from core.storage.selection import default_driver
from tests.core.api.cast import Cast, body_of, errors_of, make_cast, rows_of
from tests.factories.artifacts import (
    PUSHER,
    image_document,
    index_document,
    make_blob,
    make_image,
    push,
)
from tests.factories.members import make_member
from tests.factories.projects import make_project, make_repository
from tests.factories.tag_rules import make_tag_rule

APP = "/projects/secret/repositories/team%252Fapp"
NAME = "secret/team/app"
VENDOR = "application/vnd"


@pytest.fixture
def cast(db: None, tmp_path: Path, settings: Settings) -> Cast:
    settings.STORAGE_ROOT = tmp_path
    default_driver.cache_clear()
    return make_cast()


def test_a_repository(cast: Cast) -> None:
    make_image(cast.project, "v1", path="team/app")
    shown = body_of(cast["guest"].get(APP))
    assert shown.pop("creation_time").endswith("Z")
    assert shown.pop("update_time").endswith("Z")
    repository_id = shown.pop("id")
    assert shown == {
        "project_id": cast.project.pk,
        "name": NAME,
        "artifact_count": 1,
        "pull_count": 0,
    }
    changed = cast["developer"].put(APP, {"description": "# Title"})
    assert (changed.status_code, changed.content) == (200, b"")
    (row,) = rows_of(cast["guest"].get("/projects/secret/repositories"))
    assert (row["id"], row["description"]) == (repository_id, "# Title")
    assert cast["maintainer"].delete(APP).status_code == 200
    assert cast["guest"].get(APP).status_code == 404


def test_lists_show_only_repositories_that_may_be_listed(cast: Cast) -> None:
    make_repository(cast.project)
    make_repository(make_project("open", is_public=True))
    make_repository(make_project("hidden"))

    def names(actor: str, query: str = "") -> list[str]:
        return [row["name"] for row in rows_of(cast[actor].get(f"/repositories{query}"))]

    assert names("admin") == ["hidden/app", "open/app", "secret/app"]
    assert names("guest") == ["open/app", "secret/app"]
    assert names("outsider") == names("anonymous") == ["open/app"]
    assert names("project_robot") == ["open/app", "secret/app"]
    assert names("admin", "?q=name%3D~secret") == ["secret/app"]


def test_an_artifact(cast: Cast) -> None:
    pushed = make_image(cast.project, "v1", path="team/app")
    by_tag = body_of(cast["guest"].get(f"{APP}/artifacts/v1"))
    assert by_tag == body_of(cast["guest"].get(f"{APP}/artifacts/{pushed.digest}"))
    encoded = str(pushed.digest).replace(":", "%253A")
    assert by_tag == body_of(cast["guest"].get(f"{APP}/artifacts/{encoded}"))
    (tag,) = by_tag.pop("tags")
    assert tag.pop("push_time") >= by_tag.pop("push_time") > "2026"
    assert tag == {
        "id": tag["id"],
        "repository_id": pushed.repository_id,
        "artifact_id": pushed.id,
        "name": "v1",
        "pull_time": "0001-01-01T00:00:00.000Z",
        "immutable": False,
    }
    size = by_tag.pop("size")
    assert size > len(b"layer")
    base = f"/api/v2.0{APP}/artifacts/{pushed.digest}/additions"
    assert by_tag.pop("addition_links") == {
        name: {"href": f"{base}/{name}", "absolute": False}
        for name in ("build_history", "sbom", "vulnerabilities")
    }
    assert by_tag == {
        "id": pushed.id,
        "type": "IMAGE",
        "media_type": OCI_IMAGE_CONFIG,
        "manifest_media_type": OCI_IMAGE_MANIFEST,
        "artifact_type": OCI_IMAGE_CONFIG,
        "project_id": cast.project.pk,
        "repository_id": pushed.repository_id,
        "repository_name": NAME,
        "digest": str(pushed.digest),
        "pull_time": "0001-01-01T00:00:00.000Z",
    }


def test_signatures_under_tags_are_accessories(cast: Cast) -> None:
    image = make_image(cast.project, "v1", path="team/app")
    index = push(
        cast.project, index_document(image_document(b"{}", [b"layer"])), "multi", "team/app"
    )
    pushed = {}
    for number, suffix in enumerate(("sig", "att")):
        document = image_document(annotations={"n": str(number)})
        tag = f"sha256-{image.digest.hex}.{suffix}"
        pushed[suffix] = push(cast.project, document, tag, "team/app").digest
    both = push(
        cast.project,
        image_document(annotations={"n": "2"}),
        f"sha256-{index.digest.hex}.sig",
        "team/app",
    )
    path = f"{APP}/artifacts/v1"

    def digests(query: str) -> set[str]:
        return {row["digest"] for row in rows_of(cast["guest"].get(f"{APP}/artifacts{query}"))}

    assert digests("") == {str(image.digest), str(index.digest)}
    assert digests("?q=base%3D*") == {
        str(digest) for digest in (image.digest, index.digest, both.digest, *pushed.values())
    }
    assert body_of(cast["guest"].get(APP))["artifact_count"] == 2
    rows = rows_of(cast["guest"].get(f"{path}/accessories?sort=id"))
    assert [(row["digest"], row["type"]) for row in rows] == [
        (str(pushed["sig"]), "signature.cosign"),
        (str(pushed["att"]), "subject.accessory"),
    ]
    assert {row["subject_artifact_digest"] for row in rows} == {str(image.digest)}
    shown = body_of(cast["guest"].get(f"{path}?with_accessory=true&with_inherited_accessory=true"))
    assert shown["accessories"] == rows
    (inherited,) = shown["inherited_accessories"]
    assert (inherited["digest"], inherited["type"]) == (str(both.digest), "signature.cosign")
    # What has another name, too, stands for itself.
    create_tag("secret/team/app", pushed["att"], "attestation", actor=PUSHER)
    assert digests("") == {str(image.digest), str(index.digest), str(pushed["att"])}


def test_accessories_are_found_by_what_is_shown_of_them(cast: Cast) -> None:
    make_image(cast.project, path="team/app")
    subject = image_document(b"{}", [b"layer"])
    image = push(cast.project, subject, "v1", "team/app")
    notation = image_document(
        b"{}", subject=subject, artifact_type=f"{VENDOR}.cncf.notary.signature"
    )
    bundle = image_document(
        b"{}", subject=subject, artifact_type=f"{VENDOR}.dev.sigstore.bundle.v0.3+json"
    )
    other = image_document(b"{}", [b"layer"], subject=subject, artifact_type="text/x")
    by_tag = image_document(b"{}", annotations={"n": "1"})
    pushed = {
        "notation": push(cast.project, notation, path="team/app"),
        "bundle": push(cast.project, bundle, path="team/app"),
        "other": push(cast.project, other, path="team/app"),
        "tag": push(cast.project, by_tag, f"sha256-{image.digest.hex}.sig", "team/app"),
    }
    names = {str(manifest.digest): name for name, manifest in pushed.items()}
    path = f"{APP}/artifacts/v1/accessories"
    shown = {names[row["digest"]]: row for row in rows_of(cast["guest"].get(path))}
    assert set(shown) == set(pushed)

    def found(query: str) -> set[str]:
        rows = rows_of(cast["guest"].get(f"{path}?q={quote(quote(query))}"))
        return {names[row["digest"]] for row in rows}

    assert found("type=signature.cosign") == {"bundle", "tag"}
    assert found("type=~SIGNATURE") == {"bundle", "tag", "notation"}
    assert found("type={subject.accessory signature.notation}") == {"other", "notation"}
    for name, row in shown.items():
        assert found(f"digest={row['digest']}") == {name}
        assert found(f"artifact_id={row['artifact_id']}") == found(f"ID={row['id']}") == {name}
        assert found(f"type={row['type']}") >= {name}
        alike = {each for each, one in shown.items() if one["size"] == row["size"]}
        assert found(f"size={row['size']}") == alike
    assert found(f"subject_artifact_id={image.id}") == set(pushed)
    assert found("subject_artifact_id=1000000") == found("type=x") == set()
    assert found("unknown=x") == set(pushed)
    by_type = rows_of(cast["guest"].get(f"{path}?sort=-type"))
    assert names[by_type[0]["digest"]] == "other"
    for query in ("digest=x", "digest=~sha", "artifact_id=x", "size=x"):
        assert cast["guest"].get(f"{path}?q={quote(query)}").status_code == 400


def test_an_index_hides_its_children_and_an_image_its_accessories(cast: Cast) -> None:
    make_image(cast.project, path="team/app")
    child = image_document(b"{}", [b"layer"])
    index = push(cast.project, index_document(child), "multi", "team/app")
    signature = image_document(
        b"{}", subject=child, artifact_type="application/vnd.cncf.notary.signature"
    )
    signed = push(cast.project, signature, path="team/app")

    def digests(query: str) -> list[str]:
        return [row["digest"] for row in rows_of(cast["guest"].get(f"{APP}/artifacts{query}"))]

    assert digests("") == [str(index.digest)]
    assert set(digests("?q=base%3D*")) == {
        str(index.digest),
        str(signed.digest),
        str(Digest.of(child)),
    }
    (reference,) = body_of(cast["guest"].get(f"{APP}/artifacts/multi"))["references"]
    assert reference["child_digest"] == str(Digest.of(child))
    assert reference["parent_id"] == index.id
    path = f"{APP}/artifacts/{Digest.of(child)}"
    (accessory,) = rows_of(cast["guest"].get(f"{path}/accessories"))
    assert accessory["type"] == "signature.notation"
    assert accessory["subject_artifact_digest"] == str(Digest.of(child))
    assert accessory["subject_artifact_repo"] == NAME
    shown = body_of(cast["guest"].get(f"{path}?with_accessory=true"))
    assert [row["digest"] for row in shown["accessories"]] == [str(signed.digest)]
    refused = cast["maintainer"].delete(path)
    assert refused.status_code == 412
    assert errors_of(refused)[0]["code"] == "VIOLATE_FOREIGN_KEY_CONSTRAINT"
    assert str(index.digest) in errors_of(refused)[0]["message"]


def test_deleted_artifacts_leave_nothing_of_theirs_behind(cast: Cast) -> None:
    image = make_image(cast.project, "v1", path="team/app")
    document = image_document(b"{}", [b"layer"])
    signature = f"sha256-{image.digest.hex}.sig"
    push(cast.project, image_document(annotations={"a": "b"}), signature, "team/app")
    push(cast.project, image_document(b"{}", subject=document), path="team/app")
    assert cast["maintainer"].delete(f"{APP}/artifacts/v1").status_code == 200
    assert rows_of(cast["guest"].get(f"{APP}/artifacts?q=base%3D*")) == []
    for layer in (b"layer", b"other"):
        make_image(cast.project, layers=(layer,), path="team/app")
    children = [image_document(b"{}", [layer]) for layer in (b"layer", b"other")]
    push(cast.project, index_document(*children), "multi", "team/app")
    assert body_of(cast["guest"].get(APP))["artifact_count"] == 1
    assert cast["maintainer"].delete(f"{APP}/artifacts/multi").status_code == 200
    assert body_of(cast["guest"].get(APP)).get("artifact_count", 0) == 0
    assert rows_of(cast["guest"].get(f"{APP}/artifacts?q=base%3D*")) == []
    # Each went into the trash as a whole, which shows the tags of the artifact itself.
    entries = rows_of(cast["maintainer"].get("/projects/secret/trash"))
    assert [(row["artifact_count"], row["tags"]) for row in entries] == [
        (3, ["multi"]),
        (3, ["v1"]),
    ]
    make_tag_rule(cast.project, tags="*.sig")
    push(cast.project, document, "v2", "team/app")
    push(cast.project, image_document(annotations={"a": "c"}), signature, "team/app")
    refused = cast["maintainer"].delete(f"{APP}/artifacts/v2")
    assert (refused.status_code, errors_of(refused)[0]["code"]) == (412, "PRECONDITION")
    assert signature in errors_of(refused)[0]["message"]


def test_children_are_listed_as_long_as_a_tag_names_them(cast: Cast) -> None:
    first = make_image(cast.project, path="team/app")
    second = make_image(cast.project, layers=(b"other",), path="team/app")
    children = [image_document(b"{}", [layer]) for layer in (b"layer", b"other")]
    index = push(cast.project, index_document(*children), "multi", "team/app")

    def ids(query: str = "") -> list[int]:
        lists = [f"{APP}/artifacts?{query}", f"/projects/secret/artifacts?{query}"]
        found = [[row["id"] for row in rows_of(cast["guest"].get(path))] for path in lists]
        assert found[0] == found[1]
        return found[0]

    def ensure_listed(*listed: int) -> None:
        assert ids() == list(listed)
        assert [*ids("page_size=1"), *ids("page_size=1&page=2")] == list(listed[:2])
        assert ids("q=tags%3D*") == [one for one in listed if one != first.id]
        assert ids("q=tags%3Dnil") == [one for one in listed if one == first.id]
        assert body_of(cast["guest"].get(APP))["artifact_count"] == len(listed)

    ensure_listed(index.id)
    tags = f"{APP}/artifacts/{second.digest}/tags"
    for _ in range(2):
        assert cast["developer"].post(tags, {"name": "amd64"}).status_code == 201
        ensure_listed(index.id, second.id)
        assert cast["maintainer"].delete(f"{tags}/amd64").status_code == 200
        ensure_listed(index.id)
    assert cast["developer"].post(tags, {"name": "amd64"}).status_code == 201
    assert cast["maintainer"].delete(f"{APP}/artifacts/multi").status_code == 200
    ensure_listed(second.id)


def test_the_total_of_tagged_artifacts_is_that_of_the_list(cast: Cast) -> None:
    image = make_image(cast.project, "v1", path="team/app")
    document = image_document(b"{}", [b"layer"])
    push(cast.project, document, "v2", "team/app")
    other = make_image(cast.project, "other", path="other")
    companion = f"sha256-{image.digest.hex}.sig"

    def ensure(*listed: int) -> None:
        for path, expected in ((APP, listed), ("/projects/secret/repositories/other", (other.id,))):
            answer = cast["guest"].get(f"{path}/artifacts?q=tags%3D*")
            assert {row["id"] for row in rows_of(answer)} == set(expected)
            assert answer["X-Total-Count"] == str(len(expected))
        for tags in ("~V", "~e", "~sha256", "v1", companion, "{v1 v2 named}", "(v1 v2)", "nil"):
            answer = cast["guest"].get(f"{APP}/artifacts?q=tags%3D{quote(tags)}")
            assert answer["X-Total-Count"] == str(len(rows_of(answer))), tags

    ensure(image.id)
    push(cast.project, image_document(subject=document), "accessory", "team/app")
    signature = push(cast.project, image_document(annotations={"a": "b"}), companion, "team/app")
    ensure(image.id)
    push(cast.project, image_document(annotations={"a": "b"}), "named", "team/app")
    ensure(image.id, signature.id)
    for tag in ("v1", "v2"):
        path = f"{APP}/artifacts/{image.digest}/tags/{tag}"
        assert cast["maintainer"].delete(path).status_code == 200
    ensure(signature.id)


def test_filters_of_artifacts(cast: Cast) -> None:
    first = make_image(cast.project, "v1", path="team/app")
    second = make_image(cast.project, "v2", layers=(b"other",), path="team/app")
    make_blob(cast.project, b"third", "team/app")
    untagged = push(cast.project, image_document(b"{}", [b"third"]), path="team/app")

    def ids(query: str) -> set[int]:
        return {row["id"] for row in rows_of(cast["guest"].get(f"{APP}/artifacts?{query}"))}

    assert ids("q=tags%3D*") == {first.id, second.id}
    assert ids("q=tags%3Dnil") == {untagged.id}
    assert ids("q=tags%3Dv1") == {first.id}
    assert ids("q=tags%3D~V") == {first.id, second.id}
    assert ids("q=tags%3D%7Bv1%20v2%7D") == {first.id, second.id}
    assert ids("q=tags%3D(v1%20v2)") == set()
    assert ids(f"q=digest%3D{second.digest}") == {second.id}
    assert ids("q=type%3DIMAGE") == {first.id, second.id, untagged.id}
    assert ids("q=type%3DCHART") == set()
    assert ids("q=labels%3D(1)") == set()
    assert cast["guest"].get(f"{APP}/artifacts?q=digest%3Dnonsense").status_code == 400
    assert cast["guest"].get(f"{APP}/artifacts?with_tag=perhaps").status_code == 422
    (row,) = rows_of(cast["guest"].get(f"{APP}/artifacts?with_tag=false&q=tags%3Dv1"))
    assert "tags" not in row


def test_where_all_have_a_tag_none_is_looked_at_for_one(cast: Cast) -> None:
    make_image(cast.project, "v1", path="team/app")
    make_image(cast.project, layers=(b"other",), path="team/app")
    document = image_document(b"{}", [b"other"])
    # What only belongs to an index, or is about another image, is not listed anyway.
    push(cast.project, index_document(document), "v2", "team/app")
    push(cast.project, image_document(b"{}", subject=document), "about", "team/app")

    def looks_at_tags() -> bool:
        with CaptureQueriesContext(connection) as captured:
            answer = cast["guest"].get(f"{APP}/artifacts?q=tags%3D*")
        rows = rows_of(answer)
        assert [[tag["name"] for tag in row["tags"]] for row in rows] == [["v2"], ["v1"]]
        assert answer["X-Total-Count"] == "2"
        selected = 'SELECT "artifacts_manifest"."id" AS "pk" FROM'
        *_, ids = [query["sql"] for query in captured if query["sql"].startswith(selected)]
        return "COALESCE" in ids

    assert not looks_at_tags()
    make_image(cast.project, layers=(b"untagged",), path="team/app")
    assert looks_at_tags()


@pytest.mark.parametrize("slash", ["%2F", "%2f", "%252F", "%252f"])
def test_an_encoded_slash_belongs_to_the_name(cast: Cast, slash: str) -> None:
    inner = make_image(cast.project, "v3", path="a/b")
    make_image(cast.project, "v1", path="a/b/artifacts/v3", layers=(b"other",))
    path = f"/projects/secret/repositories/{'a/b/artifacts/v3'.replace('/', slash)}"
    assert body_of(cast["guest"].get(path))["name"] == "secret/a/b/artifacts/v3"
    assert cast["maintainer"].delete(path).status_code == 200
    assert cast["maintainer"].delete(path).status_code == 404
    found = cast["guest"].get(f"/projects/secret/repositories/a{slash}b/artifacts/v3")
    assert body_of(found)["digest"] == str(inner.digest)
    # Without any encoding, the longer route counts.
    plain = cast["guest"].get("/projects/secret/repositories/a/b/artifacts/v3")
    assert body_of(plain)["digest"] == str(inner.digest)


def test_tags_and_their_history(cast: Cast) -> None:
    first = make_image(cast.project, "latest", path="team/app")
    second = make_image(cast.project, "latest", layers=(b"other",), path="team/app")
    path = f"{APP}/artifacts/{second.digest}/tags"
    created = cast["developer"].post(path, {"name": "stable"})
    assert (created.status_code, created.content) == (201, b"")
    assert created["Location"].endswith(f"/artifacts/{second.digest}/tags/stable")
    assert cast["developer"].post(path, {"name": "stable"}).status_code == 409
    assert cast["developer"].post(path, {"name": "no good"}).status_code == 400
    assert [row["name"] for row in rows_of(cast["guest"].get(path))] == ["latest", "stable"]

    other = f"{APP}/artifacts/{first.digest}/tags/stable"
    assert cast["maintainer"].delete(other).status_code == 404
    assert cast["maintainer"].delete(f"{path}/stable").status_code == 200
    assert [row["name"] for row in rows_of(cast["guest"].get(path))] == ["latest"]

    (ended,) = rows_of(cast["guest"].get(f"{APP}/tags/stable/history"))
    assert ended["ended_by"] == "maintainer"
    assert ended["live"] is False
    periods = rows_of(cast["guest"].get(f"{APP}/tags/latest/history"))
    assert [(row["digest"], row["live"]) for row in periods] == [
        (str(second.digest), True),
        (str(first.digest), False),
    ]
    assert periods[0]["ended_at"] == "0001-01-01T00:00:00.000Z"
    assert periods[0]["started_at"] == periods[1]["ended_at"]
    for name, status in {"never": 404, "bad%20tag": 400, "x" * 129: 400}.items():
        answer = cast["guest"].get(f"{APP}/tags/{name}/history")
        assert (answer.status_code, bool(errors_of(answer))) == (status, True), name
        # Who may not see the repository is told nothing.
        assert cast["outsider"].get(f"{APP}/tags/{name}/history").status_code == 403


def test_who_changed_a_tag_is_shown_to_those_who_see_members(cast: Cast) -> None:
    visible = make_project("open", is_public=True)
    make_member(visible, cast.users["guest"], "guest")
    make_member(visible, cast.users["limited"], "limitedGuest")
    make_image(visible, "v1")
    make_image(visible, "v1", layers=(b"other",))
    path = "/projects/open/repositories/app/tags/v1/history"
    for actor in ("guest", "admin"):
        newest, oldest = rows_of(cast[actor].get(path))
        assert (newest["started_by"], oldest["ended_by"]) == (PUSHER.label, PUSHER.label)
        assert rows_of(cast[actor].get(f"{path}?q=started_by%3Dnobody")) == []
    for actor in ("anonymous", "outsider", "limited"):
        rows = rows_of(cast[actor].get(path))
        assert [{*row} & {"started_by", "ended_by"} for row in rows] == [set(), set()], actor
        # Nor can they try out names.
        guessed = f"{path}?q=started_by%3Dnobody&sort=ended_by"
        assert rows_of(cast[actor].get(guessed)) == rows, actor


def test_deleting_an_artifact_by_tag_takes_all_its_tags(cast: Cast) -> None:
    make_image(cast.project, "v1", path="team/app")
    cast["developer"].post(f"{APP}/artifacts/v1/tags", {"name": "v2"})
    assert cast["maintainer"].delete(f"{APP}/artifacts/v1").status_code == 200
    assert cast["guest"].get(f"{APP}/artifacts/v2").status_code == 404
    assert rows_of(cast["guest"].get(f"{APP}/artifacts")) == []


@pytest.mark.parametrize(
    ("reference", "status"),
    [("missing", 404), ("sha256:xyz", 400), (f"sha256:{'0' * 64}", 404), ("md5:00", 400)],
)
def test_unknown_references(cast: Cast, reference: str, status: int) -> None:
    make_image(cast.project, "v1", path="team/app")
    response = cast["guest"].get(f"{APP}/artifacts/{reference}")
    assert response.status_code == status
    assert errors_of(response)
