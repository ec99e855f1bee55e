"""Which values settings may have."""

from typing import Any

import pytest

from core.system_settings import rules
from core.system_settings.errors import SettingInvalid, SettingUnknown
from core.system_settings.types import DECLARED, DEFAULTS, FIXED, WITHHELD, Endpoint, Settings

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("self_registration", True),
        ("project_creation_restriction", "adminonly"),
        ("token_expiration", 1),
        ("token_expiration", 1440),
        ("robot_name_prefix", "robot$"),
        ("robot_token_duration", -1),
        ("robot_token_duration", 36_500),
        ("storage_per_project", -1),
        ("storage_per_project", (1 << 63) - 1),
        ("session_timeout", 43_200),
        ("banner_message", '{"message": "Maintenance \u2028 tonight", "type": "warning"}'),
        ("audit_log_forward_endpoint", ""),
        ("audit_log_forward_endpoint", "udp://[2001:db8::1]:514"),
        # What a client read it may send back.
        ("auth_mode", "db_auth"),
        ("scan_all_policy", {"type": "none"}),
        ("ldap_search_password", ""),
        ("read_only", None),
    ],
)
def test_good_values(key: str, value: Any) -> None:
    expected = {key: value} if key in DECLARED and value is not None else {}
    assert rules.checked_changes({key: value}) == expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[(key, value) for key in DECLARED for value in (1.5, [], {}, ["x"])],
        ("self_registration", "true"),
        ("self_registration", 1),
        ("project_creation_restriction", "nobody"),
        ("project_creation_restriction", ""),
        ("token_expiration", 0),
        ("token_expiration", 1441),
        ("token_expiration", True),
        ("token_expiration", "30"),
        ("robot_name_prefix", ""),
        ("robot_name_prefix", "robot "),
        ("robot_name_prefix", "robot-\n"),
        ("robot_name_prefix", "r" * 33),
        ("robot_token_duration", 0),
        ("robot_token_duration", -2),
        ("storage_per_project", 0),
        ("storage_per_project", 1 << 63),
        ("session_timeout", 0),
        ("banner_message", "x" * 8193),
        ("auth_mode", "ldap_auth"),
        ("primary_auth_mode", 0),
        ("oidc_client_secret", "hidden"),
        ("scan_all_policy", {"type": "daily"}),
        ("scanner_skip_update_pulltime", True),
    ],
)
def test_bad_values_name_the_key(key: str, value: Any) -> None:
    with pytest.raises(SettingInvalid, match=f"^{key}: ") as refused:
        rules.checked_changes({key: value})
    assert "hidden" not in refused.value.message


def test_unknown_keys_are_named() -> None:
    with pytest.raises(SettingUnknown, match=r"^no_such_key: "):
        rules.checked_changes({"no_such_key": None, "read_only": True})
    with pytest.raises(SettingUnknown) as refused:
        rules.checked_changes({"x" * 100_000: 1})
    assert len(refused.value.message) < 200


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("syslog.example.org:514", Endpoint("tcp", "syslog.example.org", 514)),
        ("tcp://10.0.0.1:6514", Endpoint("tcp", "10.0.0.1", 6514)),
        ("udp://log:65535", Endpoint("udp", "log", 65535)),
        ("[::1]:514", Endpoint("tcp", "::1", 514)),
    ],
)
def test_endpoints(text: str, expected: Endpoint) -> None:
    assert rules.parse_endpoint(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "syslog",
        ":514",
        "syslog:",
        "syslog:0",
        "syslog:65536",
        "syslog:514/path",
        "syslog:514\n",
        "http://syslog:514",
        "user:secret@syslog:514",
        "sys log:514",
        "-x:514",
        "[syslog]:514",
        "[1::2::3]:514",
        f"{'a' * 64}:514",
        f"{'a.' * 126}aa:514",
        "s\u00fcd:514",
    ],
)
def test_bad_endpoints(text: str) -> None:
    with pytest.raises(SettingInvalid, match=r"^audit_log_forward_endpoint: ") as refused:
        rules.parse_endpoint(text)
    assert "secret" not in refused.value.message


def test_the_audit_log_goes_somewhere() -> None:
    rules.ensure_consistent(DEFAULTS)
    rules.ensure_consistent(
        Settings(skip_audit_log_database=True, audit_log_forward_endpoint="a:1")
    )
    with pytest.raises(SettingInvalid, match=r"^skip_audit_log_database: "):
        rules.ensure_consistent(Settings(skip_audit_log_database=True))


def test_every_setting_is_declared_once_and_its_default_is_allowed() -> None:
    assert len(DECLARED) == 15
    assert not set(DECLARED) & (set(FIXED) | WITHHELD)
    assert not set(FIXED) & WITHHELD
    for key, declared in DECLARED.items():
        assert rules.checked_value(key, getattr(DEFAULTS, key)) == getattr(DEFAULTS, key)
        assert len(declared.help) > 15


def test_the_quota_of_new_projects() -> None:
    assert Settings().default_quota_bytes == -1
    assert Settings(storage_per_project=10).default_quota_bytes == 10
    limited = Settings(storage_per_project=10, quota_per_project_enable=False)
    assert limited.default_quota_bytes == -1
