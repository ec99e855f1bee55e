"""Every later operation with the status of each caller: rows of the table of all routes.

A feature that arrives takes its lines out of here and brings its own.
"""

from typing import Any

ARTIFACT = "/projects/secret/repositories/team%252Fapp/artifacts/v1"
PREHEAT = "/projects/secret/preheat"
HOOKS = "/projects/secret/webhook"

# Who may, in the order of ACTORS; `?` stands for the status of those who may.
SIGNED_IN = "? ? ? ? ? ? ? 401 ? ?"
MEMBERS = "? ? ? ? ? ? 403 401 403 403"
DEVELOPERS = "? ? ? ? 403 403 403 401 403 403"
MAINTAINERS = "? ? ? 403 403 403 403 401 403 403"
OWNER = "? ? 403 403 403 403 403 401 403 403"
ADMIN = "? 403 403 403 403 403 403 401 403 403"
SYSTEM = "? 403 403 403 403 403 403 401 403 ?"

BY_CALLERS: dict[str, list[tuple[int, str, str]]] = {
    SIGNED_IN: [
        (200, "GET", "/export/cve/executions"),
        (404, "GET", "/export/cve/execution/1"),
        (404, "GET", "/export/cve/download/1"),
        (200, "GET", "/retentions/metadatas"),
        (200, "GET", "/schedules/all/paused"),
    ],
    MEMBERS: [
        (404, "GET", f"{ARTIFACT}/scan/1/log"),
        (200, "GET", "/projects/secret/scanner"),
    ],
    MAINTAINERS: [
        (200, "GET", f"{HOOKS}/policies"),
        (404, "GET", f"{HOOKS}/policies/1"),
        (404, "GET", f"{HOOKS}/policies/1/executions"),
        (404, "GET", f"{HOOKS}/policies/1/executions/1/tasks"),
        (404, "GET", f"{HOOKS}/policies/1/executions/1/tasks/1/log"),
        (200, "GET", f"{HOOKS}/lasttrigger"),
        (200, "GET", f"{HOOKS}/events"),
        (200, "GET", f"{HOOKS}/jobs"),
        (501, "POST", f"{ARTIFACT}/scan"),
        (501, "POST", f"{ARTIFACT}/scan/stop"),
    ],
    OWNER: [
        (200, "GET", "/projects/secret/scanner/candidates"),
        (501, "PUT", "/projects/secret/scanner"),
        (501, "POST", f"{HOOKS}/policies"),
        (501, "PUT", f"{HOOKS}/policies/1"),
        (501, "DELETE", f"{HOOKS}/policies/1"),
        (200, "GET", f"{PREHEAT}/providers"),
        (200, "GET", f"{PREHEAT}/policies"),
        (501, "POST", f"{PREHEAT}/policies"),
        (404, "GET", f"{PREHEAT}/policies/p"),
        (501, "PUT", f"{PREHEAT}/policies/p"),
        (501, "POST", f"{PREHEAT}/policies/p"),
        (501, "DELETE", f"{PREHEAT}/policies/p"),
        (404, "GET", f"{PREHEAT}/policies/p/executions"),
        (404, "GET", f"{PREHEAT}/policies/p/executions/1"),
        (501, "PATCH", f"{PREHEAT}/policies/p/executions/1"),
        (404, "GET", f"{PREHEAT}/policies/p/executions/1/tasks"),
        (404, "GET", f"{PREHEAT}/policies/p/executions/1/tasks/1/logs"),
    ],
    ADMIN: [
        (404, "GET", "/retentions/1"),
        (501, "PUT", "/retentions/1"),
        (501, "DELETE", "/retentions/1"),
        (404, "GET", "/retentions/1/executions"),
        (501, "POST", "/retentions/1/executions"),
        (501, "PATCH", "/retentions/1/executions/1"),
        (404, "GET", "/retentions/1/executions/1/tasks"),
        (404, "GET", "/retentions/1/executions/1/tasks/1"),
        (501, "POST", "/ldap/ping"),
        (501, "POST", "/system/oidc/ping"),
        (501, "GET", "/internalconfig"),
    ],
    SYSTEM: [
        (200, "GET", "/scanners"),
        (501, "POST", "/scanners"),
        (501, "POST", "/scanners/ping"),
        (404, "GET", "/scanners/1"),
        (501, "PUT", "/scanners/1"),
        (501, "PATCH", "/scanners/1"),
        (501, "DELETE", "/scanners/1"),
        (404, "GET", "/scanners/1/metadata"),
        (200, "GET", "/scans/all/metrics"),
        (200, "GET", "/scans/schedule/metrics"),
        (200, "GET", "/system/scanAll/schedule"),
        (501, "POST", "/system/scanAll/schedule"),
        (501, "PUT", "/system/scanAll/schedule"),
        (501, "POST", "/system/scanAll/stop"),
        (200, "GET", "/security/summary"),
        (200, "GET", "/security/vul"),
        (200, "GET", "/registries"),
        (501, "POST", "/registries"),
        (501, "POST", "/registries/ping"),
        (404, "GET", "/registries/1"),
        (501, "PUT", "/registries/1"),
        (501, "DELETE", "/registries/1"),
        (404, "GET", "/registries/1/info"),
        (200, "GET", "/replication/adapters"),
        (200, "GET", "/replication/adapterinfos"),
        (200, "GET", "/replication/policies"),
        (501, "POST", "/replication/policies"),
        (404, "GET", "/replication/policies/1"),
        (501, "PUT", "/replication/policies/1"),
        (501, "DELETE", "/replication/policies/1"),
        (200, "GET", "/replication/executions"),
        (501, "POST", "/replication/executions"),
        (404, "GET", "/replication/executions/1"),
        (501, "PUT", "/replication/executions/1"),
        (404, "GET", "/replication/executions/1/tasks"),
        (404, "GET", "/replication/executions/1/tasks/1/log"),
        (200, "GET", "/p2p/preheat/providers"),
        (200, "GET", "/p2p/preheat/instances"),
        (501, "POST", "/p2p/preheat/instances"),
        (501, "POST", "/p2p/preheat/instances/ping"),
        (404, "GET", "/p2p/preheat/instances/i"),
        (501, "PUT", "/p2p/preheat/instances/i"),
        (501, "DELETE", "/p2p/preheat/instances/i"),
        (200, "GET", "/system/gc"),
        (404, "GET", "/system/gc/1"),
        (501, "PUT", "/system/gc/1"),
        (404, "GET", "/system/gc/1/log"),
        (200, "GET", "/system/gc/schedule"),
        (501, "POST", "/system/gc/schedule"),
        (501, "PUT", "/system/gc/schedule"),
        (200, "GET", "/system/purgeaudit"),
        (404, "GET", "/system/purgeaudit/1"),
        (501, "PUT", "/system/purgeaudit/1"),
        (404, "GET", "/system/purgeaudit/1/log"),
        (200, "GET", "/system/purgeaudit/schedule"),
        (501, "POST", "/system/purgeaudit/schedule"),
        (501, "PUT", "/system/purgeaudit/schedule"),
        (200, "GET", "/jobservice/pools"),
        (200, "GET", "/jobservice/pools/all/workers"),
        (501, "PUT", "/jobservice/jobs/1"),
        (404, "GET", "/jobservice/jobs/1/log"),
        (200, "GET", "/jobservice/queues"),
        (501, "PUT", "/jobservice/queues/all"),
        (200, "GET", "/schedules"),
        (501, "GET", "/ldap/users/search"),
        (501, "POST", "/ldap/users/import"),
        (501, "GET", "/ldap/groups/search"),
    ],
}

CASES: list[tuple[str, str, Any, str]] = [
    (method, path, None, callers.replace("?", str(status)))
    for callers, rows in BY_CALLERS.items()
    for status, method, path in rows
]
# The body names the project.
CASES += [
    (
        "POST",
        "/retentions",
        {"scope": {"level": "project", "ref": "{project}"}},
        DEVELOPERS.replace("?", "501"),
    ),
    ("POST", "/retentions", {"scope": {"ref": 999999}}, ADMIN.replace("?", "404")),
    ("POST", "/export/cve", {"projects": ["{project}"]}, DEVELOPERS.replace("?", "501")),
]
