"""Immutable tag rules of a project."""

from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from core.api.documentation import operation
from core.api.permissions import Access
from core.projects.api.scope import ProjectView
from core.tag_rules import queries, services
from core.tag_rules.api.filters import TAG_RULE_LISTING
from core.tag_rules.api.serializers import (
    TagRuleRequestSerializer,
    TagRuleSerializer,
    changed_selectors,
    new_selectors,
)


class TagRulesView(ProjectView):
    """The immutable tag rules of a project."""

    access: ClassVar[dict[str, Access]] = {
        "GET": "immutable-tag:list",
        "POST": "immutable-tag:create",
    }

    @operation(
        "List immutable tag rules",
        tag="immutable tags",
        answer=TagRuleSerializer,
        is_list=True,
        has_query=True,
    )
    def get(self, request: Request, project: str) -> Response:
        """Return the rules, the oldest first."""
        return self.page(queries.list_rules(self.project), TagRuleSerializer, TAG_RULE_LISTING)

    @operation(
        "Create an immutable tag rule",
        tag="immutable tags",
        body=TagRuleRequestSerializer,
        status=201,
        errors=(409, 412),
    )
    def post(self, request: Request, project: str) -> Response:
        """Make the tags that both selectors select immutable."""
        wanted = self.parse(TagRuleRequestSerializer)
        rule = services.create_rule(
            self.project,
            new_selectors(wanted),
            is_disabled=wanted["disabled"],
            actor=self.actor,
        )
        return self.created(rule.pk)


class TagRuleView(ProjectView):
    """One immutable tag rule."""

    access: ClassVar[dict[str, Access]] = {
        "PUT": "immutable-tag:update",
        "DELETE": "immutable-tag:delete",
    }

    @operation(
        "Update an immutable tag rule",
        tag="immutable tags",
        body=TagRuleRequestSerializer,
        errors=(409,),
    )
    def put(self, request: Request, project: str, immutable_rule_id: int) -> Response:
        """Enable or disable the rule; selectors that the body leaves out stay."""
        rule = queries.get_rule(self.project, immutable_rule_id)
        wanted = self.parse(TagRuleRequestSerializer)
        services.update_rule(
            rule,
            changed_selectors(wanted, queries.selectors_of(rule)),
            is_disabled=wanted["disabled"],
            actor=self.actor,
        )
        return self.done()

    @operation("Delete an immutable tag rule", tag="immutable tags")
    def delete(self, request: Request, project: str, immutable_rule_id: int) -> Response:
        """Delete the rule; tags that no other rule covers can be moved and deleted again."""
        rule = queries.get_rule(self.project, immutable_rule_id)
        services.delete_rule(rule, actor=self.actor)
        return self.done()
