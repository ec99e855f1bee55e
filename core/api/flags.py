"""Truth values as clients write them, the same in query parameters, in headers and in ``q``."""

from typing import Final

from rest_framework.request import Request

from core.api.errors import UnprocessableEntity

_WORDS: Final = {
    **dict.fromkeys(("true", "t", "1", "yes", "y", "on"), True),
    **dict.fromkeys(("false", "f", "0", "no", "n", "off"), False),
}


def truth_of(text: str) -> bool | None:
    """Return what a word says in any case, None when it says neither."""
    return _WORDS.get(text.strip().lower())


def flag(request: Request, name: str, *, default: bool) -> bool:
    """Return the truth value of a query parameter; one without a value says the default.

    Raises ``UnprocessableEntity``.
    """
    return _truth(request.query_params.get(name, ""), f"{name} in query", default=default)


def header_flag(request: Request, name: str) -> bool:
    """Return the truth value of a header, false without one. Raises ``UnprocessableEntity``."""
    return _truth(request.headers.get(name, ""), f"{name} in header", default=False)


def _truth(text: str, where: str, *, default: bool) -> bool:
    if not text:
        return default
    value = truth_of(text)
    if value is None:
        raise UnprocessableEntity(f"{where} must be true or false.")
    return value
