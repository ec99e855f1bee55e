"""The run-time settings, each declared once."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, NamedTuple

Value = bool | int | str

MAXIMUM_BANNER_LENGTH: Final = 8192
UNLIMITED: Final = -1
FOR_EVER: Final = -1


@dataclass(frozen=True, slots=True)
class Declared:
    """What a setting is for and which values it takes.

    ``special`` is a number outside of the bounds that has a meaning of its own. ``pattern`` must
    match a whole text, and ``rule`` says it in words.
    """

    help: str
    minimum: int = 0
    maximum: int = 0
    special: int | None = None
    choices: tuple[str, ...] = ()
    maximum_length: int = 255
    pattern: str = ""
    rule: str = ""


def _setting(default: Any, text: str, **bounds: Any) -> Any:
    return field(default=default, metadata={"declared": Declared(text, **bounds)})


@dataclass(frozen=True, slots=True)
class Settings:
    """The value of every run-time setting. Names, types and units are Harbor's."""

    self_registration: bool = _setting(False, "Whether visitors may create an account.")
    project_creation_restriction: str = _setting(
        "everyone",
        "Who may create projects: everyone, or only system administrators.",
        choices=("everyone", "adminonly"),
    )
    token_expiration: int = _setting(
        15, "Minutes for which a registry token is valid.", minimum=1, maximum=1440
    )
    robot_name_prefix: str = _setting(
        "robot-",
        "What the login name of every robot begins with.",
        pattern=r"[A-Za-z0-9][A-Za-z0-9._$+-]{0,31}",
        rule="begin with a letter or digit and hold at most 32 letters, digits or . _ $ + -",
    )
    robot_token_duration: int = _setting(
        30,
        "Days that a robot lasts for which nothing is asked; -1 is for ever.",
        minimum=1,
        maximum=36_500,
        special=FOR_EVER,
    )
    quota_per_project_enable: bool = _setting(
        True, "Whether new projects get the quota of storage_per_project."
    )
    storage_per_project: int = _setting(
        UNLIMITED,
        "Bytes that a new project may hold; -1 is unlimited.",
        minimum=1,
        maximum=(1 << 63) - 1,
        special=UNLIMITED,
    )
    read_only: bool = _setting(False, "Whether content can only be read.")
    banner_message: str = _setting(
        "", "Text that pages show to everybody.", maximum_length=MAXIMUM_BANNER_LENGTH
    )
    session_timeout: int = _setting(
        60,
        "Minutes after which a session in a browser ends that nobody uses.",
        minimum=1,
        maximum=43_200,
    )
    audit_log_forward_endpoint: str = _setting(
        "", "Syslog server that audit entries are sent to: host:port, or udp://host:port."
    )
    skip_audit_log_database: bool = _setting(
        False, "Whether audit entries are only forwarded, and not kept."
    )
    notification_enable: bool = _setting(True, "Whether webhooks are sent.")
    pull_count_update_disable: bool = _setting(False, "Whether pulls are left uncounted.")
    pull_audit_log_disable: bool = _setting(False, "Whether pulls are left out of the audit log.")

    @property
    def default_quota_bytes(self) -> int:
        """How much a new project may hold when nobody says otherwise; -1 is unlimited."""
        return self.storage_per_project if self.quota_per_project_enable else UNLIMITED

    @property
    def only_administrators_create_projects(self) -> bool:
        """Whether other people may not create projects."""
        return self.project_creation_restriction == "adminonly"


DECLARED: Final[Mapping[str, Declared]] = {
    one.name: one.metadata["declared"] for one in fields(Settings)
}
"""Every setting that can be changed, by its key."""

DEFAULTS: Final = Settings()

FIXED: Final[Mapping[str, Value | Mapping[str, str]]] = {
    "auth_mode": "db_auth",
    "primary_auth_mode": False,
    "disabled_audit_log_event_types": "",
    "http_authproxy_admin_groups": "",
    "http_authproxy_admin_usernames": "",
    "http_authproxy_endpoint": "",
    "http_authproxy_server_certificate": "",
    "http_authproxy_skip_search": False,
    "http_authproxy_tokenreview_endpoint": "",
    "http_authproxy_verify_cert": True,
    "ldap_base_dn": "",
    "ldap_filter": "",
    "ldap_group_admin_dn": "",
    "ldap_group_attach_parallel": False,
    "ldap_group_attribute_name": "",
    "ldap_group_base_dn": "",
    "ldap_group_membership_attribute": "memberof",
    "ldap_group_search_filter": "",
    "ldap_group_search_scope": 2,
    "ldap_scope": 2,
    "ldap_search_dn": "",
    "ldap_timeout": 5,
    "ldap_uid": "cn",
    "ldap_url": "",
    "ldap_verify_cert": True,
    "oidc_admin_group": "",
    "oidc_auto_onboard": False,
    "oidc_client_id": "",
    "oidc_endpoint": "",
    "oidc_extra_redirect_parms": "{}",
    "oidc_group_filter": "",
    "oidc_groups_claim": "",
    "oidc_logout": False,
    "oidc_name": "",
    "oidc_scope": "",
    "oidc_user_claim": "",
    "oidc_verify_cert": True,
    "scan_all_policy": {"type": "none"},
    "scanner_skip_update_pulltime": False,
    "uaa_client_id": "",
    "uaa_endpoint": "",
    "uaa_verify_cert": False,
}
"""Keys of Harbor whose feature is not there; each has the value of a fresh installation."""

WITHHELD: Final = frozenset({"ldap_search_password", "oidc_client_secret", "uaa_client_secret"})
"""Secrets of such features: they can be asked for, though nothing has them, and never shown."""


class Endpoint(NamedTuple):
    """Where a syslog server listens. ``protocol`` is ``tcp`` or ``udp``."""

    protocol: str
    host: str
    port: int
