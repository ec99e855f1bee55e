"""Every operation of Harbor's API whose feature is missing: one line each.

The order is that of the routes: a longer path stands before a shorter one that would swallow it.
"""

from core.api.fields import NEVER
from core.later.queries import count_artifacts
from core.later.types import Answer, Later, LaterFeature

_P = "projects/<str:project>"
_PREHEAT = "projects/<str:project_name>/preheat"
_POLICY = f"{_PREHEAT}/policies/<str:policy_name>"
_EXECUTION = f"{_POLICY}/executions/<identifier:execution_id>"
_HOOK = f"{_P}/webhook/policies/<identifier:webhook_policy_id>"
_HOOK_TASKS = f"{_HOOK}/executions/<identifier:execution_id>/tasks"
_ARTIFACT = (
    "projects/<str:project_name>/repositories/<repository_name:repository>"
    "/artifacts/<reference:reference>"
)
_RETENTION = "retentions/<identifier:retention_id>"
_RETENTION_TASKS = f"{_RETENTION}/executions/<identifier:execution_id>/tasks"
_REPLICATION = "replication/executions/<identifier:execution_id>"

ROWS, UNPAGED, SHOWN = Answer.ROWS, Answer.UNPAGED, Answer.SHOWN
NOTHING = Answer.NOTHING_THERE

_NO_SCHEDULE = {"schedule": {"type": "None"}, "creation_time": NEVER, "update_time": NEVER}
_NO_SCANS = {"total": 0, "completed": 0, "metrics": {}, "ongoing": False}
_NOT_SCANNED = {
    **dict.fromkeys(("critical_cnt", "high_cnt", "medium_cnt", "low_cnt", "none_cnt"), 0),
    **dict.fromkeys(("unknown_cnt", "total_vuls", "scanned_cnt", "fixable_cnt"), 0),
    "total_artifact": count_artifacts,
}
_NO_EVENTS: dict[str, list[str]] = {"event_type": [], "notify_type": [], "payload_formats": []}
_NO_RULES: dict[str, list[str]] = {"templates": [], "scope_selectors": [], "tag_selectors": []}

# fmt: off
LATER: tuple[LaterFeature, ...] = (
    LaterFeature("Scanning for vulnerabilities", "scans", (
        Later("POST", f"{_ARTIFACT}/scan/stop", "scan:stop", "Stop a scan of an artifact"),
        Later("GET", f"{_ARTIFACT}/scan/<str:report_id>/log", "scan:read", "Get the log of a scan", NOTHING),
        Later("POST", f"{_ARTIFACT}/scan", "scan:create", "Scan an artifact"),
        Later("GET", f"{_P}/scanner/candidates", "scanner:create", "List scanners for a project", ROWS),
        Later("GET", f"{_P}/scanner", "scanner:read", "Get a project's scanner", SHOWN),
        Later("PUT", f"{_P}/scanner", "scanner:create", "Choose a project's scanner"),
        Later("GET", "scanners", "scanner:list", "List scanners", ROWS),
        Later("POST", "scanners", "scanner:create", "Register a scanner"),
        Later("POST", "scanners/ping", "scanner:read", "Ping a scanner"),
        Later("GET", "scanners/<str:registration_id>/metadata", "scanner:read", "Get a scanner's metadata", NOTHING),
        Later("GET", "scanners/<str:registration_id>", "scanner:read", "Get a scanner", NOTHING),
        Later("PUT", "scanners/<str:registration_id>", "scanner:update", "Update a scanner"),
        Later("PATCH", "scanners/<str:registration_id>", "scanner:update", "Make a scanner the default"),
        Later("DELETE", "scanners/<str:registration_id>", "scanner:delete", "Delete a scanner"),
        Later("GET", "scans/all/metrics", "scan-all:read", "Get figures of the scan of everything", SHOWN, _NO_SCANS),
        Later("GET", "scans/schedule/metrics", "scan-all:read", "Get figures of the scheduled scan", SHOWN, _NO_SCANS),
        Later("GET", "system/scanAll/schedule", "scan-all:read", "Get the schedule of scans", SHOWN, _NO_SCHEDULE),
        Later("POST", "system/scanAll/schedule", "scan-all:create", "Schedule scans or scan everything now"),
        Later("PUT", "system/scanAll/schedule", "scan-all:update", "Change the schedule of scans"),
        Later("POST", "system/scanAll/stop", "scan-all:stop", "Stop the scan of everything"),
    )),
    LaterFeature("The security overview", "security", (
        Later("GET", "security/vul", "security-hub:list", "Search vulnerabilities", ROWS),
        Later("GET", "security/summary", "security-hub:read", "Get the security summary", SHOWN, _NOT_SCANNED),
    )),
    LaterFeature("The export of vulnerabilities", "security", (
        Later("POST", "export/cve", "export-cve:create", "Export vulnerabilities", project_in=("projects", 0)),
        Later("GET", "export/cve/executions", "export-cve:list", "List exports of vulnerabilities", SHOWN, {"items": []}, own=True),
        Later("GET", "export/cve/execution/<identifier:execution_id>", "export-cve:read", "Get an export of vulnerabilities", NOTHING, own=True),
        Later("GET", "export/cve/download/<identifier:execution_id>", "export-cve:read", "Download an export of vulnerabilities", NOTHING, own=True),
    )),
    LaterFeature("Retention", "retention", (
        Later("POST", "retentions", "tag-retention:create", "Create a retention policy", project_in=("scope", "ref")),
        Later("GET", "retentions/metadatas", "tag-retention:read", "List what retention rules are made of", SHOWN, _NO_RULES, own=True),
        Later("GET", _RETENTION, "tag-retention:read", "Get a retention policy", NOTHING),
        Later("PUT", _RETENTION, "tag-retention:update", "Update a retention policy"),
        Later("DELETE", _RETENTION, "tag-retention:delete", "Delete a retention policy"),
        Later("GET", f"{_RETENTION}/executions", "tag-retention:list", "List executions of a retention policy", NOTHING),
        Later("POST", f"{_RETENTION}/executions", "tag-retention:update", "Execute a retention policy"),
        Later("PATCH", f"{_RETENTION}/executions/<identifier:execution_id>", "tag-retention:update", "Stop an execution of a retention policy"),
        Later("GET", _RETENTION_TASKS, "tag-retention:list", "List tasks of a retention execution", NOTHING),
        Later("GET", f"{_RETENTION_TASKS}/<identifier:task_id>", "tag-retention:read", "Get the log of a retention task", NOTHING),
    )),
    LaterFeature("Webhooks", "webhooks", (
        Later("GET", f"{_P}/webhook/policies", "notification-policy:list", "List webhook policies", ROWS),
        Later("POST", f"{_P}/webhook/policies", "notification-policy:create", "Create a webhook policy"),
        Later("GET", _HOOK, "notification-policy:read", "Get a webhook policy", NOTHING),
        Later("PUT", _HOOK, "notification-policy:update", "Update a webhook policy"),
        Later("DELETE", _HOOK, "notification-policy:delete", "Delete a webhook policy"),
        Later("GET", f"{_HOOK}/executions", "notification-policy:read", "List executions of a webhook policy", NOTHING),
        Later("GET", _HOOK_TASKS, "notification-policy:read", "List tasks of a webhook execution", NOTHING),
        Later("GET", f"{_HOOK_TASKS}/<identifier:task_id>/log", "notification-policy:read", "Get the log of a webhook task", NOTHING),
        Later("GET", f"{_P}/webhook/lasttrigger", "notification-policy:read", "List when webhooks were last triggered", UNPAGED),
        Later("GET", f"{_P}/webhook/events", "notification-policy:read", "List events of webhooks", SHOWN, _NO_EVENTS),
        Later("GET", f"{_P}/webhook/jobs", "notification-policy:list", "List webhook jobs", ROWS),
    )),
    LaterFeature("Replication", "replication", (
        Later("GET", "registries", "registry:list", "List remote registries", ROWS),
        Later("POST", "registries", "registry:create", "Create a remote registry"),
        Later("POST", "registries/ping", "registry:read", "Ping a remote registry"),
        Later("GET", "registries/<identifier:registry_id>/info", "replication-adapter:list", "Get what a remote registry can do", NOTHING),
        Later("GET", "registries/<identifier:registry_id>", "registry:read", "Get a remote registry", NOTHING),
        Later("PUT", "registries/<identifier:registry_id>", "registry:update", "Update a remote registry"),
        Later("DELETE", "registries/<identifier:registry_id>", "registry:delete", "Delete a remote registry"),
        Later("GET", "replication/adapters", "replication-adapter:list", "List replication adapters", UNPAGED),
        Later("GET", "replication/adapterinfos", "replication-adapter:list", "Get what replication adapters can do", SHOWN),
        Later("GET", "replication/policies", "replication-policy:list", "List replication policies", ROWS),
        Later("POST", "replication/policies", "replication-policy:create", "Create a replication policy"),
        Later("GET", "replication/policies/<identifier:policy_id>", "replication-policy:read", "Get a replication policy", NOTHING),
        Later("PUT", "replication/policies/<identifier:policy_id>", "replication-policy:update", "Update a replication policy"),
        Later("DELETE", "replication/policies/<identifier:policy_id>", "replication-policy:delete", "Delete a replication policy"),
        Later("GET", "replication/executions", "replication:list", "List replication executions", ROWS),
        Later("POST", "replication/executions", "replication:create", "Start a replication"),
        Later("GET", _REPLICATION, "replication:read", "Get a replication execution", NOTHING),
        Later("PUT", _REPLICATION, "replication:create", "Stop a replication"),
        Later("GET", f"{_REPLICATION}/tasks", "replication:list", "List tasks of a replication", NOTHING),
        Later("GET", f"{_REPLICATION}/tasks/<identifier:task_id>/log", "replication:read", "Get the log of a replication task", NOTHING),
    )),
    LaterFeature("Preheating", "preheat", (
        Later("GET", "p2p/preheat/providers", "preheat-instance:list", "List preheat providers", UNPAGED),
        Later("GET", "p2p/preheat/instances", "preheat-instance:list", "List preheat instances", ROWS),
        Later("POST", "p2p/preheat/instances", "preheat-instance:create", "Create a preheat instance"),
        Later("POST", "p2p/preheat/instances/ping", "preheat-instance:read", "Ping a preheat instance"),
        Later("GET", "p2p/preheat/instances/<str:instance_name>", "preheat-instance:read", "Get a preheat instance", NOTHING),
        Later("PUT", "p2p/preheat/instances/<str:instance_name>", "preheat-instance:update", "Update a preheat instance"),
        Later("DELETE", "p2p/preheat/instances/<str:instance_name>", "preheat-instance:delete", "Delete a preheat instance"),
        Later("GET", f"{_PREHEAT}/providers", "preheat-policy:read", "List preheat providers of a project", UNPAGED),
        Later("GET", f"{_PREHEAT}/policies", "preheat-policy:list", "List preheat policies", ROWS),
        Later("POST", f"{_PREHEAT}/policies", "preheat-policy:create", "Create a preheat policy"),
        Later("GET", _POLICY, "preheat-policy:read", "Get a preheat policy", NOTHING),
        Later("PUT", _POLICY, "preheat-policy:update", "Update a preheat policy"),
        Later("POST", _POLICY, "preheat-policy:update", "Execute a preheat policy"),
        Later("DELETE", _POLICY, "preheat-policy:delete", "Delete a preheat policy"),
        Later("GET", f"{_POLICY}/executions", "preheat-policy:list", "List executions of a preheat policy", NOTHING),
        Later("GET", _EXECUTION, "preheat-policy:read", "Get a preheat execution", NOTHING),
        Later("PATCH", _EXECUTION, "preheat-policy:update", "Stop a preheat execution"),
        Later("GET", f"{_EXECUTION}/tasks", "preheat-policy:list", "List tasks of a preheat execution", NOTHING),
        Later("GET", f"{_EXECUTION}/tasks/<identifier:task_id>/logs", "preheat-policy:read", "Get the log of a preheat task", NOTHING),
    )),
    LaterFeature("Garbage collection on demand", "garbage collection", (
        Later("GET", "system/gc", "garbage-collection:list", "List garbage collections", ROWS),
        Later("GET", "system/gc/schedule", "garbage-collection:read", "Get the schedule of garbage collections", SHOWN, _NO_SCHEDULE),
        Later("POST", "system/gc/schedule", "garbage-collection:create", "Schedule garbage collections or collect now"),
        Later("PUT", "system/gc/schedule", "garbage-collection:update", "Change the schedule of garbage collections"),
        Later("GET", "system/gc/<identifier:gc_id>", "garbage-collection:read", "Get a garbage collection", NOTHING),
        Later("PUT", "system/gc/<identifier:gc_id>", "garbage-collection:stop", "Stop a garbage collection"),
        Later("GET", "system/gc/<identifier:gc_id>/log", "garbage-collection:read", "Get the log of a garbage collection", NOTHING),
    )),
    LaterFeature("Purging the audit log", "audit", (
        Later("GET", "system/purgeaudit", "purge-audit:list", "List purges of the audit log", ROWS),
        Later("GET", "system/purgeaudit/schedule", "purge-audit:read", "Get the schedule of purges", SHOWN, _NO_SCHEDULE),
        Later("POST", "system/purgeaudit/schedule", "purge-audit:create", "Schedule purges or purge now"),
        Later("PUT", "system/purgeaudit/schedule", "purge-audit:update", "Change the schedule of purges"),
        Later("GET", "system/purgeaudit/<identifier:purge_id>", "purge-audit:read", "Get a purge of the audit log", NOTHING),
        Later("PUT", "system/purgeaudit/<identifier:purge_id>", "purge-audit:stop", "Stop a purge of the audit log"),
        Later("GET", "system/purgeaudit/<identifier:purge_id>/log", "purge-audit:read", "Get the log of a purge", NOTHING),
    )),
    LaterFeature("The dashboard of jobs", "jobs", (
        Later("GET", "jobservice/pools", "jobservice-monitor:list", "List pools of workers", UNPAGED),
        Later("GET", "jobservice/pools/<str:pool_id>/workers", "jobservice-monitor:list", "List workers of a pool", UNPAGED),
        Later("PUT", "jobservice/jobs/<str:job_id>", "jobservice-monitor:stop", "Stop a job"),
        Later("GET", "jobservice/jobs/<str:job_id>/log", "jobservice-monitor:list", "Get the log of a job", NOTHING),
        Later("GET", "jobservice/queues", "jobservice-monitor:list", "List queues of jobs", UNPAGED),
        Later("PUT", "jobservice/queues/<str:job_type>", "jobservice-monitor:stop", "Stop, pause or resume a queue"),
        Later("GET", "schedules", "jobservice-monitor:list", "List schedules", ROWS),
        Later("GET", "schedules/<str:job_type>/paused", "jobservice-monitor:list", "Tell whether schedules are paused", SHOWN, {"paused": False}, own=True, only=("job_type", "all")),
    )),
    LaterFeature("Login through LDAP", "ldap", (
        Later("POST", "ldap/ping", "configuration:read", "Ping a directory"),
        Later("GET", "ldap/users/search", "ldap-user:list", "Search users of a directory"),
        Later("POST", "ldap/users/import", "ldap-user:create", "Import users of a directory"),
        Later("GET", "ldap/groups/search", "ldap-user:list", "Search groups of a directory"),
    )),
    LaterFeature("Login through OpenID Connect", "oidc", (
        Later("POST", "system/oidc/ping", "configuration:update", "Ping an OpenID provider"),
        Later("PUT", "users/<identifier:user_id>/cli_secret", "user:update", "Set a secret for the command line", own=True),
    )),
    LaterFeature("The configuration for internal services", "configuration", (
        Later("GET", "internalconfig", "configuration:read", "Get the configuration for internal services"),
    )),
)
# fmt: on
