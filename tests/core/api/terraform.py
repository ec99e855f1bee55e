"""The resources of goharbor's Terraform provider, with the bodies that it sends for them.

Those have every member that it always sends, and lack those that it leaves out when they are zero.
"""

from dataclasses import dataclass, field
from typing import Any

from tests.factories.users import PASSWORD


def project_body(name: str, **metadata: str) -> dict[str, Any]:
    return {
        "project_name": name,
        "cve_allowlist": {},
        "storage_limit": -1,
        "metadata": {
            "enable_content_trust": "false",
            "enable_content_trust_cosign": "false",
            "auto_scan": "true",
            "severity": "low",
            "reuse_sys_cve_allowlist": "true",
            "public": "false",
            "prevent_vul": "false",
            "auto_sbom_generation": "false",
            "proxy_speed_kb": "-1",
            "proxy_cache_local_on_not_found": "false",
            **metadata,
        },
    }


def label_body(**members: Any) -> dict[str, Any]:
    plain = {"description": "", "color": "#FF0000", "deleted": False, "scope": "g"}
    return {**plain, "project_id": 0, "id": 0, "name": "tested", **members}


def robot_body(**members: Any) -> dict[str, Any]:
    access = [{"action": "pull", "resource": "repository"}]
    permission = {"access": access, "kind": "project", "namespace": "secret"}
    return {
        "name": "tf",
        "level": "project",
        "duration": -1,
        "permissions": [permission],
        **members,
    }


def rule_body(**members: Any) -> dict[str, Any]:
    repositories = [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]
    tags = [{"kind": "doublestar", "decoration": "matches", "pattern": "v*"}]
    return {
        "disabled": False,
        "scope_selectors": {"repository": repositories},
        "tag_selectors": tags,
        "action": "immutable",
        "template": "immutable_template",
        **members,
    }


USER = {"username": "carol", "password": PASSWORD, "realname": "Carol", "new_password": PASSWORD}
GROUP = {"group_type": 3, "group_name": "builders"}


@dataclass(frozen=True)
class Resource:
    """One resource: what it creates, each update in turn, and what it reads in the end."""

    path: str
    create: dict[str, Any]
    updates: tuple[dict[str, Any], ...]
    read: dict[str, Any]
    again: int = 409
    absent: tuple[str, ...] = field(default=())


RESOURCES = {
    "project": Resource(
        "/projects",
        project_body("main"),
        (project_body("main", public="true"),),
        {"name": "main", "metadata.public": "true", "metadata.proxy_speed_kb": "-1"},
        absent=("registry_id",),
    ),
    "project_member_user": Resource(
        "/projects/{project}/members",
        {"role_id": 2, "member_group": {}, "member_user": {"username": "outsider"}},
        ({"role_id": 4, "member_group": {}, "member_user": {"username": "outsider"}},),
        {"role_id": 4, "entity_name": "outsider", "entity_type": "u", "project_id": "{project}"},
    ),
    "project_member_group": Resource(
        "/projects/{project}/members",
        {"role_id": 5, "member_group": GROUP, "member_user": {}},
        ({"role_id": 1, "member_group": GROUP, "member_user": {}},),
        {"role_id": 1, "entity_name": "builders", "entity_type": "g"},
    ),
    "group": Resource("/usergroups", GROUP, (), {"group_name": "builders", "group_type": 3}),
    "label": Resource(
        "/labels",
        label_body(),
        (label_body(description="by QA", color="#00FF00"),),
        {"name": "tested", "description": "by QA", "color": "#00FF00", "scope": "g"},
    ),
    "label of a project": Resource(
        "/labels",
        label_body(scope="p", project_id="{project}"),
        (label_body(scope="p", project_id="{project}", name="checked"),),
        {"name": "checked", "scope": "p", "project_id": "{project}"},
        again=201,
    ),
    "robot_account": Resource(
        "/robots",
        robot_body(),
        (
            robot_body(name="robot-secret+tf", description="for Terraform", disable=True),
            # What is false or empty is left out.
            robot_body(name="robot-secret+tf"),
        ),
        {"level": "project", "duration": -1, "permissions.0.namespace": "secret"},
        absent=("description",),
    ),
    "robot_account of the system": Resource(
        "/robots",
        robot_body(
            level="system",
            permissions=[
                {
                    "access": [{"action": "list", "resource": "user"}],
                    "kind": "system",
                    "namespace": "/",
                },
                {
                    "access": [{"action": "push", "resource": "repository", "effect": "allow"}],
                    "kind": "project",
                    "namespace": "*",
                },
            ],
        ),
        (),
        {"level": "system", "name": "robot-tf", "disable": False},
    ),
}

SYSTEM = {
    "project_creation_restriction": "adminonly",
    "read_only": False,
    "robot_token_duration": 45,
    "token_expiration": 20,
    "session_timeout": 90,
    "quota_per_project_enable": True,
    "robot_name_prefix": "robot$",
    "storage_per_project": 10 << 30,
    "scanner_skip_update_pulltime": False,
    "audit_log_forward_endpoint": "syslog.example.org:514",
    "skip_audit_log_database": False,
    "banner_message": '{"closable":true,"message":"Hi","type":"info","fromDate":"","toDate":""}',
    "notification_enable": True,
}

WEBHOOK = {
    "update_time": "0001-01-01T00:00:00Z",
    "description": "",
    "creator": "",
    "creation_time": "0001-01-01T00:00:00Z",
    "enabled": True,
    "targets": [
        {"type": "http", "auth_header": "", "skip_cert_verify": False, "address": "https://a"}
    ],
    "event_types": ["PUSH_ARTIFACT"],
    "project_id": 0,
    "id": 0,
    "name": "hook",
}
SCHEDULE = {
    "schedule": {"type": "Daily", "cron": "0 0 0 * * *"},
    "creation_time": "0001-01-01T00:00:00Z",
    "update_time": "0001-01-01T00:00:00Z",
    "parameters": {"delete_untagged": True, "workers": 1},
}
RETENTION = {
    "algorithm": "or",
    "rules": [],
    "trigger": {"kind": "Schedule", "references": {}, "settings": {"cron": ""}},
    "scope": {"level": "project", "ref": "{project}"},
}
REGISTRY = {
    "credential": {"type": "basic"},
    "name": "hub",
    "url": "https://hub.test",
    "type": "docker-hub",
}
REPLICATION = {
    "name": "copy",
    "id": 0,
    "src_registry": {"id": 1},
    "dest_registry": {},
    "dest_namespace_replace_count": -1,
    "trigger": {"type": "manual", "trigger_settings": {}},
    "enabled": True,
}
PREHEAT = {"id": 0, "name": "p2p", "vendor": "dragonfly", "endpoint": "https://p", "auth_info": {}}

# Resources whose feature comes later: what they read first, then what they ask for.
LATER: list[tuple[str, Any]] = [
    ("POST /projects/{project}/webhook/policies", WEBHOOK),
    ("POST /retentions", RETENTION),
    ("POST /registries", REGISTRY),
    ("PUT /registries/1", {"access_key": "", "access_secret": "", "name": "hub"}),
    ("POST /replication/policies", REPLICATION),
    ("POST /replication/executions", {"policy_id": 1}),
    ("POST /p2p/preheat/instances", PREHEAT),
    ("PUT /system/gc/schedule", SCHEDULE),
    ("PUT /system/purgeaudit/schedule", {**SCHEDULE, "parameters": {"audit_retention_hour": 24}}),
    ("PUT /system/scanAll/schedule", {**SCHEDULE, "parameters": {}}),
    ("PATCH /scanners/1", {"is_default": True}),
    ("PUT /projects/{project}/scanner", {"uuid": ""}),
]
FRESH: dict[str, Any] = {
    "/system/gc/schedule": {"type": "None"},
    "/system/purgeaudit/schedule": {"type": "None"},
    "/system/scanAll/schedule": {"type": "None"},
    "/scanners": [],
    "/projects/{project}/scanner": {},
    "/registries?name=hub": [],
}
