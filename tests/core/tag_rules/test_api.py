"""Immutable tag rules, and tags that show it, over the management API."""

from datetime import timedelta
from typing import Any

import pytest

from core.artifacts.models import Tag
from core.tag_rules.models import TagRule
from tests.core.api.cast import Cast, body_of, errors_of, make_cast, rows_of
from tests.factories.artifacts import make_image
from tests.factories.projects import make_project
from tests.factories.tag_rules import make_tag_rule, rule_body

RULES = "/projects/secret/immutabletagrules"
APP = "/projects/secret/repositories/team%252Fapp"


@pytest.fixture
def cast(db: None) -> Cast:
    return make_cast()


def test_a_rule_from_beginning_to_end(cast: Cast) -> None:
    maintainer = cast["maintainer"]
    created = maintainer.post(RULES, rule_body("v*", "team/**", scope={"level": "project"}))
    assert (created.status_code, created.content) == (201, b"")
    (row,) = rows_of(maintainer.get(RULES))
    assert created["Location"] == f"/api/v2.0{RULES}/{row['id']}"
    assert row == {"id": row["id"], **rule_body("v*", "team/**")}
    where = f"{RULES}/{row['id']}"
    assert maintainer.get(where).status_code == 405

    assert maintainer.put(where, {"disabled": True}).status_code == 200
    assert rows_of(maintainer.get(RULES)) == [{**row, "disabled": True}]
    # Clients leave a false value out when they enable a rule.
    whole = rule_body("w*", "team/**")
    del whole["disabled"]
    assert maintainer.put(where, {**whole, "id": row["id"]}).status_code == 200
    tags = [{"kind": "doublestar", "decoration": "excludes", "pattern": "x"}]
    assert maintainer.put(where, {"tag_selectors": tags}).status_code == 200
    assert rows_of(maintainer.get(RULES)) == [{**row, "tag_selectors": tags}]

    assert maintainer.delete(where).status_code == 200
    assert rows_of(maintainer.get(RULES)) == []
    assert maintainer.delete(where).status_code == 404


def test_an_immutable_tag_gets_no_end(cast: Cast) -> None:
    make_image(cast.project, "rel-1", path="team/app")
    make_image(cast.project, "dev-1", path="team/app")
    maintainer = cast["maintainer"]
    paths = {tag: f"{APP}/tags/{tag}/expiry" for tag in ("rel-1", "dev-1")}
    assert maintainer.put(paths["rel-1"], {"expires_after": "1h"}).status_code == 200
    make_tag_rule(cast.project, "rel-*")
    statuses = {tag: maintainer.put(path, {"expires_after": "1m"}) for tag, path in paths.items()}
    assert [response.status_code for response in statuses.values()] == [412, 200]
    (error,) = errors_of(statuses["rel-1"])
    assert (error["code"], "rel-1" in error["message"]) == ("PRECONDITION", True)
    tag = Tag.objects.get(name="rel-1")
    assert tag.expires_at is not None
    assert tag.expires_at > tag.started_at + timedelta(minutes=59)
    # One that it has from before may be taken away.
    assert maintainer.put(paths["rel-1"], {"expires_at": None}).status_code == 200
    tag.refresh_from_db()
    assert tag.expires_at is None


def test_lists_are_ordered_and_filtered(cast: Cast) -> None:
    rules = [make_tag_rule(cast.project, f"v{n}", is_disabled=n == 1) for n in range(3)]

    def ids(query: str) -> list[int]:
        return [row["id"] for row in rows_of(cast["owner"].get(f"{RULES}?{query}"))]

    first, second, third = (rule.pk for rule in rules)
    assert ids("") == [first, second, third]
    assert ids("sort=-id&page_size=2") == [third, second]
    assert ids("q=disabled%3Dtrue") == [second]
    assert ids("page=9") == []


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"tag_selectors": None}, 400, "tag_selectors must have exactly one"),
        ({"tag_selectors": []}, 400, "tag_selectors must have exactly one"),
        ({"scope_selectors": {}}, 400, "scope_selectors.repository must have exactly one"),
        ({"scope_selectors": {"project": []}}, 400, "scope_selectors: only repository"),
        ({"action": "retain"}, 400, "action must be immutable"),
        ({"template": "always"}, 400, "template must be immutable_template"),
        ({"tag_selectors": [{"decoration": "matches"}]}, 422, "tag_selectors[0].pattern"),
        (
            {"tag_selectors": [{"decoration": "matches", "pattern": "*", "kind": "regex"}]},
            400,
            "tag_selectors: kind must be doublestar",
        ),
        (
            {"tag_selectors": [{"decoration": "repoMatches", "pattern": "*"}]},
            400,
            "tag_selectors: decoration must be matches or excludes",
        ),
        (
            {"scope_selectors": {"repository": [{"decoration": "repoMatches", "pattern": "{a"}]}},
            400,
            "scope_selectors.repository: A brace",
        ),
        ({}, 409, "already"),
    ],
)
def test_bad_requests_name_the_field(
    cast: Cast, changes: dict[str, Any], status: int, message: str
) -> None:
    make_tag_rule(cast.project)
    response = cast["owner"].post(RULES, {**rule_body(), **changes})
    assert response.status_code == status
    assert message in errors_of(response)[0]["message"]
    assert TagRule.objects.count() == 1


def test_rules_of_other_projects_are_not_there(cast: Cast) -> None:
    rule = make_tag_rule(make_project("other"))
    for call in (cast["owner"].delete, lambda path: cast["owner"].put(path, {"disabled": True})):
        assert call(f"{RULES}/{rule.pk}").status_code == 404
    assert not TagRule.objects.get().is_disabled


def test_tags_say_whether_they_are_immutable(cast: Cast) -> None:
    image = make_image(cast.project, "v1", path="team/app")
    guest, owner = cast["guest"], cast["owner"]
    owner.post(f"{APP}/artifacts/v1/tags", {"name": "latest"})
    make_tag_rule(cast.project, "v*")

    def shown(path: str) -> dict[str, bool]:
        answer = guest.get(f"{APP}/artifacts{path}")
        assert answer.status_code == 200
        found = body_of(answer)
        tags = found["tags"] if isinstance(found, dict) else found
        tags = tags if "name" in tags[0] else tags[0]["tags"]
        return {tag["name"]: tag["immutable"] for tag in tags}

    for path in (
        "",
        "?with_immutable_status=true",
        "/v1",
        f"/{image.digest}?with_immutable_status=true",
        "/v1/tags",
        "/v1/tags?with_immutable_status=true",
    ):
        assert shown(path) == {"v1": True, "latest": False}
    assert guest.get(f"{APP}/artifacts/v1/tags?with_immutable_status=x").status_code == 422
    assert guest.get(f"{APP}/artifacts?with_immutable_status=x").status_code == 422

    for path in (f"{APP}/artifacts/v1/tags/v1", f"{APP}/artifacts/latest", APP):
        refused = owner.delete(path)
        assert refused.status_code == 412
        assert errors_of(refused)[0]["code"] == "PRECONDITION"
        assert "Tag v1 is immutable" in errors_of(refused)[0]["message"]
    assert owner.delete(f"{APP}/artifacts/v1/tags/latest").status_code == 200
    assert Tag.objects.get(ended_at=None).name == "v1"
