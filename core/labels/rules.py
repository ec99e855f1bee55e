"""What a label may be: pure decisions."""

import re
import unicodedata
from typing import Final

from core.labels.errors import LabelInvalid

MAXIMUM_NAME: Final = 128
MAXIMUM_DESCRIPTION: Final = 1024
COLOR: Final = r"^#[0-9a-fA-F]{6}$"
GLOBAL_SCOPE: Final = "g"
PROJECT_SCOPE: Final = "p"

# Categories of Unicode: what controls, formats or breaks a line, and what means nothing to others.
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
# Emoji and some scripts join characters with these, and flags of countries in one are spelt.
_JOINERS: Final = frozenset({"\u200c", "\u200d", *map(chr, range(0xE0020, 0xE0080))})
# Letters and symbols by their category, which show nothing.
_BLANKS: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_COLOR = re.compile(COLOR.removeprefix("^").removesuffix("$"))


def ensure_valid(name: str, description: str, color: str) -> None:
    """Refuse what no label can have. Raises ``LabelInvalid`` naming the field."""
    if len(name) > MAXIMUM_NAME or name != name.strip() or not _is_legible(name):
        raise LabelInvalid(
            f"name must have 1 to {MAXIMUM_NAME} characters, without control characters, "
            "without invisible ones and without blanks around them."
        )
    if len(description) > MAXIMUM_DESCRIPTION:
        raise LabelInvalid(f"description has at most {MAXIMUM_DESCRIPTION} characters.")
    if color and not _COLOR.fullmatch(color):
        raise LabelInvalid("color must be #rrggbb, or empty.")


def _is_legible(name: str) -> bool:
    """Tell whether people see a name as it is: nothing hides in it or turns its order round."""
    shown = set(name) - _JOINERS - _BLANKS
    kinds = {unicodedata.category(each) for each in shown}
    return not kinds & _HIDDEN and any(kind[0] not in "ZM" for kind in kinds)


def scope_of(project_id: int | None) -> str:
    """Return the scope of a label as clients know it, by the project it belongs to."""
    return GLOBAL_SCOPE if project_id is None else PROJECT_SCOPE
