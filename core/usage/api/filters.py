"""How much of the storage explorer a request asks for."""

from rest_framework.request import Request

from core.api.errors import UnprocessableEntity
from core.usage.queries import MAXIMUM_TOP

DEFAULT_TOP = 10


def wanted_top(request: Request) -> int:
    """Return how many repositories or projects are listed. Raises ``UnprocessableEntity``."""
    text = request.query_params.get("top", "")
    if not text:
        return DEFAULT_TOP
    is_number = text.isascii() and text.isdigit() and len(text) <= 3
    if not is_number or not 1 <= int(text) <= MAXIMUM_TOP:
        raise UnprocessableEntity(f"top in query should be from 1 to {MAXIMUM_TOP}.")
    return int(text)
