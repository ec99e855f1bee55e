"""Harbor's ``q`` and ``sort`` parameters: a pure parser.

``q`` is a comma-separated list of ``key=value``. A value is exact (``k=v``), fuzzy
(``k=~v``), a range with at least one end (``k=[a~b]``), an OR list (``k={a b c}``) or an AND
list (``k=(a b)``). Items of lists may be quoted with ``"`` or ``'``; a leading backslash
makes the rest literal. ``k__gt=v`` and its like are the lookups that Harbor's columns have.
``q`` is percent-decoded once more than HTTP does, as Harbor does it.
``sort`` is a comma-separated list of keys, descending with a leading minus.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from core.api.errors import BadRequest

MAXIMUM_CHARACTERS = 4096
MAXIMUM_TERMS = 32
MAXIMUM_ITEMS = 200


@dataclass(frozen=True, slots=True)
class Exact:
    """The field equals ``value``."""

    value: str


@dataclass(frozen=True, slots=True)
class Fuzzy:
    """The field contains ``value``, without regard to case."""

    value: str


@dataclass(frozen=True, slots=True)
class Range:
    """The field lies between both ends; None is open. They belong to the range unless told."""

    minimum: str | None
    maximum: str | None
    has_its_ends: bool = True


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The field equals one of the values."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """The object has every one of the values."""

    values: tuple[str, ...]


Pattern = Exact | Fuzzy | Range | AnyOf | AllOf


@dataclass(frozen=True, slots=True)
class Term:
    """One ``key=value`` of a query, the key in its normal form."""

    key: str
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Order:
    """One key of ``sort``."""

    key: str
    is_descending: bool


_ITEM = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^\s"']+))(?=\s|$)""")
_CLOSING = {"[": "]", "{": "}", "(": ")"}
_SUFFIXES = ("__icontains", "__in", "__gte", "__lte", "__gt", "__lt", "__exact")


def normal_key(key: str) -> str:
    """Return a key as lower case without underscores: ``ProjectID`` and ``project_id`` agree."""
    return key.replace("_", "").lower()


def parse_query(text: str) -> tuple[Term, ...]:
    """Parse the ``q`` parameter. Raises ``BadRequest`` naming what is malformed."""
    if not text:
        return ()
    if len(text) > MAXIMUM_CHARACTERS:
        raise BadRequest(f"q is longer than {MAXIMUM_CHARACTERS} characters.")
    decoded = unquote(text)
    if "\x00" in decoded:
        raise BadRequest("q contains a NUL character.")
    parts = decoded.split(",")
    if len(parts) > MAXIMUM_TERMS:
        raise BadRequest(f"q has more than {MAXIMUM_TERMS} terms.")
    return tuple(_parse_term(part) for part in parts)


def parse_sort(text: str) -> tuple[Order, ...]:
    """Parse the ``sort`` parameter; empty keys are skipped, as Harbor skips them."""
    orders = []
    for part in text[:MAXIMUM_CHARACTERS].split(","):
        key = part.strip()
        name = key.removeprefix("-").strip()
        if name:
            orders.append(Order(normal_key(name), is_descending=key.startswith("-")))
    return tuple(orders[:MAXIMUM_TERMS])


def _parse_term(part: str) -> Term:
    key, equals, value = part.partition("=")
    key = key.strip()
    if not equals or not key or not value:
        raise BadRequest(
            f'q must be a list of key=value, and {part!r} has no "=" or an empty side.'
        )
    for suffix in _SUFFIXES:
        if key.endswith(suffix) and len(key) > len(suffix):
            plain = key.removesuffix(suffix)
            return Term(normal_key(plain), _suffixed(suffix, value, plain))
    return Term(normal_key(key), _parse_pattern(value, key))


def _suffixed(suffix: str, value: str, key: str) -> Pattern:
    if suffix == "__icontains":
        return Fuzzy(value)
    if suffix == "__in":
        return AnyOf(_parse_items(_enclosed(value, key) if value[0] == "{" else value, key))
    if suffix in ("__gte", "__gt"):
        return Range(value, None, has_its_ends=suffix == "__gte")
    if suffix in ("__lte", "__lt"):
        return Range(None, value, has_its_ends=suffix == "__lte")
    return Exact(value)


def _parse_pattern(value: str, key: str) -> Pattern:
    match value[0]:
        case "\\":
            return Exact(value[1:])
        case "~":
            part = value[1:].removeprefix("\\")
            if not part:
                raise BadRequest(f"q: the fuzzy value of {key} is empty.")
            return Fuzzy(part)
        case "[":
            return _parse_range(_enclosed(value, key), key)
        case "{":
            return AnyOf(_parse_items(_enclosed(value, key), key))
        case "(":
            return AllOf(_parse_items(_enclosed(value, key), key))
        case _:
            return Exact(_unquoted(value))


def _enclosed(value: str, key: str) -> str:
    """Return what is between brackets. Raises ``BadRequest`` when they are not closed."""
    closing = _CLOSING[value[0]]
    if not value.endswith(closing):
        raise BadRequest(
            f"q: the value of {key} begins with {value[0]} and does not end with {closing}; "
            "a backslash before it makes it plain text."
        )
    return value[1:-1]


def _parse_range(text: str, key: str) -> Range:
    minimum, separator, maximum = text.partition("~")
    minimum, maximum = minimum.strip(), maximum.strip()
    if not separator or not (minimum or maximum) or "~" in maximum:
        raise BadRequest(f"q: the range of {key} must be [low~high] with at least one end.")
    return Range(_unquoted(minimum) or None, _unquoted(maximum) or None)


def _parse_items(text: str, key: str) -> tuple[str, ...]:
    items = []
    position = 0
    stripped = text.rstrip()
    while position < len(stripped):
        match = _ITEM.match(stripped, position)
        if match is None:
            raise BadRequest(f"q: the list of {key} has unbalanced quotes.")
        items.append(next(group for group in match.groups() if group is not None))
        position = match.end()
    if not items:
        raise BadRequest(f"q: the list of {key} is empty.")
    return tuple(_bounded(items))


def _bounded(items: Sequence[str]) -> Sequence[str]:
    if len(items) > MAXIMUM_ITEMS:
        raise BadRequest(f"q: a list has more than {MAXIMUM_ITEMS} items.")
    return items


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value
