"""Creating, changing and deleting rules, and what the gatekeeper makes of them."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from core.artifacts.models import Manifest, Repository, Tag
from core.artifacts.services.manifests import delete_manifest
from core.artifacts.services.repositories import delete_repository
from core.artifacts.services.tags import create_tag, delete_tag
from core.audit.models import AuditEntry
from core.oci.digest import Digest
from core.projects.errors import ProjectUnknown
from core.projects.models import Project
from core.tag_rules import services
from core.tag_rules.errors import (
    TagImmutable,
    TagRuleExists,
    TagRuleInvalid,
    TagRuleUnknown,
    TooManyTagRules,
)
from core.tag_rules.models import TagRule
from core.tag_rules.queries import find_immutability
from tests.factories.artifacts import PUSHER, image_document, make_blob, make_image, push
from tests.factories.projects import make_project
from tests.factories.tag_rules import make_tag_rule, selectors

pytestmark = pytest.mark.django_db

OTHER = image_document(b"other")


def rule_for(project: Project, tags: str = "v*", *, is_disabled: bool = False) -> TagRule:
    return services.create_rule(project, selectors(tags), is_disabled=is_disabled, actor=PUSHER)


def test_an_immutable_tag_neither_moves_nor_vanishes(project: Project) -> None:
    image = make_image(project, "v1")
    create_tag("team/app", image.digest, "latest", actor=PUSHER)
    make_blob(project, b"other")
    rule_for(project)
    refused = [
        lambda: push(project, OTHER, "v1"),
        lambda: push(project, OTHER, extra_tags=["latest", "v1", "v2"]),
        lambda: delete_tag("team/app", "v1", actor=PUSHER),
        lambda: delete_manifest("team/app", image.digest, actor=PUSHER),
        lambda: delete_repository("team/app", actor=PUSHER),
    ]
    for write in refused:
        with pytest.raises(TagImmutable, match="Tag v1 is immutable") as caught:
            write()
        assert caught.value.detail == {"repository": "team/app", "tag": "v1"}
    live = Tag.objects.filter(ended_at=None).order_by("name")
    assert list(live.values_list("name", "manifest_id")) == [("latest", image.id), ("v1", image.id)]
    assert Manifest.objects.get().pk == image.id


def test_what_changes_no_immutable_tag_goes_on(project: Project) -> None:
    image = make_image(project, "v1")
    make_blob(project, b"other")
    rule = rule_for(project)
    assert push(project, image_document(b"{}", [b"layer"]), "v1").id == image.id
    push(project, OTHER, "v2")
    push(project, image_document(b"{}", [b"layer"]), "latest")
    push(project, OTHER, "latest")
    delete_tag("team/app", "latest", actor=PUSHER)
    services.update_rule(rule, selectors("v*"), is_disabled=True, actor=PUSHER)
    push(project, OTHER, "v1")
    delete_repository("team/app", actor=PUSHER)
    assert not Repository.objects.exists()


def test_rules_of_other_projects_and_repositories_do_not_count(project: Project) -> None:
    make_image(project, "v1")
    rule_for(make_project("other"), "**")
    services.create_rule(project, selectors("**", "elsewhere/**"), actor=PUSHER)
    delete_tag("team/app", "v1", actor=PUSHER)
    assert not find_immutability(project.pk, "team/app").covers("v1")
    assert find_immutability(project.pk, "team/elsewhere/app").covers("v1")


def test_only_writes_that_touch_live_tags_pay(project: Project) -> None:
    make_image(project, "v1")
    make_blob(project, b"other")
    rule_for(project, "release-*")

    def reads(write: object) -> int:
        with CaptureQueriesContext(connection) as statements:
            write()  # type: ignore[operator]
        return sum("tag_rules_tagrule" in statement["sql"] for statement in statements)

    assert reads(lambda: push(project, OTHER, "new")) == 0
    assert reads(lambda: push(project, OTHER, "v1")) == 1
    assert reads(lambda: create_tag("team/app", Digest.of(OTHER), "t", actor=PUSHER)) == 0
    assert reads(lambda: delete_tag("team/app", "t", actor=PUSHER)) == 1


def test_changes_are_audited_once(project: Project) -> None:
    rule = rule_for(project)
    services.update_rule(rule, selectors("v*"), is_disabled=False, actor=PUSHER)
    services.update_rule(rule, selectors("w*"), is_disabled=True, actor=PUSHER)
    services.delete_rule(rule, actor=PUSHER)
    entries = AuditEntry.objects.filter(target_kind="tag_rule").order_by("id")
    assert [(entry.action, entry.detail and entry.detail["tags"][1]) for entry in entries] == [
        ("tag_rules.rule.created", "v*"),
        ("tag_rules.rule.updated", "w*"),
        ("tag_rules.rule.deleted", "w*"),
    ]
    assert {(entry.project_id, entry.target_id) for entry in entries} == {
        (project.pk, str(rule.pk))
    }
    assert entries[1].detail == {
        "disabled": True,
        "repositories": ["repoMatches", "**"],
        "tags": ["matches", "w*"],
    }


def test_refusals(project: Project) -> None:
    rule = rule_for(project)
    with pytest.raises(TagRuleExists):
        rule_for(project, is_disabled=True)
    other = rule_for(project, "w*")
    with pytest.raises(TagRuleExists):
        services.update_rule(other, selectors("v*"), is_disabled=False, actor=PUSHER)
    with pytest.raises(TagRuleInvalid):
        rule_for(project, "[")
    with pytest.raises(TagRuleInvalid):
        services.update_rule(rule, selectors("["), is_disabled=False, actor=PUSHER)
    services.delete_rule(rule, actor=PUSHER)
    with pytest.raises(TagRuleUnknown):
        services.delete_rule(rule, actor=PUSHER)
    with pytest.raises(TagRuleUnknown):
        services.update_rule(rule, selectors("x"), is_disabled=False, actor=PUSHER)
    for number in range(99):
        make_tag_rule(project, f"t{number}")
    with pytest.raises(TooManyTagRules):
        rule_for(project, "one-more")
    Project.objects.filter(pk=project.pk).delete()
    with pytest.raises(ProjectUnknown):
        rule_for(project)


def test_the_database_holds_what_rules_say(project: Project) -> None:
    long = "x" * 1024
    rule = make_tag_rule(project, long, long)
    for values in (
        {"tag_decoration": "matches", "repository_decoration": "repoMatches"},
        {"tag_decoration": "else", "repository_decoration": "repoMatches"},
        {"tag_decoration": "matches", "repository_decoration": "matches"},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            TagRule.objects.create(
                project=project, tag_pattern=long, repository_pattern=long, **values
            )
    assert TagRule.objects.get() == rule
