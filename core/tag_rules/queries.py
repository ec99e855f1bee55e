"""Reading rules."""

from collections.abc import Iterable

from django.db.models import QuerySet

from core.database import raw
from core.projects.models import Project
from core.tag_rules.errors import TagRuleUnknown
from core.tag_rules.models import TagRule
from core.tag_rules.rules import Immutability, immutability_in
from core.tag_rules.types import Selectors

ENABLED_RULES = """
SELECT repository_decoration, repository_pattern, tag_decoration, tag_pattern
  FROM tag_rules_tagrule WHERE project_id = %s AND NOT is_disabled ORDER BY id
"""


def list_rules(project: Project) -> QuerySet[TagRule]:
    """Return the rules of a project, the oldest first."""
    return TagRule.objects.filter(project=project).order_by("id")


def get_rule(project: Project, rule_id: int) -> TagRule:
    """Return a rule of the project. Raises ``TagRuleUnknown``."""
    rule = TagRule.objects.filter(project=project, pk=rule_id).first()
    if rule is None:
        raise TagRuleUnknown
    return rule


def find_immutability(project_id: int, repository_name: str) -> Immutability:
    """Return which tags of a repository are immutable now, with one statement."""
    return find_immutabilities(project_id, [repository_name])[repository_name]


def find_immutabilities(
    project_id: int, repository_names: Iterable[str]
) -> dict[str, Immutability]:
    """Return the same for several repositories of one project, by name, with one statement."""
    rules = [Selectors(*row) for row in raw.fetch_all(ENABLED_RULES, (project_id,))]
    return {name: immutability_in(name, rules) for name in repository_names}


def selectors_of(rule: TagRule) -> Selectors:
    """Return what a rule selects."""
    return Selectors(
        rule.repository_decoration,
        rule.repository_pattern,
        rule.tag_decoration,
        rule.tag_pattern,
    )
