"""Whole examples of bodies, where one made of its members would be refused or mean nothing.

Requests are about the registry of ``core.api.examples``: the project ``library`` with the
repository ``team/app``, and ``alice``. Sent there as they stand, they succeed.
"""

from collections.abc import Mapping
from typing import Any

_RULE = {
    "disabled": False,
    "action": "immutable",
    "template": "immutable_template",
    "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": "v*"}],
    "scope_selectors": {
        "repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "team/**"}]
    },
}
_PERMISSIONS = [
    {
        "kind": "project",
        "namespace": "library",
        "access": [
            {"resource": "repository", "action": "pull"},
            {"resource": "repository", "action": "push"},
        ],
    }
]

BODIES: Mapping[str, Any] = {
    "BulkRequest": {"action": "untag", "tags": ["v1.2.0"], "dry_run": True},
    "ConfigurationsRequest": {
        "self_registration": False,
        "token_expiration": 30,
        "robot_token_duration": 30,
        "banner_message": "Maintenance on Sunday",
    },
    "GrantRequest": {"username": "alice", "right": "pull"},
    "GroupRequest": {"group_name": "developers"},
    "LabelRequest": {
        "name": "tested",
        "description": "Passed all tests",
        "color": "#00aa55",
        "scope": "g",
    },
    "Login": {"principal": "alice", "password": "Correct-horse-9"},
    "MemberRequest": {"role_id": 2, "member_user": {"username": "alice"}},
    "PersonalTokenRequest": {
        "name": "laptop",
        "description": "For scripts",
        "scopes": ["management:read"],
        "projects": ["library"],
    },
    "ProjectRename": {"project_name": "platform"},
    "ProjectWithAllowlistRequest": {
        "project_name": "team",
        "metadata": {"public": "false", "auto_scan": "true"},
        "storage_limit": -1,
    },
    "RepositoryTransfer": {"project": "library", "repository": "team/service"},
    "RestoreRequest": {},
    "RobotCreate": {
        "name": "build",
        "description": "For the build of the product",
        "level": "project",
        "duration": 30,
        "permissions": _PERMISSIONS,
    },
    "RobotUpdate": {
        "description": "For the build of the product",
        "disable": False,
        "duration": 90,
        "permissions": _PERMISSIONS,
    },
    "TagExpiry": {"expires_after": "2w"},
    "TagRequest": {"name": "stable"},
    "TagRuleRequest": _RULE,
    "UserCreation": {
        "username": "bob",
        "password": "Correct-horse-9",
        "email": "bob@example.com",
        "realname": "Bob",
    },
    "getAnAdditionOfAnArtifact": [{"created": "2026-01-31T13:45:00Z", "created_by": "COPY . /app"}],
    "addMetadataToAProject": {"auto_scan": "true"},
}
"""Name of a shape, or of the operation where its shape has none, to an example."""
