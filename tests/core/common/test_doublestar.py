"""Patterns of names, as tables; and that no pattern can make matching slow."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.common import doublestar
from core.common.doublestar import PatternInvalid, compile_pattern

pytestmark = pytest.mark.pure

# Pattern: names that fit | names that do not.
TABLE = {
    "**": "a v1.2 a/b a/b/c | ",
    "*": "a v1.2 | a/b",
    "v*": "v v1 v1.2-rc.1 | av V1 v/1",
    "*-rc.*": "v1-rc.2 -rc. | v1-rc a/b-rc.1",
    "v?.?": "v1.2 | v1. v10.2 v/.2",
    "v1.2": "v1.2 | v1x2 v1.23 av1.2",
    "v**": "v v1 | v/1 a",
    "a**b": "ab axb | a/b",
    "team/**": "team/a team/a/b | team teams/a",
    "team/**/app": "team/app team/x/app team/x/y/app | team/xapp teamapp app team/app/x",
    "**/app": "app team/app a/b/app | myapp team/myapp app/x",
    "**/app/**": "app/x a/app/x/y | app a/app",
    "**/*": "a a/b a/b/c | ",
    "a/**/**/b": "a/b a/x/b | a/xb",
    "a/**/*/b": "a/x/b a/x/y/b | a/b",
    "*/*": "a/b | a a/b/c",
    "{a,b}": "a b | c ab {a,b}",
    "{v*,latest}": "v v1 latest | latest1 x",
    "{a,b/c}/{x,y}": "a/x b/c/y | b/x c/y",
    "{a,{b,c}d}e": "ae bde cde | be ade",
    "a{,x}": "a ax | axx",
    "{**,x}": "a/b x | ",
    "[a-c]1": "a1 c1 | d1 -1",
    "[^a-c]1": "d1 -1 | a1 /1",
    "[!a-c]1": "d1 | a1",
    "[abx-z-]": "a b x y z - | c w",
    "a[^x]b": "ayb | axb a/b",
    r"[\]\-]": "] - | \\ a",
    r"\*\?\[\{\\": r"*?[{\ | a",
    "a,b}": "a,b} | a b",
    "é?": "éü | e1",
}


@pytest.mark.parametrize("pattern", TABLE)
def test_names_fit_or_not(pattern: str) -> None:
    fitting, others = (part.split() for part in TABLE[pattern].split("|"))
    compiled = compile_pattern(pattern)
    assert [name for name in fitting if not compiled.matches(name)] == []
    assert [name for name in others if compiled.matches(name)] == []


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("", "must not be empty"),
        ("x" * 1025, "at most 1024"),
        ("a{b", "brace"),
        ("a{b,c", "brace"),
        ("a[b", "bracket"),
        ("a[", "bracket"),
        ("a[b-", "bracket"),
        ("[]", "must not be empty"),
        ("[^]", "must not be empty"),
        ("[]-]", "must not be empty"),
        ("[z-a]", "z-a"),
        ("a\\", "backslash"),
        ("[\\", "backslash"),
        ("{a,b}" * 8, "more than 128"),
        ("{" + "a," * 200 + "}", "more than 128"),
        ("{" + ",".join("x" * 400 for _ in range(2)) + "}{a,b,c}", "too long"),
        ("{" * 9 + "a" + "}" * 9, "nested"),
    ],
)
def test_what_cannot_be_understood_is_refused(pattern: str, sentence: str) -> None:
    with pytest.raises(PatternInvalid, match=re.escape(sentence)):
        compile_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    ["*a" * 500 + "b", "**/" * 300 + "b", "{" + ",".join(["*a*a*a*a*a"] * 60) + "}b", "*?" * 500],
)
def test_a_name_costs_one_step_for_each_character(
    pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patterns that make backtracking matchers try every way of dividing the name."""
    compiled = compile_pattern(pattern)
    steps = 0

    class Counted(dict[str, tuple[int, int]]):
        def get(self, key: str, default: object = None) -> tuple[int, int] | None:  # type: ignore[override]
            nonlocal steps
            steps += 1
            return super().get(key)

    monkeypatch.setitem(compiled.__dict__, "_steps", Counted())
    compiled.matches("a/" * 127)
    compiled.matches("a" * 255)
    assert steps <= 2 * 255
    assert max(state.bit_length() for state in (compiled._begin, compiled._accept)) <= 3000


def test_what_is_remembered_of_a_pattern_is_bounded() -> None:
    compiled = compile_pattern("?*")
    for number in range(1000):
        assert compiled.matches(chr(0x4E00 + number))
    assert len(compiled._steps) == doublestar._REMEMBERED_CHARACTERS


SIMPLE = st.lists(st.sampled_from(["a", "b", "/", "*", "?", "**"]), min_size=1, max_size=8)
NAMES = st.text(alphabet="ab/", max_size=10)


@given(SIMPLE, NAMES)
def test_it_agrees_with_a_plain_definition(pieces: list[str], name: str) -> None:
    pattern = "".join(pieces)
    assert compile_pattern(pattern).matches(name) == _fits(pattern.split("/"), name.split("/"))


def _fits(pattern: list[str], name: list[str]) -> bool:
    """Say the same by trying every way, segment by segment."""
    if not pattern:
        return not name
    first, rest = pattern[0], pattern[1:]
    if first == "**":
        if not rest:
            return bool(name)
        return any(_fits(rest, name[count:]) for count in range(len(name) + 1))
    if not name:
        return False
    text = re.sub(r"\*+", "*", first)
    segment = "".join({"*": ".*", "?": "."}.get(character, character) for character in text)
    return re.fullmatch(segment, name[0]) is not None and _fits(rest, name[1:])
