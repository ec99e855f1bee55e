"""Creating, changing and deleting immutable tag rules.

A rule that becomes stricter is committed alone (``holding``). One that is relaxed waits for
nobody: a write that was refused meanwhile may simply be repeated.
"""

from django.db import IntegrityError, transaction

from core.audit import services as audit
from core.database.transactions import durable_write
from core.projects.models import Project
from core.projects.services import lock_project
from core.rbac.types import Actor
from core.tag_rules import queries, rules
from core.tag_rules.errors import TagRuleExists, TooManyTagRules
from core.tag_rules.holding import hold_off_writes_locked
from core.tag_rules.models import TagRule
from core.tag_rules.types import Selectors


@durable_write
def create_rule(
    project: Project, selectors: Selectors, *, is_disabled: bool = False, actor: Actor
) -> TagRule:
    """Add a rule to a project. Tags that it covers are immutable when this returns.

    Raises ``TagRuleInvalid``, ``TagRuleExists``, ``TooManyTagRules`` and ``ProjectUnknown``.
    """
    rules.ensure_valid(selectors)
    project = lock_project(project)
    if TagRule.objects.filter(project=project).count() >= rules.MAXIMUM_RULES:
        raise TooManyTagRules
    rule = TagRule(project=project, is_disabled=is_disabled)
    _select(rule, selectors)
    _save(rule)
    _record("tag_rules.rule.created", actor, project, rule)
    return rule


@durable_write
def update_rule(rule: TagRule, selectors: Selectors, *, is_disabled: bool, actor: Actor) -> TagRule:
    """Enable or disable a rule, and let it select that.

    Raises ``TagRuleUnknown``, ``TagRuleInvalid``, ``TagRuleExists`` and ``ProjectUnknown``.
    """
    rules.ensure_valid(selectors)
    project = lock_project(Project(pk=rule.project_id))
    rule = queries.get_rule(project, rule.pk)
    before = (rule.is_disabled, queries.selectors_of(rule))
    rule.is_disabled = is_disabled
    _select(rule, selectors)
    if (rule.is_disabled, queries.selectors_of(rule)) != before:
        _save(rule)
        _record("tag_rules.rule.updated", actor, project, rule)
    return rule


@durable_write
def delete_rule(rule: TagRule, *, actor: Actor) -> None:
    """Remove a rule. Raises ``TagRuleUnknown`` and ``ProjectUnknown``."""
    project = lock_project(Project(pk=rule.project_id))
    rule = queries.get_rule(project, rule.pk)
    _record("tag_rules.rule.deleted", actor, project, rule)
    rule.delete()


def _select(rule: TagRule, selectors: Selectors) -> None:
    rule.repository_decoration = selectors.repository_decoration
    rule.repository_pattern = selectors.repository_pattern
    rule.tag_decoration = selectors.tag_decoration
    rule.tag_pattern = selectors.tag_pattern


def _save(rule: TagRule) -> None:
    if not rule.is_disabled:
        hold_off_writes_locked(rule.project_id)
    try:
        with transaction.atomic():
            rule.save()
    except IntegrityError as error:
        raise TagRuleExists from error


def _record(action: str, actor: Actor, project: Project, rule: TagRule) -> None:
    audit.record(
        action,
        actor,
        target_kind="tag_rule",
        target_id=rule.pk,
        target_label=(
            f"{rule.repository_decoration} {rule.repository_pattern},"
            f" {rule.tag_decoration} {rule.tag_pattern}"
        ),
        project_id=project.pk,
        project_name=project.name,
        detail={
            "disabled": rule.is_disabled,
            "repositories": [rule.repository_decoration, rule.repository_pattern],
            "tags": [rule.tag_decoration, rule.tag_pattern],
        },
    )
