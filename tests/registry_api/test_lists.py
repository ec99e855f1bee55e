"""Edge cases 90 to 97: tags, catalog and referrers."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from core.artifacts.models import Manifest, Repository, Tag
from core.artifacts.services.repositories import delete_repository
from core.common.clock import now
from core.database import raw
from core.grants.services import grant_repository
from core.oci.digest import Digest
from core.rbac.types import Actor
from core.robots.models import Robot
from core.robots.queries import login_name
from core.robots.services import rotate_secret
from core.users.models import User
from registry_api import referrers
from tests.factories.robots import CONTENT, make_robot
from tests.registry_api.asgi import Answer, Server
from tests.registry_api.cast import (
    EMPTY_JSON,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    Client,
    descriptor,
    image_manifest,
    index_manifest,
    sha256,
    sha512,
)
from tests.registry_api.conftest import Place

pytestmark = pytest.mark.django_db

_LINK = re.compile(r'<([^>]+)>; rel="next"')
EXAMPLE = "application/vnd.example.sbom"


def next_page(answer: Answer) -> str:
    match = _LINK.fullmatch(answer.headers["link"])
    assert match is not None
    return match[1]


def follow(client: Client, path: str, key: str) -> list[list[str]]:
    """Return the pages of a list, following Link to the end."""
    pages = []
    while True:
        answer = client.get(path)
        assert answer.status == 200
        pages.append(answer.json()[key])
        if "link" not in answer.headers:
            return pages
        path = next_page(answer)


def in_order(pages: list[list[str]]) -> list[str]:
    """Return the entries of all pages, one after the other."""
    return [entry for page in pages for entry in page]


def tag_many(client: Client, name: str, tags: list[str]) -> bytes:
    payload = client.push_image(name, tags[0])
    for start in range(0, len(tags), 60):
        query = "&".join(f"tag={tag}" for tag in tags[start : start + 60])
        answer = client.put_manifest(name, f"{sha256(payload)}?{query}", payload)
        assert answer.status == 201
    return payload


def test_edge_90_repository_without_tags(developer: Client, place: Place) -> None:
    unknown = developer.get(f"/v2/{place.name}/tags/list")
    assert (unknown.status, unknown.codes) == (404, ["NAME_UNKNOWN"])
    developer.push_blob(place.name, b"data")
    answer = developer.get(f"/v2/{place.name}/tags/list")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"name": place.name, "tags": []}


def test_edge_90_number_of_results(developer: Client, place: Place) -> None:
    tag_many(developer, place.name, ["a", "b", "c"])
    path = f"/v2/{place.name}/tags/list"
    none = developer.get(f"{path}?n=0")
    assert none.json()["tags"] == []
    assert "link" not in none.headers
    two = developer.get(f"{path}?n=2")
    assert two.json()["tags"] == ["a", "b"]
    assert next_page(two) == f"{path}?n=2&last=b"
    exact = developer.get(f"{path}?n=3")
    assert exact.json()["tags"] == ["a", "b", "c"]
    assert "link" not in exact.headers
    for wrong in ("-1", "abc", "1.5", "", "\u0661"):
        answer = developer.get(f"{path}?n={wrong}")
        assert (answer.status, answer.codes) == (400, ["PAGINATION_NUMBER_INVALID"])


def test_edge_90_large_numbers_are_clamped(developer: Client, place: Place) -> None:
    payload = developer.push_image(place.name, "t0000")
    manifest = Manifest.objects.get(repository__name=place.name)
    Tag.objects.bulk_create(
        Tag(
            repository_id=manifest.repository_id,
            name=f"t{number:04}",
            manifest=manifest,
            digest=Digest.parse(sha256(payload)).to_bytes(),
            started_at=now(),
            started_by="developer",
        )
        for number in range(1, 1500)
    )
    for query in ("", "?n=1000", "?n=1001", f"?n={'9' * 40}"):
        answer = developer.get(f"/v2/{place.name}/tags/list{query}")
        assert len(answer.json()["tags"]) == 1000
        assert next_page(answer).endswith("n=1000&last=t0999")
    pages = follow(developer, f"/v2/{place.name}/tags/list?n=400", "tags")
    assert [len(page) for page in pages] == [400, 400, 400, 300]
    assert in_order(pages) == [f"t{number:04}" for number in range(1500)]


def test_edge_91_position(owner: Client, place: Place) -> None:
    tag_many(owner, place.name, ["b", "d", "f"])
    path = f"/v2/{place.name}/tags/list"
    assert owner.get(f"{path}?last=c").json()["tags"] == ["d", "f"]
    assert owner.get(f"{path}?last=d&n=1").json()["tags"] == ["f"]
    end = owner.get(f"{path}?last=f")
    assert end.json()["tags"] == []
    assert "link" not in end.headers
    assert owner.get(f"{path}?last=%00").status == 400


def test_edge_91_tags_come_and_go_between_pages(owner: Client, place: Place) -> None:
    payload = tag_many(owner, place.name, ["a", "c", "e", "g"])
    path = f"/v2/{place.name}/tags/list?n=2"
    first = owner.get(path)
    assert first.json()["tags"] == ["a", "c"]
    assert owner.delete(f"/v2/{place.name}/manifests/c").status == 202
    assert owner.put_manifest(place.name, "b", payload).status == 201
    assert owner.put_manifest(place.name, "f", payload).status == 201
    assert follow(owner, next_page(first), "tags") == [["e", "f"], ["g"]]


def test_edge_92_byte_order(developer: Client, place: Place) -> None:
    tag_many(developer, place.name, ["b", "A", "_", "a", "1", "B"])
    answer = developer.get(f"/v2/{place.name}/tags/list")
    assert answer.json()["tags"] == ["1", "A", "B", "_", "a", "b"]


def test_edge_93_catalog_shows_what_can_be_read(
    clients: dict[str, Client],
    people: dict[str, User],
    place: Place,
    public_place: Place,
    foreign_place: Place,
) -> None:
    for shown in (place, public_place, foreign_place):
        clients["administrator"].push_image(shown.name, "v1")
    deleted = f"{place.project.name}/deleted"
    clients["administrator"].push_image(deleted, "v1")
    delete_repository(deleted, actor=Actor.system())
    mine = {place.name, public_place.name, foreign_place.name, deleted}

    def visible(client: Client) -> set[str]:
        listed = in_order(follow(client, "/v2/_catalog?n=2", "repositories"))
        assert listed == sorted(set(listed))
        return mine & set(listed)

    for name in ("owner", "developer", "guest"):
        assert visible(clients[name]) == {place.name, public_place.name}
    assert visible(clients["administrator"]) == mine - {deleted}
    assert visible(clients["outsider"]) == {public_place.name}
    assert visible(clients["anonymous"]) == {public_place.name}
    repository = Repository.objects.get(name=foreign_place.name)
    grant_repository(repository, user=people["outsider"], permission="pull", actor=Actor.system())
    clients["outsider"].forget_tokens()
    assert visible(clients["outsider"]) == {public_place.name, foreign_place.name}


def test_edge_93_catalog_of_robots(
    server: Server, administrator: Client, place: Place, foreign_place: Place
) -> None:
    for shown in (place, foreign_place):
        administrator.push_image(shown.name, "v1")
    one = make_robot("catalog", project=place.project)
    every = make_robot("catalog-everywhere", project=None)
    named = make_robot(
        "catalog-named", project=None, permissions={foreign_place.project.name: CONTENT}
    )
    seen = []
    for made in (one, every, named):
        robot = Client(server, login_name(made.robot), made.secret)
        listed = in_order(follow(robot, "/v2/_catalog", "repositories"))
        seen.append({place.name, foreign_place.name} & set(listed))
    assert seen == [{place.name}, {place.name, foreign_place.name}, {foreign_place.name}]


def test_edge_93_catalog_of_a_robot_follows_what_it_may_do_now(
    server: Server, administrator: Client, place: Place
) -> None:
    project = place.project
    administrator.push_image(place.name, "v1")
    new = make_robot("follows", project=None, permissions={project.name: CONTENT})
    robot = Client(server, login_name(new.robot), new.secret)
    token = robot.token("registry:catalog:*")
    stored = Robot.objects.filter(pk=new.robot.pk)

    def listed() -> tuple[int, bool]:
        answer = robot.request("GET", "/v2/_catalog?n=1000", token=token)
        return answer.status, place.name.encode() in answer.body

    stored.update(last_used_at=now() - timedelta(minutes=2))
    assert listed() == (200, True)
    assert stored.get().last_used_at > now() - timedelta(minutes=1)
    for change, undone in (
        ({"is_disabled": True}, {"is_disabled": False}),
        ({"expires_at": now()}, {"expires_at": None}),
    ):
        stored.update(**change)
        assert listed() == (401, False)
        stored.update(**undone)
        assert listed() == (200, True)
    # The project it names is gone, and this one has taken the name.
    stored.update(project_ids={project.name: project.pk + 1_000_000})
    assert listed() == (200, False)
    stored.update(project_ids={project.name: project.pk})
    assert listed() == (200, True)
    rotate_secret(new.robot, actor=Actor.system())
    assert listed() == (401, False)


def test_edge_93_catalog_needs_a_token(server: Server) -> None:
    answer = server.request("GET", "/v2/_catalog")
    assert answer.status == 401
    assert 'scope="registry:catalog:*"' in answer.headers["www-authenticate"]


def refer(client: Client, name: str, subject: bytes, **members: Any) -> bytes:
    """Push a manifest about another and return it."""
    payload = image_manifest(EMPTY_JSON, [], subject=descriptor(subject, OCI_MANIFEST), **members)
    answer = client.put_manifest(name, sha256(payload), payload)
    assert answer.status == 201, answer.body
    return payload


def listed(answer: Answer) -> list[str]:
    assert answer.status == 200
    assert answer.headers["content-type"] == OCI_INDEX
    body = answer.json()
    assert (body["schemaVersion"], body["mediaType"]) == (2, OCI_INDEX)
    return [entry["digest"] for entry in body["manifests"]]


def test_edge_94_unknown_subjects(developer: Client, place: Place) -> None:
    unknown = f"/v2/{place.name}/referrers/{sha256(b'unknown')}"
    assert listed(developer.get(unknown)) == []
    developer.push_image(place.name, "v1")
    assert listed(developer.get(unknown)) == []
    assert listed(developer.get(f"/v2/{place.name}/referrers/{sha512(b'x')}")) == []
    malformed = developer.get(f"/v2/{place.name}/referrers/sha256:x")
    assert (malformed.status, malformed.codes) == (400, ["DIGEST_INVALID"])


def test_edge_94_unknown_project(administrator: Client) -> None:
    assert listed(administrator.get(f"/v2/no-such/app/referrers/{sha256(b'x')}")) == []


def test_edge_94_sha512_subject(developer: Client, place: Place) -> None:
    subject = developer.push_image(place.name, "v1")
    referrer = image_manifest(
        EMPTY_JSON,
        [],
        subject={**descriptor(subject, OCI_MANIFEST), "digest": sha512(subject)},
    )
    pushed = developer.put_manifest(place.name, sha256(referrer), referrer)
    assert pushed.headers["oci-subject"] == sha512(subject)
    path = f"/v2/{place.name}/referrers/"
    assert listed(developer.get(path + sha512(subject))) == [sha256(referrer)]
    assert listed(developer.get(path + sha256(subject))) == []


def test_edge_95_descriptors_and_filter(developer: Client, place: Place) -> None:
    subject = developer.push_image(place.name, "v1")
    annotations = {"org.example": "kept \u00fc exactly", "empty": ""}
    typed = refer(developer, place.name, subject, artifactType=EXAMPLE, annotations=annotations)
    untyped = refer(developer, place.name, subject)
    index = index_manifest([], subject=descriptor(subject, OCI_MANIFEST))
    developer.put_manifest(place.name, sha256(index), index, OCI_INDEX)
    path = f"/v2/{place.name}/referrers/{sha256(subject)}"
    everything = developer.get(path)
    assert "oci-filters-applied" not in everything.headers
    assert everything.json()["manifests"] == [
        {
            "mediaType": OCI_MANIFEST,
            "digest": sha256(typed),
            "size": len(typed),
            "artifactType": EXAMPLE,
            "annotations": annotations,
        },
        {
            "mediaType": OCI_MANIFEST,
            "digest": sha256(untyped),
            "size": len(untyped),
            "artifactType": OCI_CONFIG,
        },
        {"mediaType": OCI_INDEX, "digest": sha256(index), "size": len(index)},
    ]
    expected = {EXAMPLE: [sha256(typed)], OCI_CONFIG: [sha256(untyped)], "application/x": []}
    for artifact_type, digests in expected.items():
        answer = developer.get(f"{path}?artifactType={artifact_type.replace('+', '%2B')}")
        assert listed(answer) == digests
        assert answer.headers["oci-filters-applied"] == "artifactType"
    empty = developer.get(f"{path}?artifactType=")
    assert len(listed(empty)) == 3
    assert "oci-filters-applied" not in empty.headers


def test_edge_95_a_bare_plus_sign(developer: Client, place: Place) -> None:
    subject = developer.push_image(place.name, "v1")
    referrer = refer(developer, place.name, subject, artifactType="application/x+json")
    path = f"/v2/{place.name}/referrers/{sha256(subject)}?artifactType=application/x"
    for plus in ("+", "%2B"):
        assert listed(developer.get(f"{path}{plus}json")) == [sha256(referrer)]


def test_edge_96_many_referrers(
    owner: Client, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(referrers, "MAX_DESCRIPTORS", 120)
    subject = owner.push_image(place.name, "v1")
    first = refer(owner, place.name, subject, artifactType=EXAMPLE)
    template = Manifest.objects.get(digest=Digest.parse(sha256(first)).to_bytes())
    digests = [sha256(f"referrer {number}".encode()) for number in range(300)]
    Manifest.objects.bulk_create(
        Manifest(
            repository_id=template.repository_id,
            digest=Digest.parse(digest).to_bytes(),
            media_type=template.media_type,
            artifact_type=EXAMPLE,
            size_bytes=1,
            payload=b"x",
            subject=template.subject,
            total_bytes=1,
            pushed_at=now(),
            pushed_by="owner",
            touched_at=now(),
        )
        for digest in digests
    )
    path = f"/v2/{place.name}/referrers/{sha256(subject)}?artifactType={EXAMPLE}"
    found: list[str] = []
    lengths = []
    while path:
        answer = owner.get(path)
        page = listed(answer)
        assert answer.headers["oci-filters-applied"] == "artifactType"
        lengths.append(len(page))
        found += page
        path = next_page(answer) if "link" in answer.headers else ""
    assert lengths == [120, 120, 61]
    assert found == [sha256(first), *digests]
    assert owner.delete(f"/v2/{place.name}/manifests/{sha256(first)}").status == 202
    assert sha256(first) not in listed(owner.get(f"/v2/{place.name}/referrers/{sha256(subject)}"))
    position = owner.get(f"/v2/{place.name}/referrers/{sha256(subject)}?last=x")
    assert position.status == 400


def test_edge_96_pages_end_by_length(
    developer: Client, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(referrers, "MAX_BYTES", 2_000)
    subject = developer.push_image(place.name, "v1")
    for number in range(4):
        refer(developer, place.name, subject, annotations={"long": f"{number}" * 700})
    read: list[int] = []
    fetch_all = raw.fetch_all

    def count_long_rows(sql: str, parameters: raw.Parameters = ()) -> list[raw.Row]:
        rows = fetch_all(sql, parameters)
        read.append(sum("long" in str(row) for row in rows))
        return rows

    monkeypatch.setattr(raw, "fetch_all", count_long_rows)
    first = developer.get(f"/v2/{place.name}/referrers/{sha256(subject)}")
    assert len(listed(first)) == 2
    assert len(first.body) < 2_200
    # No more than it takes to see that the page is full.
    assert sum(read) == 3
    assert len(listed(developer.get(next_page(first)))) == 2


def test_edge_96_subject_deleted(owner: Client, place: Place) -> None:
    subject = owner.push_image(place.name, "v1")
    referrer = refer(owner, place.name, subject)
    assert owner.delete(f"/v2/{place.name}/manifests/{sha256(subject)}").status == 202
    path = f"/v2/{place.name}/referrers/{sha256(subject)}"
    assert listed(owner.get(path)) == [sha256(referrer)]


def test_edge_97_fallback_tag_of_an_old_client(developer: Client, place: Place) -> None:
    subject = developer.push_image(place.name, "v1")
    referrer = refer(developer, place.name, subject)
    fallback = index_manifest([referrer])
    tag = sha256(subject).replace(":", "-")
    assert developer.put_manifest(place.name, tag, fallback, OCI_INDEX).status == 201
    path = f"/v2/{place.name}/referrers/{sha256(subject)}"
    assert listed(developer.get(path)) == [sha256(referrer)]
    assert json.loads(developer.get(f"/v2/{place.name}/manifests/{tag}").body)["manifests"]
