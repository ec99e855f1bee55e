"""Shapes of immutable tag rules on the wire."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.api.errors import BadRequest
from core.api.fields import RequestSerializer, ResponseSerializer, TextField
from core.common.doublestar import MAXIMUM_LENGTH
from core.tag_rules.models import TagRule
from core.tag_rules.types import Selectors

KIND = "doublestar"
ACTION = "immutable"
TEMPLATE = "immutable_template"
REPOSITORIES = "repository"


class SelectorRequestSerializer(RequestSerializer):
    """Harbor's ``ImmutableSelector``; ``extras`` is accepted and means nothing here."""

    kind = TextField(required=False, default=KIND, max_length=64)
    decoration = TextField(max_length=64)
    pattern = TextField(max_length=MAXIMUM_LENGTH, trim_whitespace=False)
    extras = TextField(required=False, allow_blank=True, max_length=1024)


class TagRuleRequestSerializer(RequestSerializer):
    """Harbor's ``ImmutableRule`` as it is sent.

    A missing ``disabled`` is false: clients leave false values out.
    """

    disabled = serializers.BooleanField(required=False, default=False)
    action = TextField(required=False, allow_blank=True, max_length=64)
    template = TextField(required=False, allow_blank=True, max_length=64)
    tag_selectors = SelectorRequestSerializer(many=True, required=False, allow_null=True)
    scope_selectors: Any = serializers.DictField(
        child=SelectorRequestSerializer(many=True), required=False, allow_null=True
    )


class SelectorSerializer(ResponseSerializer):
    """One selector of a rule."""

    always = frozenset({"kind", "decoration", "pattern"})

    kind = serializers.CharField()
    decoration = serializers.CharField()
    pattern = serializers.CharField()


class TagRuleSerializer(ResponseSerializer):
    """Harbor's ``ImmutableRule``."""

    always = frozenset({"id", "disabled", "action", "template", "tag_selectors", "scope_selectors"})

    id = serializers.IntegerField()
    disabled = serializers.BooleanField(source="is_disabled")
    action = serializers.SerializerMethodField()
    template = serializers.SerializerMethodField()
    tag_selectors: Any = serializers.SerializerMethodField()
    scope_selectors: Any = serializers.SerializerMethodField()

    def get_action(self, rule: TagRule) -> str:
        """Return the only action there is."""
        return ACTION

    def get_template(self, rule: TagRule) -> str:
        """Return the only template there is."""
        return TEMPLATE

    @extend_schema_field(SelectorSerializer(many=True))
    def get_tag_selectors(self, rule: TagRule) -> list[dict[str, str]]:
        """Return the selector of tags."""
        return [_selector(rule.tag_decoration, rule.tag_pattern)]

    @extend_schema_field(serializers.DictField(child=SelectorSerializer(many=True)))
    def get_scope_selectors(self, rule: TagRule) -> dict[str, list[dict[str, str]]]:
        """Return the selector of repositories."""
        return {REPOSITORIES: [_selector(rule.repository_decoration, rule.repository_pattern)]}


def new_selectors(body: dict[str, Any]) -> Selectors:
    """Return what a new rule selects. Raises ``BadRequest`` naming the field."""
    repository, tag = _given(body)
    if repository is None:
        raise BadRequest(f"scope_selectors.{REPOSITORIES} must have exactly one selector.")
    if tag is None:
        raise BadRequest("tag_selectors must have exactly one selector.")
    return Selectors(*repository, *tag)


def changed_selectors(body: dict[str, Any], rule: Selectors) -> Selectors:
    """Return what a changed rule selects; what the body leaves out stays.

    Raises ``BadRequest`` naming the field.
    """
    repository, tag = _given(body)
    return Selectors(
        *(repository or (rule.repository_decoration, rule.repository_pattern)),
        *(tag or (rule.tag_decoration, rule.tag_pattern)),
    )


def _given(body: dict[str, Any]) -> tuple[tuple[str, str] | None, tuple[str, str] | None]:
    """Return decoration and pattern of both selectors; None for one that is left out."""
    for field, known in (("action", ACTION), ("template", TEMPLATE)):
        if body.get(field) not in (None, "", known):
            raise BadRequest(f"{field} must be {known}.")
    scopes, tags = body.get("scope_selectors"), body.get("tag_selectors")
    if scopes is not None and set(scopes) - {REPOSITORIES}:
        raise BadRequest(f"scope_selectors: only {REPOSITORIES} is known.")
    repositories = None if scopes is None else scopes.get(REPOSITORIES, [])
    return (
        None if repositories is None else _only(repositories, f"scope_selectors.{REPOSITORIES}"),
        None if tags is None else _only(tags, "tag_selectors"),
    )


def _only(selectors: list[dict[str, str]], field: str) -> tuple[str, str]:
    if len(selectors) != 1:
        raise BadRequest(f"{field} must have exactly one selector.")
    (selector,) = selectors
    if selector["kind"] != KIND:
        raise BadRequest(f"{field}: kind must be {KIND}.")
    return selector["decoration"], selector["pattern"]


def _selector(decoration: str, pattern: str) -> dict[str, str]:
    return {"kind": KIND, "decoration": decoration, "pattern": pattern}
