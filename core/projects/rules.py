"""Names and metadata of projects: pure decisions."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from core.projects.errors import MetadataInvalid, ProjectNameInvalid

LIBRARY = "library"
"""The public project that every installation starts with."""

MAXIMUM_NAME_LENGTH = 255

_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")


def is_valid_name(name: str) -> bool:
    """Tell whether a project could have the name."""
    return len(name) <= MAXIMUM_NAME_LENGTH and _NAME.fullmatch(name) is not None


def ensure_valid_name(name: str) -> None:
    """Refuse a name that could not be the first component of a repository name.

    Raises ``ProjectNameInvalid``.
    """
    if not is_valid_name(name):
        raise ProjectNameInvalid(detail={"name": name[:MAXIMUM_NAME_LENGTH]})


# --- Metadata -------------------------------------------------------------------

PUBLIC: Final = "public"
"""Harbor keeps visibility among the metadata; here it is a column."""

RETENTION_ID: Final = "retention_id"
REUSE_SYSTEM_ALLOWLIST: Final = "reuse_sys_cve_allowlist"
SEVERITIES: Final = ("none", "low", "medium", "high", "critical")
FILTER_KINDS: Final = ("", "doublestar", "regex")

_MAXIMUM_PATTERN_LENGTH = 1024
_BIGGEST_NUMBER = (1 << 31) - 1
_MAXIMUM_TRASH_DAYS = 365


def _boolean(value: str) -> str:
    if value.lower() not in ("true", "false"):
        raise ValueError('must be "true" or "false"')
    return value.lower()


def _severity(value: str) -> str:
    if value.lower() not in SEVERITIES:
        raise ValueError(f"must be one of {', '.join(SEVERITIES)}")
    return value.lower()


def _number(value: str) -> str:
    digits = value.removeprefix("-")
    if len(digits) <= 10 and digits.isascii() and digits.isdigit():
        number = int(value)
        if number == -1 or 1 <= number <= _BIGGEST_NUMBER:
            return str(number)
    raise ValueError("must be a whole number from 1, or -1 for no limit")


def _days(value: str) -> str:
    is_number = value.isascii() and value.isdigit() and len(value) <= 3
    if not is_number or int(value) > _MAXIMUM_TRASH_DAYS:
        raise ValueError(f"must be a number of days from 0 to {_MAXIMUM_TRASH_DAYS}")
    return str(int(value))


def _filter_pattern(value: str) -> str:
    if len(value) > _MAXIMUM_PATTERN_LENGTH:
        raise ValueError(f"must have at most {_MAXIMUM_PATTERN_LENGTH} characters")
    return value


def _filter_kind(value: str) -> str:
    if value not in FILTER_KINDS:
        raise ValueError("must be doublestar or regex")
    return value


def _never(value: str) -> str:
    raise ValueError("is set by the retention policy of the project, not by clients")


METADATA: Final[Mapping[str, Callable[[str], str]]] = {
    PUBLIC: _boolean,
    "enable_content_trust": _boolean,
    "enable_content_trust_cosign": _boolean,
    "prevent_vul": _boolean,
    "severity": _severity,
    "auto_scan": _boolean,
    "auto_sbom_generation": _boolean,
    REUSE_SYSTEM_ALLOWLIST: _boolean,
    RETENTION_ID: _never,
    "proxy_speed_kb": _number,
    "max_upstream_conn": _number,
    "proxy_cache_local_on_not_found": _boolean,
    "proxy_referrer_api": _boolean,
    "proxy_cache_filter_pattern": _filter_pattern,
    "proxy_cache_filter_kind": _filter_kind,
    "trash_days": _days,
}
"""Harbor's metadata, and the trash window, which it does not have.

Name to what checks a value and returns it as it is kept.
"""

LASTING: Final = frozenset({PUBLIC, RETENTION_ID})
"""What clients cannot delete: it always exists, or another feature keeps it."""

_MAY_BE_EMPTY = frozenset({"proxy_cache_filter_pattern", "proxy_cache_filter_kind"})


def new_metadata() -> dict[str, str]:
    """Return the metadata of a new project."""
    return {REUSE_SYSTEM_ALLOWLIST: "true"}


def checked_metadata(name: str, value: str) -> str:
    """Return a value as it is kept. Raises ``MetadataInvalid`` naming the key."""
    check = METADATA.get(name)
    if check is None:
        raise MetadataInvalid(f"metadata.{name[:64]} is not known.")
    try:
        return check(value)
    except ValueError as error:
        raise MetadataInvalid(f"metadata.{name} {error}.") from error


def visibility_in(given: Mapping[str, str | None]) -> bool | None:
    """Return what metadata say about visibility, None for nothing. Raises ``MetadataInvalid``."""
    value = given.get(PUBLIC)
    return checked_metadata(PUBLIC, value) == "true" if value else None


def merged_metadata(kept: Mapping[str, str], given: Mapping[str, str | None]) -> dict[str, str]:
    """Return the metadata, visibility apart, after a client has sent some of it.

    Names that are not given stay, as do those given as None or, where that is no value, as an
    empty text: clients send these for what they do not care about. A value that is sent back as
    it was read stays too, also one that clients cannot set. Raises ``MetadataInvalid``.
    """
    merged = dict(kept)
    for name, value in given.items():
        if name == PUBLIC:
            continue
        says_nothing = value is None or (value == "" and name not in _MAY_BE_EMPTY)
        if name in METADATA and (says_nothing or value == kept.get(name)):
            continue
        merged[name] = checked_metadata(name, value or "")
    return merged
