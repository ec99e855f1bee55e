"""The permission vocabulary: ``resource:action``, with Harbor's resource names.

One vocabulary serves roles, robots, tokens, the REST API and the web UI. ``repository:delete``
is also what the distribution API's ``delete`` action asks for.
"""

from collections.abc import Iterable, Mapping

_VERBS = {"C": "create", "R": "read", "U": "update", "D": "delete", "L": "list"}


def expand(table: Mapping[str, str]) -> frozenset[str]:
    """Turn ``{"tag": "CDL", "scan": "CR stop"}`` into permission names.

    Capital letters are the five common verbs; further words are verbs of their own.
    """
    return frozenset(
        f"{resource}:{verb}" for resource, verbs in table.items() for verb in _verbs(verbs)
    )


def _verbs(text: str) -> Iterable[str]:
    for word in text.split():
        if word.isupper():
            yield from (_VERBS[letter] for letter in word)
        else:
            yield word


PROJECT_PERMISSIONS = expand(
    {
        "project": "RUD",
        "member": "CRUDL",
        "metadata": "CRUDL",
        "configuration": "RU",
        "log": "L",
        "quota": "R",
        "repository": "CRUDL pull push",
        "artifact": "CRDL",
        "artifact-addition": "R",
        "artifact-label": "CD",
        "accessory": "L",
        "tag": "CDL",
        "label": "CRUDL",
        "tag-retention": "CRUDL operate",
        "trash": "DL restore",
        "immutable-tag": "CUDL",
        "robot": "CRUDL",
        "notification-policy": "CRUDL",
        "scan": "CR stop",
        "sbom": "CR stop",
        "scanner": "CR",
        "export-cve": "CRL",
        "preheat-policy": "CRUDL",
    }
)

SYSTEM_PERMISSIONS = expand(
    {
        "audit-log": "L",
        "catalog": "R",
        "configuration": "RU",
        "garbage-collection": "CRUL stop",
        "jobservice-monitor": "L stop",
        "label": "CRUD",
        "ldap-user": "CL",
        "preheat-instance": "CRUDL",
        "project": "CL",
        "purge-audit": "CRUL stop",
        "quota": "RUL",
        "registry": "CRUDL",
        "replication": "CRL",
        "replication-adapter": "L",
        "replication-policy": "CRUDL",
        "robot": "CRUDL",
        "role": "CRUDL",
        "scan-all": "CRU stop",
        "scanner": "CRUDL",
        "security-hub": "RL",
        "system-volumes": "R",
        "user": "CRUDL",
        "user-group": "CRUDL",
    }
)

PROJECT_ROBOT_PERMISSIONS = expand(
    {
        "accessory": "L",
        "artifact": "CRDL",
        "artifact-addition": "R",
        "artifact-label": "CD",
        "export-cve": "CR",
        "immutable-tag": "CUDL",
        "label": "CRUDL",
        "log": "L",
        "member": "CRUDL",
        "metadata": "CRUDL",
        "notification-policy": "CRUDL",
        "preheat-policy": "CRUDL",
        "project": "RUD",
        "quota": "R",
        "repository": "RUDL pull push",
        "robot": "CRDL",
        "sbom": "CR stop",
        "scan": "CR stop",
        "scanner": "CR",
        "tag": "CDL",
        "tag-retention": "CRUDL",
    }
)
"""What a robot may hold in a project (Harbor's list)."""

SYSTEM_ROBOT_PERMISSIONS = SYSTEM_PERMISSIONS - expand(
    {"configuration": "RU", "role": "CRUDL", "robot": "U"}
)
"""What a system robot may hold in the system (Harbor's list)."""

PERMISSIONS = PROJECT_PERMISSIONS | SYSTEM_PERMISSIONS
"""Every permission name there is."""
