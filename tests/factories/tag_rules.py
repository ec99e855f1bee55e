"""Immutable tag rules, stored or on the wire, with explicit values."""

from typing import Any

from core.projects.models import Project
from core.tag_rules.models import TagRule
from core.tag_rules.types import Selectors


def selectors(
    tags: str = "**", repositories: str = "**", *, excludes: bool = False, elsewhere: bool = False
) -> Selectors:
    """Return selectors; ``excludes`` for other tags, ``elsewhere`` for other repositories."""
    return Selectors(
        "repoExcludes" if elsewhere else "repoMatches",
        repositories,
        "excludes" if excludes else "matches",
        tags,
    )


def make_tag_rule(
    project: Project, tags: str = "**", repositories: str = "**", *, is_disabled: bool = False
) -> TagRule:
    """Store a rule."""
    return TagRule.objects.create(
        project=project,
        is_disabled=is_disabled,
        repository_decoration="repoMatches",
        repository_pattern=repositories,
        tag_decoration="matches",
        tag_pattern=tags,
    )


def rule_body(tags: str = "**", repositories: str = "**", **members: Any) -> dict[str, Any]:
    """Return the body that clients of Harbor send."""
    return {
        "disabled": False,
        "action": "immutable",
        "template": "immutable_template",
        "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": tags}],
        "scope_selectors": {
            "repository": [
                {"kind": "doublestar", "decoration": "repoMatches", "pattern": repositories}
            ]
        },
        **members,
    }
