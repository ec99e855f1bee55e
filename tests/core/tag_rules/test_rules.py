"""Which tags are immutable, as a table."""

import pytest

from core.tag_rules.errors import TagRuleInvalid
from core.tag_rules.rules import ensure_valid, immutability_in
from core.tag_rules.types import Selectors
from tests.factories.tag_rules import selectors

pytestmark = pytest.mark.pure

RELEASES = selectors("v*", "team/**")
OTHER_THAN_LATEST = selectors("latest", "app", excludes=True)
NOT_IN_SCRATCH = selectors("{stable,lts}", "scratch/**", elsewhere=True)


@pytest.mark.parametrize(
    ("rules", "repository", "immutable", "free"),
    [
        ([], "p/app", "", "v1 latest"),
        ([RELEASES], "p/team/app", "v1 v", "1 latest"),
        ([RELEASES], "p/app", "", "v1"),
        # The project is no part of what is matched.
        ([selectors("*", "app")], "app/app", "v1", ""),
        ([selectors("*", "p/app")], "p/app", "", "v1"),
        ([OTHER_THAN_LATEST], "p/app", "v1 x", "latest"),
        ([OTHER_THAN_LATEST], "p/other", "", "v1"),
        ([NOT_IN_SCRATCH], "p/app", "stable lts", "v1"),
        ([NOT_IN_SCRATCH], "p/scratch/app", "", "stable"),
        ([selectors("x"), RELEASES, selectors("y")], "p/team/app", "x y v1", "z"),
    ],
)
def test_one_rule_of_many_is_enough(
    rules: list[Selectors], repository: str, immutable: str, free: str
) -> None:
    immutability = immutability_in(repository, rules)
    assert [tag for tag in immutable.split() if not immutability.covers(tag)] == []
    assert [tag for tag in free.split() if immutability.covers(tag)] == []


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (Selectors("matches", "**", "matches", "**"), "scope_selectors.repository: decoration"),
        (Selectors("repoMatches", "**", "", "**"), "tag_selectors: decoration"),
        (selectors("[z-a]"), "tag_selectors: The range z-a"),
        (selectors("v*", "{a"), "scope_selectors.repository: A brace"),
        (selectors(""), "tag_selectors: A pattern must not be empty"),
    ],
)
def test_a_refusal_names_the_field(wrong: Selectors, sentence: str) -> None:
    with pytest.raises(TagRuleInvalid, match=sentence):
        ensure_valid(wrong)
    ensure_valid(RELEASES)
