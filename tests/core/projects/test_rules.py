"""Names of projects."""

import pytest

from core.projects import rules
from core.projects.errors import ProjectNameInvalid

pytestmark = pytest.mark.pure


@pytest.mark.parametrize("name", ["a", "0", "library", "team-1", "a.b_c-d", "x" * 255, "9lives"])
def test_accepts(name: str) -> None:
    rules.ensure_valid_name(name)
    assert rules.is_valid_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Library",
        "-a",
        "a-",
        "a--b",
        "a..b",
        "a._b",
        "a/b",
        "a b",
        "a+b",
        "a\n",
        "a\x00",
        "été",
        "..",
        "x" * 256,
    ],
)
def test_refuses(name: str) -> None:
    with pytest.raises(ProjectNameInvalid):
        rules.ensure_valid_name(name)
    assert not rules.is_valid_name(name)
