"""Which tags are immutable: pure decisions."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from core.common.doublestar import Pattern, PatternInvalid, compile_pattern
from core.tag_rules.errors import TagRuleInvalid
from core.tag_rules.types import Selectors

REPOSITORY_MATCHES: Final = "repoMatches"
REPOSITORY_EXCLUDES: Final = "repoExcludes"
TAG_MATCHES: Final = "matches"
TAG_EXCLUDES: Final = "excludes"
REPOSITORY_DECORATIONS: Final = (REPOSITORY_MATCHES, REPOSITORY_EXCLUDES)
TAG_DECORATIONS: Final = (TAG_MATCHES, TAG_EXCLUDES)

MAXIMUM_RULES: Final = 100
"""How many rules a project may have; all of them are read before a tag is moved."""


@dataclass(frozen=True, slots=True)
class Immutability:
    """Which tags of one repository are immutable: those that any of the selectors selects.

    A selector is a pattern, and whether the tags are meant that do not match it.
    """

    tag_selectors: tuple[tuple[Pattern, bool], ...] = ()

    def covers(self, tag: str) -> bool:
        """Tell whether the tag may be neither moved nor deleted."""
        return any(pattern.matches(tag) != excludes for pattern, excludes in self.tag_selectors)


def ensure_valid(selectors: Selectors) -> None:
    """Refuse selectors that mean nothing. Raises ``TagRuleInvalid`` naming the field."""
    for field, decoration, known, pattern in (
        (
            "scope_selectors.repository",
            selectors.repository_decoration,
            REPOSITORY_DECORATIONS,
            selectors.repository_pattern,
        ),
        ("tag_selectors", selectors.tag_decoration, TAG_DECORATIONS, selectors.tag_pattern),
    ):
        if decoration not in known:
            raise TagRuleInvalid(f"{field}: decoration must be {' or '.join(known)}.")
        try:
            compile_pattern(pattern)
        except PatternInvalid as error:
            raise TagRuleInvalid(f"{field}: {error.message}") from error


def immutability_in(repository_name: str, rules: Iterable[Selectors]) -> Immutability:
    """Return what the enabled rules of a project say about one repository, by its full name."""
    path = repository_name.partition("/")[2]
    chosen = (
        rule
        for rule in rules
        if compile_pattern(rule.repository_pattern).matches(path)
        != (rule.repository_decoration == REPOSITORY_EXCLUDES)
    )
    return Immutability(
        tuple(
            (compile_pattern(rule.tag_pattern), rule.tag_decoration == TAG_EXCLUDES)
            for rule in chosen
        )
    )
