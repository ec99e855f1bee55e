"""What a label may be: pure decisions."""

import re
from typing import Final

from core.labels.errors import LabelInvalid

MAXIMUM_NAME: Final = 128
MAXIMUM_DESCRIPTION: Final = 1024
COLOR: Final = r"^#[0-9a-fA-F]{6}$"
GLOBAL_SCOPE: Final = "g"
PROJECT_SCOPE: Final = "p"

# The bounds of a name are no blanks, and nothing in it moves a cursor.
_NAME = re.compile(r"[^\x00-\x20\x7f-\xa0](?:[^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0])?")
_COLOR = re.compile(COLOR.removeprefix("^").removesuffix("$"))


def ensure_valid(name: str, description: str, color: str) -> None:
    """Refuse what no label can have. Raises ``LabelInvalid`` naming the field."""
    if len(name) > MAXIMUM_NAME or not _NAME.fullmatch(name):
        raise LabelInvalid(
            f"name must have 1 to {MAXIMUM_NAME} characters, without control characters and "
            "without blanks around them."
        )
    if len(description) > MAXIMUM_DESCRIPTION:
        raise LabelInvalid(f"description has at most {MAXIMUM_DESCRIPTION} characters.")
    if color and not _COLOR.fullmatch(color):
        raise LabelInvalid("color must be #rrggbb, or empty.")


def scope_of(project_id: int | None) -> str:
    """Return the scope of a label as clients know it, by the project it belongs to."""
    return GLOBAL_SCOPE if project_id is None else PROJECT_SCOPE
