"""Which values settings may have: pure decisions."""

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Final

from core.system_settings.errors import SettingInvalid, SettingUnknown, SystemReadOnly
from core.system_settings.types import (
    DECLARED,
    DEFAULTS,
    FIXED,
    WITHHELD,
    Declared,
    Endpoint,
    Settings,
    Value,
)

_HOST_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)
_ENDPOINT: Final = re.compile(
    r"(?:(?P<protocol>tcp|udp)://)?(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[^:/@\[\]]+))"
    r":(?P<port>[0-9]{1,5})"
)


def read_only(detail: str | None) -> SystemReadOnly:
    """Return the refusal for what the database says of a change in read-only mode: nothing more."""
    del detail
    return SystemReadOnly()


def checked_changes(wanted: Mapping[str, Any]) -> dict[str, Value]:
    """Return what of a flat map is to be changed; None means: leave it as it is.

    A key whose feature is not there may be sent with the value it has. Raises ``SettingUnknown``
    and ``SettingInvalid``, both naming the key.
    """
    changes: dict[str, Value] = {}
    for key, value in wanted.items():
        if key not in DECLARED and key not in FIXED and key not in WITHHELD:
            raise SettingUnknown(f"{key[:64]}: there is no such setting.")
        if value is None:
            continue
        if key in DECLARED:
            changes[key] = checked_value(key, value)
        elif not _is_same(value, FIXED.get(key, "")):
            raise SettingInvalid(f"{key}: this cannot be changed, its feature is not available.")
    return changes


def checked_value(key: str, value: Any) -> Value:
    """Return the value if the setting may have it. Raises ``SettingInvalid`` naming the key."""
    declared, default = DECLARED[key], getattr(DEFAULTS, key)
    # True is a number to Python, but not to anybody who sets one.
    if type(value) is not type(default):
        raise SettingInvalid(f"{key}: the value must be {_KIND_OF_TYPE[type(default)]}.")
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        _ensure_within(key, declared, value)
        return value
    text = str(value)
    _ensure_fitting(key, declared, text)
    if key == "audit_log_forward_endpoint" and text:
        parse_endpoint(text)
    return text


def ensure_consistent(settings: Settings) -> None:
    """Refuse settings that contradict each other. Raises ``SettingInvalid``."""
    if settings.skip_audit_log_database and not settings.audit_log_forward_endpoint:
        raise SettingInvalid(
            "skip_audit_log_database: audit entries must go somewhere; set"
            " audit_log_forward_endpoint as well."
        )


def parse_endpoint(text: str) -> Endpoint:
    """Return where a syslog server listens; without a protocol it is TCP.

    Only the form is checked: the server may be down, and its name is looked up when something is
    sent. Raises ``SettingInvalid``.
    """
    match = _ENDPOINT.fullmatch(text)
    if match is None or not 0 < int(match["port"]) < 1 << 16 or not _is_host(match):
        raise SettingInvalid(
            "audit_log_forward_endpoint: the value must look like syslog.example.org:514,"
            " or udp://syslog.example.org:514."
        )
    host = match["address"] or match["name"]
    return Endpoint(match["protocol"] or "tcp", host, int(match["port"]))


def _is_host(match: "re.Match[str]") -> bool:
    if match["address"] is None:
        return _HOST_NAME.fullmatch(match["name"]) is not None
    try:
        ipaddress.IPv6Address(match["address"])
    except ValueError:
        return False
    return True


def _ensure_within(key: str, declared: Declared, value: int) -> None:
    if declared.minimum <= value <= declared.maximum or value == declared.special:
        return
    special = f", or {declared.special}" if declared.special is not None else ""
    raise SettingInvalid(
        f"{key}: the value must be from {declared.minimum} to {declared.maximum}{special}."
    )


def _ensure_fitting(key: str, declared: Declared, text: str) -> None:
    if declared.choices and text not in declared.choices:
        raise SettingInvalid(f"{key}: the value must be one of {', '.join(declared.choices)}.")
    if len(text) > declared.maximum_length:
        raise SettingInvalid(f"{key}: at most {declared.maximum_length} characters.")
    if declared.pattern and not re.fullmatch(declared.pattern, text):
        raise SettingInvalid(f"{key}: the value must {declared.rule}.")


def _is_same(value: Any, fixed: object) -> bool:
    return type(value) is type(fixed) and bool(value == fixed)


_KIND_OF_TYPE: Final = {bool: "true or false", int: "a whole number", str: "a text"}
