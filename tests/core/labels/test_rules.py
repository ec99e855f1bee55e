"""What a label may be, as a table."""

import pytest

from core.labels.errors import LabelInvalid
from core.labels.rules import ensure_valid, scope_of

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("name", "description", "color"),
    [
        ("x", "", ""),
        ("Ready for release", "What is\nshipped", "#0065aB"),
        ("\u00e9t\u00e9 \U0001f433 100%_", "", "#FFFFFF"),
        ("\U0001f469\u200d\U0001f680 launch", "", ""),
        ("\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "", ""),
        ("x" * 128, "x" * 1024, "#000000"),
    ],
)
def test_valid(name: str, description: str, color: str) -> None:
    ensure_valid(name, description, color)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("name", ["", " ", " x", "x ", "a\nb", "a\x00b", "x\x7f", "x" * 129]),
        (
            "name",
            ["\u200b", "\u200d", "a\u202eb", "\ufeffx", "a\u2028b", "\u0301", "\ud800", "\u3164"],
        ),
        ("description", ["x" * 1025]),
        ("color", ["red", "#fff", "#12345g", "#1234567", "123456", "#123456\n", " #123456"]),
    ],
)
def test_invalid_values_name_the_field(field: str, values: list[str]) -> None:
    for value in values:
        whole = {"name": "x", "description": "", "color": "", field: value}
        with pytest.raises(LabelInvalid, match=f"^{field} "):
            ensure_valid(**whole)


def test_scopes() -> None:
    assert (scope_of(None), scope_of(7)) == ("g", "p")
