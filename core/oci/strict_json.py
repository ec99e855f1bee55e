"""Strict reading of JSON that several programs must understand in the same way.

Two readers that disagree about a manifest are a way to smuggle content past a check, so
everything that JSON parsers are known to treat differently is refused: duplicate keys, keys
that differ from a known one only in case (Go matches those), NaN, numbers too large for a
float, lone surrogates and NUL.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Final, NoReturn

from core.oci.errors import ManifestInvalid, excerpt

MAX_DEPTH: Final = 64
# Bounds the memory that a small hostile document takes once parsed; 10,000 descriptors with
# every optional member have about 50,000 objects and lists.
MAX_CONTAINERS: Final = 262_144

# Neither can be stored as text in PostgreSQL, and lone surrogates have no UTF-8 form.
_NOT_TEXT: Final = re.compile(r"[\x00\ud800-\udfff]")


def parse_object(payload: bytes) -> dict[str, object]:
    """Return the JSON object in UTF-8 bytes; a leading byte order mark is skipped.

    Takes time in proportion to the length, whatever the content. Raises ManifestInvalid.
    """
    if payload.count(b"{") + payload.count(b"[") > MAX_CONTAINERS:
        raise ManifestInvalid("The manifest has too many objects and lists.")
    try:
        text = payload.decode("utf-8-sig")
        document = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise ManifestInvalid("The manifest is not valid UTF-8.") from error
    except json.JSONDecodeError as error:
        raise ManifestInvalid(f"The manifest is not valid JSON: {error}.") from error
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        # The interpreter refuses to convert integers of thousands of digits.
        raise ManifestInvalid("The manifest contains a number with too many digits.") from error
    if not isinstance(document, dict):
        raise ManifestInvalid("The manifest must be a JSON object.")
    _require_bounded_text(document)
    return document


def known_keys(*names: str) -> dict[str, str]:
    """Return the names by their case-folded form, as ``refuse_case_variants`` wants them."""
    return {name.casefold(): name for name in names}


def refuse_case_variants(
    members: Mapping[str, object], known: Mapping[str, str], where: str
) -> None:
    """Raise ManifestInvalid if a key equals a known one but for its case, as ``Layers`` does."""
    for key in members:
        canonical = known.get(key.casefold(), key)
        if canonical != key:
            raise ManifestInvalid(
                f"{where} has the member {excerpt(key)}; its name must be {canonical!r}."
            )


def _object_without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        repeated, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ManifestInvalid(f"The manifest repeats the member {excerpt(repeated)} in one object.")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ManifestInvalid(f"The manifest contains {name}, which is not JSON.")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ManifestInvalid(
            f"The manifest contains {excerpt(text)}, which is too large a number."
        )
    return number


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object_without_duplicates,
    parse_constant=_refuse_constant,
    parse_float=_finite,
)


def _too_deep() -> ManifestInvalid:
    return ManifestInvalid(f"The manifest is nested more than {MAX_DEPTH} levels deep.")


def _require_bounded_text(document: dict[str, object]) -> None:
    """Check nesting and every string, level by level and so without recursion."""
    level: list[dict[str, object] | list[object]] = [document]
    depth = 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise _too_deep()
        deeper: list[dict[str, object] | list[object]] = []
        for container in level:
            for value in _members(container):
                if isinstance(value, str):
                    _require_text(value)
                elif isinstance(value, dict | list):
                    deeper.append(value)
        level = deeper


def _members(container: dict[str, object] | list[object]) -> list[object]:
    """Return the items of a list, or the keys and the values of an object."""
    if isinstance(container, dict):
        return [*container.keys(), *container.values()]
    return container


def _require_text(value: str) -> None:
    if _NOT_TEXT.search(value):
        raise ManifestInvalid(
            f"The manifest contains {excerpt(value)}, which is not Unicode text without NUL."
        )
